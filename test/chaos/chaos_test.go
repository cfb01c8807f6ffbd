//go:build linux

// Package chaos breaks the parts of a running Weir, one after the other and each in a rollout, and checks what Weir
// promises: no request is lost, each rollout ends, the traffic is where the record says, and nothing is left behind.
// The parts are the real ones and run on several hosts (package hosts): three Consul servers, a Nomad server and two
// nodes, an ingress, a deployer, a daemon. It takes root. The Nomad is the embedded agent, or the one that WEIR_NOMAD
// names.
//
//	CHAOS_FOR=1h     for how long rollouts are begun; without it the test is skipped: run `make chaos`
//	CHAOS_SEED=n     the seed that the schedule is drawn from; default by the clock
//	CHAOS_FAULTS=a,b only these faults
//	CHAOS_REPORT=f   write the report to this file, as JSON
//	CHAOS_UPDATE=1   write the tables to docs/reliability.md
package chaos

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/test/hosts"
	"github.com/weirhq/weir/test/load"
)

// row is an iris flower.
const row = `{"x":[5.1,3.5,1.4,0.2]}`

// clients and think bound the load: less than 300 requests a second.
const (
	clients = 4
	think   = 14 * time.Millisecond
)

var (
	network hosts.Network
	unable  = "it takes minutes, and breaks things: run `make chaos`"
)

func TestMain(m *testing.M) {
	if os.Getenv("CHAOS_FOR") == "" {
		os.Exit(m.Run())
	}
	hosts.Suite{
		Name: "chaos", Ops: ops, Hosts: append([]hosts.Host{nomadHost, node, ingress, deployer}, consulHosts...),
		Build: func(n hosts.Network) error {
			if err := n.Build("faulty", "../faulty"); err != nil {
				return err
			}
			return buildStepped(n)
		},
		Run:    func(m *testing.M, n hosts.Network) int { network, unable = n, ""; return m.Run() },
		Unable: func(m *testing.M, why string) int { unable = why; return m.Run() },
	}.Main(m)
}

func TestChaos(t *testing.T) {
	if unable != "" {
		t.Skip(unable)
	}
	limit, err := time.ParseDuration(os.Getenv("CHAOS_FOR"))
	if err != nil {
		t.Fatalf("read CHAOS_FOR: %v", err)
	}
	rep := report{Seed: seed(t), Commit: commit(), Nomad: "embedded agent"}
	if os.Getenv(parts.Nomad.Env) != "" {
		rep.Nomad = "a real Nomad"
	}
	t.Logf("seed %d: `CHAOS_SEED=%d make chaos` repeats this schedule", rep.Seed, rep.Seed)
	s := start(t, network)
	stable := s.firstRelease()
	s.load, err = load.Start(t.Context(), load.Config{
		URL: ingressURL + "/predict", Body: row, Clients: clients, Pause: think, Timeout: 40 * time.Second, Network: subnet,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.load.Stop() })

	began, plan := time.Now(), newSchedule(rep.Seed, chosen(t))
	for time.Since(began) < limit && !t.Failed() {
		r := &round{system: s, event: plan.next(), stable: stable}
		t.Log(r.event)
		if err := r.run(); err != nil {
			r.result.Failed = err.Error()
			t.Errorf("seed %d, %s: %v", rep.Seed, r.event, err)
		}
		r.result.Usage, r.result.Folder = s.usage(), s.folderSize()
		t.Logf("  met %s (injected: %t); ended in %s after %s %s; %d sent, %d lost, %d on killed connections", r.result.Met, r.result.Injected,
			r.result.End, r.result.Took.Round(100*time.Millisecond), r.result.Reason, r.result.Sent, r.result.Lost, r.result.Broken)
		rep.Rollouts, stable = append(rep.Rollouts, r.result), r.stable
	}
	rep.Duration = time.Since(began)
	finish(t, s, rep)
}

// finish tells what the run has shown.
func finish(t *testing.T, s *system, rep report) {
	t.Helper()
	t.Logf("\n%s", rep.table())
	if t.Failed() {
		s.dump()
		s.dumpLogs()
	}
	if path := os.Getenv("CHAOS_REPORT"); path != "" {
		if err := rep.save(path); err != nil {
			t.Error(err)
		}
	}
	if os.Getenv("CHAOS_UPDATE") != "" && !t.Failed() {
		if err := rep.update(); err != nil {
			t.Error(err)
		}
	}
}

func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("CHAOS_SEED")
	if text == "" {
		return uint64(time.Now().Unix()) //nolint:gosec // after 1970
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("read CHAOS_SEED: %v", err)
	}
	return n
}

// chosen are the faults that CHAOS_FAULTS names, or all.
func chosen(t *testing.T) []string {
	t.Helper()
	text := os.Getenv("CHAOS_FAULTS")
	if text == "" {
		return faultNames()
	}
	names := strings.Split(text, ",")
	for _, n := range names {
		if _, ok := faults[n]; !ok {
			t.Fatalf("CHAOS_FAULTS: there is no fault %q; the faults are %s", n, strings.Join(faultNames(), ", "))
		}
	}
	return names
}

// firstRelease brings up what the first rollout replaces, and returns its release.
func (s *system) firstRelease() string {
	s.t.Helper()
	p := s.background(deployer, "deploy-0.log", s.net.Bin(deployBin),
		append(ship("v1.0.0", "v2.0.0", s.net.Bin("inference")), "--bake", "1s", "--watch", "1s")...)
	<-p.done
	if !p.ProcessState.Success() {
		s.dumpLogs()
		s.t.Fatalf("bring up the first release: %s", p.ProcessState)
	}
	rec, _, err := s.consul.Active(s.t.Context(), model)
	if err != nil {
		s.t.Fatal(err)
	}
	return rec.Release
}

//go:build linux

package multihost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/test/hosts"
	"github.com/weirhq/weir/test/load"
)

// row is an iris flower.
const row = `{"x":[5.1,3.5,1.4,0.2]}`

// settled is how long after an epoch is shown the last old worker of nginx may still answer by the old weights.
const settled = time.Second

// lab is one test's view of the cluster.
type lab struct {
	*cluster
	t      *testing.T
	first  string // the release that is stable when the test begins
	second string // the release under trial, once it is known
	loads  map[string]*load.Load
	seen   map[string]int64 // ingress → size of its access log when the load began
}

// begin makes the cluster whole, with v1.0.0 as the stable release, and starts a load on each ingress.
func begin(t *testing.T) *lab {
	t.Helper()
	if unable != "" {
		t.Skip(unable)
	}
	if err := site.start(); err != nil {
		site.dump(t)
		t.Fatalf("start the cluster: %v", err)
	}
	l := &lab{cluster: site, t: t, loads: map[string]*load.Load{}, seen: map[string]int64{}}
	t.Cleanup(func() {
		if t.Failed() {
			l.dump(t)
		}
	})
	l.reset()
	for _, h := range ingresses {
		l.loadOn(h)
	}
	return l
}

// loadOn starts the load on an ingress.
func (l *lab) loadOn(h host) {
	l.t.Helper()
	if info, err := os.Stat(l.accessLog(h)); err == nil {
		l.seen[h.Name] = info.Size()
	}
	running, err := load.Start(l.t.Context(), load.Config{
		URL: "http://" + h.Addr + ":" + port + "/predict", Body: row, Clients: 4, Pause: 10 * time.Millisecond,
		Timeout: 40 * time.Second, Network: netip.MustParsePrefix("10.77.0.0/24"),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.loads[h.Name] = running
	l.t.Cleanup(func() { running.Stop() })
}

// reset repairs what the last test has broken and goes back to v1.0.0.
func (l *lab) reset() {
	l.t.Helper()
	began := time.Now()
	for _, h := range allHosts() {
		if err := l.net.Heal(h); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := l.consulSite.Repair(); err != nil {
		l.t.Fatal(err)
	}
	l.wait(time.Minute, "Consul to be whole", l.consulSite.Whole)
	l.wait(time.Minute, "Nomad to be whole", l.nomadSite.Whole)
	l.wait(time.Minute, "the ingresses to be whole", l.ingressesWhole)
	if rec, active, err := l.consul.Active(l.t.Context(), model); err != nil {
		l.t.Fatal(err)
	} else if active {
		l.t.Logf("an earlier test left a rollout of %s: takes it back", rec.Release)
		l.must("revert", model)
	}
	keys, err := l.consul.Traffic(l.t.Context(), model)
	if err != nil {
		l.t.Fatal(err)
	}
	if keys.Stable == nil || !strings.HasPrefix(keys.Stable.Release, "v1.0.0-") {
		l.must(l.ship("v1.0.0", "--strategy", "blue-green", "--bake", "0s", "--watch", "0s")...)
		if keys, err = l.consul.Traffic(l.t.Context(), model); err != nil || keys.Stable == nil {
			l.t.Fatalf("stable: %+v, %v", keys, err)
		}
	}
	l.first = keys.Stable.Release
	l.wait(time.Minute, "v1.0.0 alone", func(ctx context.Context) error { return l.alone(ctx, l.first) })
	l.t.Logf("the cluster is whole after %s", time.Since(began).Round(100*time.Millisecond))
}

// alone returns an error unless Consul and Nomad hold all instances of a release for healthy, and know of no other.
func (l *lab) alone(ctx context.Context, release string) error {
	instances, err := l.consul.Instances(ctx, model)
	if err != nil {
		return err
	}
	for _, in := range instances {
		if in.Release != release || in.Status != "passing" || in.Canary {
			return fmt.Errorf("%s at %s is %s (canary: %t)", in.Release, in.Addr, in.Status, in.Canary)
		}
	}
	v, err := l.nomad.Look(ctx, model, "", release)
	if err != nil {
		return err
	}
	if len(instances) != count || v.State.Release != release || v.State.Current.Active() || v.Stable.Running != count {
		return fmt.Errorf("%d instances in Consul; in Nomad %s, %d running, deployment %s", len(instances),
			v.State.Release, v.Stable.Running, v.State.Current.Status)
	}
	return nil
}

// ends checks how a test leaves the cluster: one release serves, in full count, and nothing of a rollout is left.
func (l *lab) ends(release string) {
	l.t.Helper()
	l.wait(90*time.Second, "all of "+release, func(ctx context.Context) error { return l.alone(ctx, release) })
	keys, err := l.consul.Traffic(l.t.Context(), model)
	if err != nil || keys.Stable == nil || keys.Stable.Release != release || keys.Canary != nil {
		l.t.Errorf("traffic keys %+v (%v), want stable %s and no canary", keys, err, release)
	}
}

// serves checks that on these ingresses only one release answers now.
func (l *lab) serves(release string, on ...host) {
	l.t.Helper()
	time.Sleep(settled) // the time itself is meant
	for _, h := range on {
		running := l.loads[h.Name]
		before := running.Counts()
		l.until(20*time.Second, "200 answers of "+h.Name, func() bool { return running.Counts().Sub(before).Answered() >= 200 })
		if c := running.Counts().Sub(before); c.Share(release) != 1 {
			l.t.Errorf("%s answers %v, want all from %s", h.Name, c.ByRelease, release)
		}
	}
}

// splits checks that a release answers a part of the requests on these ingresses.
func (l *lab) splits(release string, on ...host) {
	l.t.Helper()
	for _, h := range on {
		running := l.loads[h.Name]
		before := running.Counts()
		l.until(20*time.Second, "200 answers of "+h.Name, func() bool { return running.Counts().Sub(before).Answered() >= 200 })
		if s := running.Counts().Sub(before).Share(release); s < 0.3 || s > 0.7 {
			l.t.Errorf("%s: %s answers %.0f %%, want about 50 %%", h.Name, release, 100*s)
		}
	}
}

// last is when a release last answered on an ingress.
func (l *lab) last(h host, release string) time.Time { return l.loads[h.Name].Last(release) }

// noLoss ends the load, checks that every request got its answer, and tells what the ingresses' retries hid.
func (l *lab) noLoss() {
	l.t.Helper()
	for _, h := range ingresses {
		c := l.loads[h.Name].Stop()
		a := l.attempts(h)
		l.t.Logf("%s: %d requests, %d lost; nginx tried %d of them more than once, the slowest took %s",
			h.Name, c.Sent, len(c.Lost), a.retried, a.slowest.Round(time.Millisecond))
		if len(c.Lost) > 0 {
			l.t.Errorf("%s: %d of %d requests lost, the first: %+v", h.Name, len(c.Lost), c.Sent, c.Lost[0])
		}
		if c.Answered() == 0 {
			l.t.Errorf("%s answered no request: the load proves nothing", h.Name)
		}
	}
}

// command returns the deployer as a user would call it on a host.
func (l *lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(l.net.Bin("deployer"), args...)
	cmd.Env = append(os.Environ(), "NOMAD_ADDR="+l.nomadSite.URL)
	return cmd
}

// must runs the deployer on ops and fails the test unless it ends well.
func (l *lab) must(args ...string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Minute)
	defer cancel()
	d := l.background(ops, args...)
	if code := d.wait(ctx); code != 0 {
		l.t.Fatalf("deployer %v: exit code %d", args, code)
	}
}

// deployer is a running deployer.
type deployer struct {
	cmd   *exec.Cmd
	ended chan struct{}
	said  *transcript
}

// transcript keeps what a program says and passes it on to the test's log.
type transcript struct {
	t    *testing.T
	name string
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.t.Output(), "%s %s| %s", time.Now().Format("15:04:05.000"), s.name, b)
	return s.text.Write(b)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// background starts the deployer on a host, and kills it at the end of the test if it still runs.
func (l *lab) background(h host, args ...string) *deployer {
	l.t.Helper()
	l.t.Logf("%s$ deployer %s", h.Name, strings.Join(args, " "))
	d := &deployer{cmd: l.command(args...), ended: make(chan struct{}), said: &transcript{t: l.t, name: h.Name}}
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	if err := l.net.Launch(h, d.cmd); err != nil {
		l.t.Fatal(err)
	}
	go func() { defer close(d.ended); _ = d.cmd.Wait() }() // wait tells how it ended
	l.t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		<-d.ended
	})
	return d
}

// wait returns the exit code, or -1 if it does not end in time.
func (d *deployer) wait(ctx context.Context) int {
	select {
	case <-d.ended:
		return d.cmd.ProcessState.ExitCode()
	case <-ctx.Done():
		return -1
	}
}

// exits checks the exit code of a deployer.
func (l *lab) exits(d *deployer, limit time.Duration, want int) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), limit)
	defer cancel()
	if code := d.wait(ctx); code != want {
		l.t.Errorf("deployer %v: exit code %d, want %d (-1: it still runs after %s)", d.cmd.Args[1:], code, want, limit)
	}
}

// ship are the arguments that deploy a version of the test model.
func (l *lab) ship(version string, more ...string) []string {
	file, err := filepath.Abs("../testdata/iris-" + version + ".pkl")
	if err != nil {
		l.t.Fatal(err)
	}
	args := []string{
		"deploy", model, file, "--version", version, "--count", fmt.Sprint(count),
		"--var", "command=" + l.net.Bin("inference"),
		"--var", "health_timeout=5s", // on a busy machine too
		"--judge", "health", // some rollouts here get no requests
	}
	return append(args, more...)
}

// record waits for a state of the newest rollout, which the test has begun, and returns it.
func (l *lab) record(limit time.Duration, what string, ok func(rollout.Record) bool) rollout.Record {
	l.t.Helper()
	var got rollout.Record
	l.until(limit, what, func() bool {
		rec, _, err := l.consul.Active(l.t.Context(), model)
		got = rec.Record
		return err == nil && strings.HasPrefix(got.Release, "v1.1.0-") && ok(got)
	})
	l.second = got.Release
	return got
}

// in says that a rollout bakes a step, which has not been passed in a rollout before.
func in(p rollout.Phase, step int, after time.Time) func(rollout.Record) bool {
	return func(r rollout.Record) bool { return r.Phase == p && r.Step == step && r.Since.After(after) }
}

func (l *lab) wait(limit time.Duration, what string, ask func(context.Context) error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), limit)
	defer cancel()
	if err := hosts.Await(ctx, what, ask); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) until(limit time.Duration, what string, ok func() bool) {
	l.t.Helper()
	l.wait(limit, what, func(context.Context) error {
		if ok() {
			return nil
		}
		return errors.New("not yet")
	})
}

// leader is the host of the Consul leader.
func (l *lab) leader() (host, error) { return l.consulSite.Leader(l.t.Context()) }

// live returns what the live ingresses serve of the model.
func (l *lab) live() map[string]traffic.Ingress {
	l.t.Helper()
	live, err := l.consul.Ingresses(l.t.Context())
	if err != nil {
		l.t.Logf("read the ingresses: %v", err)
	}
	return live
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// dump shows the ends of all logs.
func (c *cluster) dump(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(c.net.Logs(), "*.log"))
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil {
			t.Logf("%s:\n%s", path, b[max(0, len(b)-3000):])
		}
	}
}

//go:build linux

// Package latency measures how long a failing canary goes on answering: from the fault to the guardian's decision, from
// there until the ingress shows it, and until the canary's last answer. It runs the real parts, and the embedded agent
// or the Nomad that WEIR_NOMAD names, with several models in rollout at the same time.
//
//	LATENCY_ROLLOUTS=100  rollouts of each fault; without it one of each, to check what must hold and not how long it takes
//	LATENCY_UPDATE=1      write the table to docs/latency.md and each rollout to docs/latency.jsonl
//	CONTRACT_NOMAD=path   a Nomad binary whose own auto_revert is measured, beside that of the system's Nomad;
//	NOMAD_ADDR=url        or a Nomad that runs, with CONSUL_HTTP_ADDR for its Consul
package latency

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/deployer/rollout"
)

// bin holds the programs under test, built once. foreign is the environment's own Nomad.
var (
	bin     string
	foreign = map[string]string{}
)

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	var err error
	if bin, err = os.MkdirTemp("", "weir-latency-bin-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(bin)
	// The system under test is one of its own, whatever the environment points at.
	for _, name := range []string{"NOMAD_ADDR", "CONSUL_HTTP_ADDR", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN"} {
		foreign[name] = os.Getenv(name)
		if err := os.Unsetenv(name); err != nil {
			return 1, err
		}
	}
	build := exec.Command("go", "build", "-o", bin+"/", "../../deployer", "../faulty")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// lanes is how many models are in rollout at the same time.
const lanes = 6

// plainPart is the part of the rollouts that Nomad does alone.
const plainPart = 20

func TestLatency(t *testing.T) {
	n, met := 1, plainFaults[:1]
	if text := os.Getenv("LATENCY_ROLLOUTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("LATENCY_ROLLOUTS=%q: want a number from 1", text)
		}
		met = plainFaults
	}
	if err := dev.Parts(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	rep := newReport()
	s := start(t, os.Getenv("WEIR_NOMAD") == "")
	rep.Nomad = s.nomadName()
	rep.Rollouts = s.rollouts(n)
	if want := n * len(faults); len(rep.Rollouts) != want {
		t.Errorf("%d rollouts, want %d: no model could go on", len(rep.Rollouts), want)
	}
	t.Logf("%d rollouts after %s", len(rep.Rollouts), time.Since(rep.Began).Round(time.Second))
	rep.Plain = s.alone(max(n/plainPart, 1), met)
	if name, ok := another(t); ok {
		rep.Plain = append(rep.Plain, start(t, false).alone(max(n/plainPart, 1), met)...)
		t.Logf("Nomad's own auto_revert was measured on %s too", name)
	}
	rep.Took = time.Since(rep.Began)
	rep.check(t)
	t.Logf("\n%s", rep.tables())
	if os.Getenv("LATENCY_UPDATE") != "" {
		if err := rep.update(); err != nil {
			t.Error(err)
		}
	}
}

// another points the environment at the other Nomad that is to be measured, if there is one.
func another(t *testing.T) (string, bool) {
	t.Helper()
	if path := os.Getenv("CONTRACT_NOMAD"); path != "" {
		t.Setenv("WEIR_NOMAD", path)
		return filepath.Base(path), true
	}
	if foreign["NOMAD_ADDR"] == "" {
		return "", false
	}
	for name, value := range foreign {
		t.Setenv(name, value)
	}
	return foreign["NOMAD_ADDR"], true
}

// rollouts runs n rollouts of each fault over all lanes.
func (s *system) rollouts(n int) []*trial {
	s.t.Helper()
	return run(lanes, n, faults, func(i int) (func(fault) (*trial, bool), func()) {
		l := s.lane(fmt.Sprintf("model-%d", i))
		return l.try, l.close
	})
}

// alone has Nomad alone update n jobs for each fault.
func (s *system) alone(n int, faults []fault) []plainTrial {
	s.t.Helper()
	return run(lanes, n, faults, func(i int) (func(fault) (plainTrial, bool), func()) {
		p := s.plain(fmt.Sprintf("plain-%d", i))
		return p.try, p.close
	})
}

// run spreads n tries of each fault over lanes. One that can't go on leaves what is to do to the others.
func run[T any](lanes, n int, faults []fault, open func(i int) (try func(fault) (T, bool), done func())) []T {
	todo := make(chan fault, n*len(faults))
	for range n {
		for _, f := range faults {
			todo <- f
		}
	}
	close(todo)
	var mu sync.Mutex
	var out []T
	var wg sync.WaitGroup
	for i := range min(lanes, cap(todo)) {
		try, done := open(i)
		wg.Go(func() {
			defer done()
			for f := range todo {
				result, ok := try(f)
				mu.Lock()
				out = append(out, result)
				mu.Unlock()
				if !ok {
					return
				}
			}
		})
	}
	wg.Wait()
	return out
}

// check fails the test where a promise was broken: nothing is lost, each rollout goes back, and a canary that is out
// answers nothing more. How long it took is in the table.
func (r *report) check(t *testing.T) {
	t.Helper()
	for _, tr := range r.Rollouts {
		if tr.Failed != "" || tr.End != rollout.RolledBack {
			t.Errorf("%s, %s: ended in %q (%s) %s", tr.Fault, tr.Release, tr.End, tr.Reason, tr.Failed)
		}
		if tr.Lost > 0 || tr.Sent == 0 {
			t.Errorf("%s, %s: %d of %d requests lost, the first: %s", tr.Fault, tr.Release, tr.Lost, tr.Sent, tr.First)
		}
		if tr.After > 0 {
			t.Errorf("%s, %s: %d answers after the rollout was over", tr.Fault, tr.Release, tr.After)
		}
	}
}

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/metrics"
)

// A canary that closes the connection of a fifth of its requests without an answer, counts no error and stays healthy
// is taken back by what the ingress counts. Its clients see nothing: stable answers what it leaves.
func TestResetsTakeTheCanaryBack(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	began := time.Now()
	out, code := s.deployer(ship("v1.1.0", "--bake", "2m", "--var", "command="+bin+"/faulty",
		"--var", `args=["-fault-after=50","-fault-kind=reset","-fault-share=0.2"]`)...)
	if code != 3 || !strings.Contains(out, "first attempts at the ingress failed") {
		t.Errorf("exit code %d, want 3 for its attempts; it said %s", code, out)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s, want it taken back early in the bake of 2 min", took)
	}
	s.serves(l, first)
	s.stable(first)
	noLoss(t, l.Stop())
	why := s.must("explain", model)
	for _, want := range []string{"step 1, 10 %: fail: errors:", "first attempts at the ingress failed", "0 of the canary's"} {
		if !strings.Contains(why, want) {
			t.Errorf("explain does not tell %q:\n%s", want, why)
		}
	}
	s.edgeTells(first)
}

// edgeTells checks that the ingress tells what it counts to whoever finds it in Consul: failed attempts of the canary,
// which another release made good, and no error of a client. status shows it.
func (s *system) edgeTells(stable string) {
	s.t.Helper()
	ingresses, err := s.consul.Ingresses(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var counting []metrics.Ingress
	for node, in := range ingresses {
		counting = append(counting, metrics.Ingress{Node: node, Addr: in.Metrics})
	}
	reader := metrics.NewScraper(0)
	defer reader.Close()
	totals, err := reader.Totals(s.t.Context(), counting, model)
	if err != nil || len(counting) != 1 || len(totals) != 2 {
		s.t.Errorf("%d ingresses count %d releases: %v", len(counting), len(totals), err)
	}
	for _, of := range totals {
		canary := of.Release != stable
		if of.Errors > 0 || of.Requests == 0 || of.Attempts == 0 || canary && (of.Failed == 0 || of.Away == 0) {
			s.t.Errorf("the ingress tells %+v", of)
		}
	}
	if status := s.must("status", model); !strings.Contains(status, "edge  "+stable) {
		s.t.Errorf("status does not show it:\n%s", status)
	}
}

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// Over 30 switches of all traffic: from the write to Consul until the ingress shows the epoch, and until the last
// answer of the release that was left; and no request is lost.
func TestSwitchLatency(t *testing.T) {
	const switches = 30
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	lease, second := s.twoReleases()
	l := s.load()
	var shown, last []time.Duration
	epoch := uint64(1000)
	for i := range switches {
		epoch++
		to, from, weight := second, first, 100
		if i%2 == 1 {
			to, from, weight = first, second, 0
		}
		s.until(10*time.Second, "answers of "+from, func() bool { return time.Since(l.Last(from)) < 50*time.Millisecond })
		began := time.Now()
		if err := lease.SetCanary(t.Context(), traffic.Canary{Release: second, Weight: weight, Epoch: epoch}); err != nil {
			t.Fatal(err)
		}
		s.until(5*time.Second, "the epoch to be shown", func() bool { return s.shows(epoch) })
		shown = append(shown, time.Since(began))
		time.Sleep(1500 * time.Millisecond) // longer than the promise: what comes later would be seen
		last = append(last, l.Last(from).Sub(began))
		if time.Since(l.Last(to)) > time.Second {
			t.Fatalf("switch %d: no answers of %s", i+1, to)
		}
	}
	noLoss(t, l.Stop())
	report(t, "KV write → epoch shown", shown)
	median, worst := report(t, "KV write → last answer of the old release", last)
	if median > 600*time.Millisecond || worst > time.Second {
		t.Errorf("the old release answered for %s (median) and %s (worst), want at most 0.6 s and 1 s", median, worst)
	}
}

func report(t *testing.T, what string, d []time.Duration) (median, worst time.Duration) {
	t.Helper()
	slices.Sort(d)
	median, worst = d[len(d)/2], d[len(d)-1]
	t.Logf("%s: median %s, worst %s", what, median.Round(time.Millisecond), worst.Round(time.Millisecond))
	return median, worst
}

func (s *system) shows(epoch uint64) bool {
	ingresses, err := s.consul.Ingresses(s.t.Context())
	keys, err2 := s.consul.Traffic(s.t.Context(), model)
	if err != nil || err2 != nil || len(ingresses) == 0 {
		return false
	}
	for _, in := range ingresses {
		if in.Epoch[model] != traffic.ServedEpoch(keys.Stable.Epoch, &traffic.Canary{Epoch: epoch}) {
			return false
		}
	}
	return true
}

// twoReleases brings a second release up beside the first and leaves the traffic to the test, which holds the lease.
func (s *system) twoReleases() (*consul.Lease, string) {
	s.t.Helper()
	deploy := s.background(ship("v1.1.0", "--manual")...)
	s.await(time.Minute, "the manual gate", func(r rollout.Record) bool { return r.Phase == rollout.Held })
	kill(s.t, deploy.Process.Pid)
	_ = deploy.Wait() // killed
	var lease *consul.Lease
	s.until(time.Minute, "the lease", func() bool {
		var err error
		lease, err = s.consul.Acquire(s.t.Context(), model, guard.Who())
		return err == nil
	})
	s.t.Cleanup(func() { lease.Release(s.t.Context()) })
	return lease, s.releaseOf("v1.1.0")
}

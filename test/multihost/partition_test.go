//go:build linux

package multihost

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// at50 starts a rollout on a host, whose first step is 50 %, and returns when that is served everywhere.
func (l *lab) at50(h host, bake string) *deployer {
	l.t.Helper()
	began := time.Now()
	d := l.background(h, l.ship("v1.1.0", "-v", "--steps", "50,100", "--bake", bake, "--watch", "1s")...)
	l.record(time.Minute, "50 %", in(rollout.Baking, 0, began))
	time.Sleep(settled) // the time itself is meant
	l.splits(l.second, ingresses...)
	return d
}

// A node is cut off in the middle of the 50 % step: the rollout is taken back by itself, and the ingresses leave out
// what is on the node.
func TestNodeCutOff(t *testing.T) {
	l := begin(t)
	d := l.at50(deployers[0], "40s")
	l.onNode(nodes[0])
	cut := time.Now()
	if err := l.net.Cut(nodes[0]); err != nil {
		t.Fatal(err)
	}
	l.exits(d, 90*time.Second, 3)
	t.Logf("cut → rolled back: %s", time.Since(cut).Round(100*time.Millisecond))
	l.serves(l.first, ingresses...)
	l.leftOut(nodes[0])
	back := time.Now()
	if err := l.net.Heal(nodes[0]); err != nil {
		t.Fatal(err)
	}
	l.wait(time.Minute, "Consul to be whole", func(ctx context.Context) error {
		_ = l.consulAPI.Agent().Join(nodes[0].Addr, false) // at once; by itself serf tries every 30 s
		return l.consulSite.Whole(ctx)
	})
	l.wait(time.Minute, "Nomad to be whole", l.nomadSite.Whole)
	l.ends(l.first)
	l.serves(l.first, ingresses...)
	for _, h := range ingresses {
		if last := l.last(h, l.second); last.After(back) {
			t.Errorf("%s sent a request to the canary %s after the node was back", h.Name, last.Sub(back))
		}
		t.Logf("%s: cut → last answer of the canary: %s", h.Name, l.last(h, l.second).Sub(cut).Round(time.Millisecond))
	}
	l.noLoss()
}

// onNode checks that instances of both releases are on a node.
func (l *lab) onNode(h host) {
	l.t.Helper()
	instances, err := l.consul.Instances(l.t.Context(), model)
	if err != nil {
		l.t.Fatal(err)
	}
	on := map[string]bool{}
	for _, in := range instances {
		if strings.HasPrefix(in.Addr, h.Addr+":") {
			on[in.Release] = true
		}
	}
	if !on[l.first] || !on[l.second] {
		l.t.Fatalf("on %s are %v, want instances of %s and %s", h.Name, on, l.first, l.second)
	}
}

// leftOut waits until no ingress tries an instance on a node any more, nor waits for one that it tried.
func (l *lab) leftOut(h host) {
	l.t.Helper()
	// A try that hangs is in the log when the ingress has given it up, after 10 s; the log's times are whole seconds.
	const quiet = 12 * time.Second
	for _, in := range ingresses {
		if last := l.attempts(in).last[h.Addr]; time.Since(last) < quiet {
			l.wait(40*time.Second, in.Name+" to leave out "+h.Name, func(context.Context) error {
				if last = l.attempts(in).last[h.Addr]; time.Since(last) < quiet {
					return fmt.Errorf("tried at %s", last)
				}
				return nil
			})
		}
	}
}

// An ingress loses Consul, and keeps its clients, in a step: it leaves the canary by itself, and the other goes on.
// The rollout does not take the lost one's silence for consent, and an abort waits until it can serve no canary.
func TestIngressCutOffFromConsul(t *testing.T) {
	l := begin(t)
	d := l.at50(deployers[0], "4s")
	lost, other := ingresses[0], ingresses[1]
	cut := time.Now()
	if err := l.net.Forget(lost, consulHosts...); err != nil {
		t.Fatal(err)
	}
	// The next step has a weight that the lost one can't know of.
	next := l.record(time.Minute, "the next step to settle", in(rollout.Settling, 1, cut))
	gone := l.goneBefore(lost, next)
	l.splitsOnlyOn(other, lost, cut)
	r := l.record(time.Minute, "the next step to bake", in(rollout.Baking, 1, cut))
	if r.Since.Before(gone.Add(-time.Second)) {
		t.Errorf("100 %% baked from %s on, before %s was gone at %s", r.Since, lost.Name, gone)
	}
	l.serves(l.second, other)
	l.serves(l.first, lost)

	reverted := l.background(ops, "revert", model, "--why", "an ingress is lost")
	l.record(10*time.Second, "the abort", func(r rollout.Record) bool { return r.Phase == rollout.Aborting })
	l.serves(l.first, other)
	l.keptUntil(gone.Add(rollout.LostFor - time.Second))
	end := l.record(time.Minute, "the end", func(r rollout.Record) bool { return r.Phase.Terminal() })
	t.Logf("%s was gone → the rollout was over: %s", lost.Name, end.Since.Sub(gone).Round(100*time.Millisecond))
	l.exits(reverted, 10*time.Second, 0)
	l.exits(d, 10*time.Second, 3)
	if err := l.net.Heal(lost); err != nil {
		t.Fatal(err)
	}
	l.wait(time.Minute, "the ingresses to be whole", l.ingressesWhole)
	l.ends(l.first)
	l.serves(l.first, ingresses...)
	l.noLoss()
}

// keptUntil checks that Nomad keeps the canary's instances up to a time: a lost ingress may still send requests to them.
func (l *lab) keptUntil(end time.Time) {
	l.t.Helper()
	for time.Now().Before(end) {
		rec, _, err := l.consul.Active(l.t.Context(), model)
		if err != nil {
			l.t.Fatal(err)
		}
		v, err := l.nomad.Look(l.t.Context(), model, rec.Attempt, l.first)
		if err != nil {
			l.t.Fatal(err)
		}
		if !v.State.Trial.Active() {
			l.t.Errorf("the canary's deployment is %s (%s) %s too early", v.State.Trial.Status, v.State.Trial.Reason,
				time.Until(end).Round(100*time.Millisecond))
			return
		}
		time.Sleep(100 * time.Millisecond) // the pace of looking
	}
}

// goneBefore waits until an ingress's key is gone and checks that the rollout did not bake its next step before.
func (l *lab) goneBefore(h host, settling rollout.Record) time.Time {
	l.t.Helper()
	l.until(30*time.Second, h.Name+" to be gone", func() bool {
		rec, _, err := l.consul.Active(l.t.Context(), model)
		_, alive := l.live()[h.Name]
		if err == nil && alive && rec.Phase == rollout.Baking && rec.Step == settling.Step {
			l.t.Fatalf("step %d bakes while %s still counts and serves %v", rec.Step+1, h.Name, l.live()[h.Name])
		}
		return !alive
	})
	return time.Now()
}

// splitsOnlyOn checks that one ingress goes on with the canary and that the lost one has left it in time.
func (l *lab) splitsOnlyOn(other, lost host, cut time.Time) {
	l.t.Helper()
	l.until(30*time.Second, lost.Name+" to leave the canary", func() bool {
		return time.Since(l.last(lost, l.second)) > 2*time.Second
	})
	took := l.last(lost, l.second).Sub(cut)
	l.t.Logf("cut → last answer of the canary on %s: %s", lost.Name, took.Round(time.Millisecond))
	if took > traffic.StaleAfter+2*settled { // a second to render, another for the old workers
		l.t.Errorf("%s sent requests to the canary for %s, want at most %s", lost.Name, took, traffic.StaleAfter)
	}
	if since := time.Since(l.last(other, l.second)); since > time.Second {
		l.t.Errorf("%s has left the canary %s ago too", other.Name, since)
	}
}

// The Consul leader is killed in the 50 % step.
func TestConsulLeaderKilled(t *testing.T) {
	l := begin(t)
	d := l.at50(deployers[0], "8s")
	old, err := l.leader()
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	kill(t, l.consulSite.Server(old).PID())
	var now host
	l.until(30*time.Second, "a new leader", func() bool {
		now, err = l.leader()
		return err == nil && now != old
	})
	t.Logf("%s is the leader in place of %s after %s", now.Name, old.Name, time.Since(killed).Round(time.Millisecond))
	l.exits(d, 90*time.Second, 0)
	l.serves(l.second, ingresses...)
	l.ends(l.second)
	l.noLoss()
}

// The deployer's host loses Consul, and keeps Nomad, in the 50 % step: its canary goes back, another deployer takes the
// rollout over and ends it, and the first one does nothing more when it is back.
func TestDeployerCutOffFromConsul(t *testing.T) {
	l := begin(t)
	first := l.at50(deployers[0], "6s")
	cut := time.Now()
	if err := l.net.Forget(deployers[0], consulHosts...); err != nil {
		t.Fatal(err)
	}
	since := l.awaitDeadMan(cut)
	l.serves(l.first, ingresses...)
	for _, h := range ingresses {
		took := l.last(h, l.second).Sub(since)
		t.Logf("%s: cut → last answer of the canary: %s", h.Name, took.Round(time.Millisecond))
		if took > 30*time.Second {
			t.Errorf("%s: the canary answered for %s, want at most 30 s", h.Name, took)
		}
	}
	second := l.background(deployers[1], l.ship("v1.1.0", "-v")...)
	r := l.record(time.Minute, "50 % again", in(rollout.Baking, 0, cut))
	if r.Weight != 50 {
		t.Errorf("the second deployer bakes at %d %%, want 50 %%", r.Weight)
	}
	holder := l.consul.Holder(t.Context(), model)
	said := len(first.said.String())
	if err := l.net.Heal(deployers[0]); err != nil {
		t.Fatal(err)
	}
	for ended := false; !ended; {
		select {
		case <-second.ended:
			ended = true
		case <-time.After(50 * time.Millisecond):
			if now := l.consul.Holder(t.Context(), model); now != holder && now != "" {
				t.Errorf("%s holds the lease, want %s to the end", now, holder)
				ended = true
			}
		}
	}
	l.exits(second, time.Minute, 0)
	l.exits(first, time.Minute, 0) // it has seen the rollout's end
	if acts := first.said.String()[said:]; strings.Contains(acts, "msg=phase") {
		t.Errorf("the first deployer drove on when it was back:\n%s", acts)
	}
	l.serves(l.second, ingresses...)
	l.ends(l.second)
	l.noLoss()
}

// awaitDeadMan waits for the end of the canary key, and returns from when on its time counts: from the cut, or from the
// last change of the Consul leader, with which the time of each session begins anew.
func (l *lab) awaitDeadMan(cut time.Time) time.Time {
	l.t.Helper()
	since, leads := cut, host{}
	l.until(90*time.Second, "the canary key to go", func() bool {
		now, err := l.leader()
		if err != nil {
			return false
		}
		if leads != now && leads != (host{}) {
			l.t.Logf("Consul's leader has changed from %s to %s, %s after the cut", leads.Name, now.Name, time.Since(cut))
			since = time.Now()
		}
		leads = now
		keys, err := l.consul.Traffic(l.t.Context(), model)
		return err == nil && keys.Canary == nil
	})
	return since
}

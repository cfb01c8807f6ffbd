//go:build linux

package multihost

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// A whole rollout over three nodes: every step waits for both ingresses, and no request is lost.
func TestRolloutOverThreeNodesAndTwoIngresses(t *testing.T) {
	l := begin(t)
	began := time.Now()
	d := l.background(deployers[0], l.ship("v1.1.0", "--bake", "3s", "--watch", "1s")...)
	for step, weight := range rollout.DefaultWeights {
		r := l.record(time.Minute, "the step to bake", func(r rollout.Record) bool {
			return r.Created.After(began) && (r.Step > step || r.Phase.Terminal() || r.Phase == rollout.Baking && r.Step == step)
		})
		if r.Phase != rollout.Baking || r.Step != step || r.Weight != weight {
			t.Fatalf("phase %s at step %d, %d %%: want step %d to bake at %d %%", r.Phase, r.Step, r.Weight, step, weight)
		}
		for name, in := range l.live() {
			if in.Epoch[model] != l.epoch(r) {
				t.Errorf("step %d bakes while %s serves %s, want %s", step+1, name, in.Epoch[model], l.epoch(r))
			}
		}
		if weight == 50 {
			time.Sleep(settled) // the time itself is meant
			l.splits(r.Release, ingresses...)
		}
		l.record(time.Minute, "the step to end", func(r rollout.Record) bool { return r.Step != step || r.Phase != rollout.Baking })
	}
	l.exits(d, time.Minute, 0)
	l.serves(l.second, ingresses...)
	l.ends(l.second)
	l.noLoss()
	l.evidence(2)
}

// epoch is what an ingress shows when it serves the record's weight.
func (l *lab) epoch(r rollout.Record) string {
	l.t.Helper()
	keys, err := l.consul.Traffic(l.t.Context(), model)
	if err != nil || keys.Stable == nil {
		l.t.Fatalf("read the traffic: %+v, %v", keys, err)
	}
	return traffic.ServedEpoch(keys.Stable.Epoch, &traffic.Canary{Epoch: r.Epoch})
}

// evidence checks that every step passed on the word of as many ingresses.
func (l *lab) evidence(served int) {
	l.t.Helper()
	rec, _, err := l.consul.Active(l.t.Context(), model)
	if err != nil || rec.Phase != rollout.Done || len(rec.Verdicts) != len(rollout.DefaultWeights) {
		l.t.Fatalf("phase %s, verdicts %+v (%v), want Done and one verdict for each step", rec.Phase, rec.Verdicts, err)
	}
	for _, v := range rec.Verdicts {
		if want := fmt.Sprintf("served by %d ingresses", served); !strings.Contains(v.Evidence, want) {
			l.t.Errorf("step %d passed by %q, want it %s", v.Step+1, v.Evidence, want)
		}
	}
}

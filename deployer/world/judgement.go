package world

import (
	"context"
	"maps"
	"slices"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/metrics"
	"github.com/weirhq/weir/deployer/rollout"
)

// judgeOf returns the judge of a rollout, which begins with the guardian: pending records have no stable release yet.
func (w *World) judgeOf(rec rollout.Record) (*judge.Judge, error) {
	if w.judge == nil && rec.Stable != "" {
		j, err := judge.New(rec)
		if err != nil {
			return nil, err
		}
		w.judge = j
		if j != nil {
			w.judging <- j
		}
	}
	return w.judge, nil
}

// runJudge runs the judge once there is one.
func (w *World) runJudge(ctx context.Context, wake func()) {
	select {
	case <-ctx.Done():
	case j := <-w.judging:
		j.Run(ctx, wake)
	}
}

// lookAtJudgement tells the judge what there is to judge, and the observation what it says.
func (w *World) lookAtJudgement(
	rec rollout.Record, instances []consul.Instance, served map[string]consul.Served, obs *rollout.Observation,
) error {
	if rec.Spec.Analysis == nil {
		return nil
	}
	j, err := w.judgeOf(rec)
	if err != nil || j == nil {
		return err
	}
	s := subject(rec, instances)
	s.Ingresses = counting(served)
	j.Follow(s)
	obs.Judged = j.Latest()
	return nil
}

// counting are the live ingresses that tell what they count.
func counting(served map[string]consul.Served) []metrics.Ingress {
	var out []metrics.Ingress
	for _, node := range slices.Sorted(maps.Keys(served)) {
		if addr := served[node].Metrics; addr != "" {
			out = append(out, metrics.Ingress{Node: node, Addr: addr})
		}
	}
	return out
}

// subject is what a record in its phase wants judged; nothing in most.
func subject(rec rollout.Record, instances []consul.Instance) judge.Subject {
	phase, golden, wanted := rec.Phase, false, false
	if phase == rollout.Held {
		phase = rec.HeldFrom
	}
	switch phase {
	case rollout.Verifying:
		golden, wanted = true, rec.Spec.Analysis.Golden
	case rollout.Baking, rollout.Judging, rollout.Watching:
		wanted = rec.Spec.Analysis.Steps
	default:
	}
	if !wanted {
		return judge.Subject{}
	}
	s := judge.Subject{Epoch: rec.Epoch, Step: rec.Step, Weight: rec.Weight, Golden: golden, Since: rec.Since}
	for _, in := range instances {
		if in.Status == "passing" && slices.Contains([]string{rec.Release, rec.Stable}, in.Release) {
			s.Targets = append(s.Targets, metrics.Target{Alloc: in.Alloc, Addr: in.Addr, Release: in.Release})
		}
	}
	return s
}

package rollout

import (
	"strings"
	"testing"
	"time"
)

func hooked(on ...Moment) Spec {
	s := testSpec()
	for _, m := range on {
		s.Hooks = append(s.Hooks, Hook{Name: "h", On: m, Command: []string{"true"}, Timeout: DefaultHookTimeout})
	}
	return s
}

func TestHooksRunOnceEachInTheirMoment(t *testing.T) {
	w := newWorld(t, hooked(HookPre, HookStep, HookPost, HookAbort))
	w.run(5*time.Minute, Done)
	var keys []string
	for _, run := range w.rec.HookRuns {
		keys = append(keys, run.Key)
	}
	if got := strings.Join(keys, " "); got != "pre/h step/4/h step/5/h step/6/h post/h" {
		t.Errorf("ran %s, want before the placing, in each step, and after the commit", got)
	}
}

func TestAHookThatFails(t *testing.T) {
	for moment, want := range map[Moment]Phase{HookPre: RolledBack, HookStep: RolledBack, HookPost: Done} {
		w := newWorld(t, hooked(moment))
		w.hookFails = true
		w.run(5*time.Minute, Done, RolledBack)
		w.wantPhase(t, want)
		if want == RolledBack {
			w.wantReason(t, `hook "h" failed: hooked`)
		}
		w.atEnd()
	}
}

func TestAHookOnAbortRunsWhenTheTrafficIsBack(t *testing.T) {
	w := judgedAt(t, hooked(HookAbort), Baking)
	w.ask(VerbRevert, 0)
	w.hookFails = true
	w.run(time.Minute, RolledBack)
	if r := w.rec.HookRuns; len(r) != 1 || r[0].Key != "abort/h" || r[0].OK {
		t.Errorf("ran %v, want the one on abort, which failed", r)
	}
}

// A gate or a hook that never ends must not keep a bad canary in the traffic.
func TestAHookThatHangsDoesNotKeepARolloutFromGoingBack(t *testing.T) {
	w := judgedAt(t, hooked(HookStep), Settling)
	w.hangs = true
	w.run(time.Minute, Judging)
	for range 3 {
		w.turn(0)
		w.pass(time.Minute)
	}
	w.wantPhase(t, Judging)
	w.of(newRelease)[0].passing = false
	w.turn(0)
	w.wantPhase(t, Aborting)
}

func TestPauseAndResume(t *testing.T) {
	for _, phase := range []Phase{Pending, Placing, Verifying, Shifting, Settling, Baking, Judging, Watching} {
		t.Run(string(phase), func(t *testing.T) {
			w := at(t, phase)
			w.ask(VerbPause, 0)
			w.run(time.Minute, Held)
			weight := w.rec.Weight
			for range 20 {
				w.turn(0)
				w.pass(time.Minute)
			}
			w.wantPhase(t, Held)
			if w.rec.Weight != weight || weight > 0 && (w.canary == nil || w.canary.Weight != weight) {
				t.Fatalf("weight %d, key %v, want it held", w.rec.Weight, w.canary)
			}
			w.ask(VerbResume, 0)
			w.turn(0)
			w.run(time.Minute, Baking, Done)
			w.run(2*time.Minute, Done)
		})
	}
}

func TestAGateIsApprovedOrRejectedByName(t *testing.T) {
	spec := testSpec()
	spec.ManualStart = true
	w := judgedAt(t, spec, Held)
	w.ask(VerbReject, 0)
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "rejected by ann")

	w = judgedAt(t, spec, Held)
	w.ask(VerbApprove, 0)
	w.run(2*time.Minute, Done)
}

func TestByForceBackToASideWithoutAHealthyInstance(t *testing.T) {
	w := at(t, Baking)
	for _, a := range append(w.of(oldRelease), w.of(newRelease)...) {
		a.passing = false
	}
	w.run(time.Minute, NeedsHuman)
	w.ask(VerbRevert, 0)
	w.turn(0)
	w.wantPhase(t, NeedsHuman)
	w.ask(VerbRevert, 0)
	w.rec.Requests[0].Force = true
	w.run(time.Minute, RolledBack)
	if w.stable != oldRelease || w.canary != nil {
		t.Errorf("stable %s, canary %v, want all on %s", w.stable, w.canary, oldRelease)
	}
}

package rollout

import (
	"strings"
	"testing"
	"time"
)

// judgedSpec is a spec whose steps are judged.
func judgedSpec() Spec {
	s := testSpec()
	s.Analysis = &Analysis{
		Steps: true, Extend: Duration(10 * time.Second), Sources: Duration(8 * time.Second), Inconclusive: OnHold,
	}
	return s
}

func judgedAt(t *testing.T, spec Spec, p Phase) *world {
	t.Helper()
	w := newWorld(t, spec)
	w.run(time.Minute, p)
	return w
}

func TestAFailingStepIsTakenBackBeforeItsBakeIsOver(t *testing.T) {
	w := judgedAt(t, judgedSpec(), Baking)
	w.pass(time.Second)
	w.outcome = Fail
	w.turn(0)
	w.wantPhase(t, Aborting)
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "the numbers")
	if v := w.rec.Verdicts; len(v) != 1 || v[0].Outcome != Fail || v[0].Weight != 10 || v[0].Epoch == 0 {
		t.Errorf("verdicts %+v, want the failure at 10 %%", v)
	}
	if w.rec.Evidence == nil {
		t.Error("the evidence is not kept")
	}
}

func TestAFailureIsSeenAtAGateAndInTheWatch(t *testing.T) {
	gate := judgedSpec()
	gate.Steps[0].Manual = true
	for name, w := range map[string]*world{
		"gate": judgedAt(t, gate, Held), "watch": judgedAt(t, judgedSpec(), Watching),
	} {
		w.outcome = Fail
		w.turn(0)
		if w.rec.Phase != Aborting {
			t.Errorf("%s: phase %s after a failure, want Aborting", name, w.rec.Phase)
		}
	}
}

// An old epoch's judgement says nothing about this one: the counters began anew.
func TestAJudgementCountsForItsEpochOnly(t *testing.T) {
	w := judgedAt(t, judgedSpec(), Baking)
	obs := w.look()
	obs.Judged = &Judgement{Epoch: w.rec.Epoch - 1, Outcome: Fail, Reason: "old"}
	if next, _ := Next(w.rec, obs, w.now); next.Phase != Baking {
		t.Errorf("phase %s by a judgement of the epoch before, want Baking", next.Phase)
	}
}

func TestNoDataIsNeverAPass(t *testing.T) {
	w := newWorld(t, judgedSpec())
	w.outcome = Inconclusive
	w.run(time.Minute, Judging)
	began := w.now
	w.run(time.Minute, Held)
	if took := w.now.Sub(began); took < 10*time.Second {
		t.Errorf("held after %s, want the budget of 10 s used", took)
	}
	w.wantReason(t, "step 1 has no verdict after 10s more: the numbers")
	w.ask(VerbApprove, 0)
	w.turn(0)
	w.outcome = Pass
	w.run(time.Minute, Done)
	if v := w.rec.Verdicts; v[0].Outcome != Inconclusive || v[1].Outcome != Pass ||
		!strings.HasPrefix(v[1].Evidence, "overridden by ann") {
		t.Errorf("verdicts %+v, want the operator's decision on record", v)
	}
}

func TestInconclusiveMayGoBackByItself(t *testing.T) {
	spec := judgedSpec()
	spec.Analysis.Inconclusive = OnAbort
	w := newWorld(t, spec)
	w.outcome = Inconclusive
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "step 1 has no verdict")
}

func TestAnInconclusiveStepPassesOnceItIsKnown(t *testing.T) {
	w := newWorld(t, judgedSpec())
	w.outcome = Inconclusive
	w.run(time.Minute, Judging)
	w.turn(0)
	w.pass(3 * time.Second)
	w.outcome = Pass
	w.turn(0)
	w.wantPhase(t, Shifting)
}

func TestSourcesDownFreezeTheBakeAndGoBackAfterTheirBudget(t *testing.T) {
	for _, phase := range []Phase{Baking, Judging} {
		w := newWorld(t, judgedSpec())
		if phase == Judging {
			w.outcome = Inconclusive
		}
		w.run(time.Minute, phase)
		w.outcome = SourceDown
		for range 7 {
			w.turn(0)
			w.pass(time.Second)
		}
		w.wantPhase(t, phase)
		w.run(5*time.Second, RolledBack)
		w.wantReason(t, "nothing can be judged: the numbers")
	}
}

func TestGoldenSetBeforeTheFirstRequest(t *testing.T) {
	spec := testSpec()
	spec.Analysis = &Analysis{Golden: true, Sources: Duration(8 * time.Second), Inconclusive: OnHold}
	for name, tt := range map[string]struct {
		outcome Outcome
		first   bool
		end     Phase
	}{
		"passes": {Pass, false, Done}, "fails": {Fail, false, RolledBack}, "no answer": {Inconclusive, false, RolledBack},
		"first passes": {Pass, true, Done}, "first fails": {Fail, true, RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, spec)
			if tt.first {
				w = firstWorld(t, spec)
			}
			w.outcome = tt.outcome
			w.run(2*time.Minute, Done, RolledBack)
			w.wantPhase(t, tt.end)
			if tt.end == RolledBack && w.rec.Weight+w.rec.Step > 0 {
				t.Errorf("weight %d, step %d, want no request", w.rec.Weight, w.rec.Step)
			}
			w.atEnd()
		})
	}
}

func TestShadowComesBeforeTheFirstRequest(t *testing.T) {
	spec, err := NewSpec(StrategyShadow, nil, Duration(3*time.Second), 0)
	if err != nil {
		t.Fatal(err)
	}
	spec.Count = instances
	w := judgedAt(t, spec, Baking)
	if w.canary == nil || !w.canary.Shadow || w.canary.Weight != 0 {
		t.Fatalf("key %v, want copies only", w.canary)
	}
	w.run(time.Minute, Judging)
	w.turn(0)
	w.run(time.Minute, Baking)
	if w.canary.Shadow || w.canary.Weight != 10 {
		t.Fatalf("key %v, want 10 %% and no copies", w.canary)
	}
	w.run(2*time.Minute, Done)
}

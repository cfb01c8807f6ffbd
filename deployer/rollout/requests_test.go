package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRequests(t *testing.T) {
	type asked struct {
		verb   Verb
		weight int
	}
	for _, tt := range []struct {
		in   Phase
		ask  asked
		want Phase // after one look
		text string
	}{
		{Pending, asked{verb: VerbRevert}, RolledBack, ""},
		{Pending, asked{verb: VerbPromote}, Placing, "nothing to promote in phase Pending"},
		{Placing, asked{verb: VerbRevert}, Aborting, ""},
		{Placing, asked{verb: VerbPause}, Placing, ""},
		{Shifting, asked{verb: VerbPause}, Settling, ""},
		{Baking, asked{verb: VerbPause}, Held, "paused by ann"},
		{Baking, asked{verb: VerbResume}, Baking, "it is not paused"},
		{Baking, asked{verb: VerbApprove}, Baking, "no gate waits"},
		{Baking, asked{verb: VerbReject}, Baking, "no gate waits"},
		{Placing, asked{verb: VerbWeights, weight: 10}, Placing, "the canary is not up yet"},
		{Placing, asked{verb: VerbFull}, Placing, ""},
		{Verifying, asked{verb: VerbWeights, weight: 10}, Shifting, "the canary is not up yet"},
		{Shifting, asked{verb: VerbPromote}, Settling, "nothing to promote in phase Shifting"},
		{Settling, asked{verb: VerbRevert}, Aborting, ""},
		{Settling, asked{verb: VerbFull}, Settling, ""},
		{Baking, asked{verb: VerbPromote}, Judging, ""},
		{Baking, asked{verb: VerbFull}, Settling, ""},
		{Baking, asked{verb: VerbRevert}, Aborting, ""},
		{Baking, asked{verb: VerbWeights, weight: 70}, Settling, ""},
		{Baking, asked{verb: VerbWeights, weight: 101}, Baking, "want a weight from 0 to 100"},
		{Baking, asked{verb: "dance"}, Baking, "unknown verb"},
		{Judging, asked{verb: VerbRevert}, Aborting, ""},
		{Watching, asked{verb: VerbPromote}, Promoting, ""},
		{Watching, asked{verb: VerbRevert}, Aborting, ""},
		{Promoting, asked{verb: VerbRevert}, Aborting, ""},
		{Promoting, asked{verb: VerbWeights, weight: 5}, Promoting, "the rollout is committing"},
		{Aborting, asked{verb: VerbFull}, Aborting, "the rollout is going back"},
		{Aborting, asked{verb: VerbWeights, weight: 100}, Aborting, "the rollout is going back"},
	} {
		t.Run(fmt.Sprintf("%s/%s %d", tt.in, tt.ask.verb, tt.ask.weight), func(t *testing.T) {
			w := at(t, Baking)
			if tt.in == Aborting {
				w.ask(VerbRevert, 0)
				w.turn(0)
			} else {
				w = at(t, tt.in)
			}
			w.ask(tt.ask.verb, tt.ask.weight)
			seen := len(w.rec.Events)
			w.turn(0)
			w.wantPhase(t, tt.want)
			said := ""
			for _, e := range w.rec.Events[seen:] {
				said += e.What + "\n"
			}
			if !strings.Contains(said, tt.text) {
				t.Errorf("events %q, want one with %q", said, tt.text)
			}
			if len(w.rec.Requests) > 0 {
				t.Errorf("requests %v are left", w.rec.Requests)
			}
			w.run(5*time.Minute, Done, RolledBack, Held)
		})
	}
}

func TestFullSkipsGatesAndBakes(t *testing.T) {
	s := testSpec()
	s.ManualStart, s.Steps[2].Manual = true, true
	s.Steps[2].Bake, s.Watch = Duration(time.Hour), Duration(time.Hour)
	w := newWorld(t, s)
	w.ask(VerbFull, 0)
	w.run(time.Minute, Done)
	if len(w.rec.Verdicts) != 1 {
		t.Errorf("verdicts %v, want that at 100 %%", w.rec.Verdicts)
	}
}

func TestRevertIsRefusedOnceNomadHasPromoted(t *testing.T) {
	w := at(t, Promoting)
	for !w.find("d1").Promoted {
		w.turn(0)
		if !w.find("d1").Promoted {
			w.pass(200 * time.Millisecond)
		}
	}
	w.ask(VerbRevert, 0)
	w.turn(0)
	w.wantPhase(t, Promoting)
	w.run(time.Minute, Done)
}

func TestGates(t *testing.T) {
	s := testSpec()
	s.ManualStart, s.Steps[0].Manual = true, true
	w := newWorld(t, s)
	w.run(time.Minute, Held)
	if w.canary != nil {
		t.Fatalf("key %v before the operator promoted", w.canary)
	}
	w.ask(VerbPromote, 0)
	w.turn(0)
	w.run(time.Minute, Held)
	if w.canary == nil || w.canary.Weight != 10 || len(w.rec.Verdicts) != 1 {
		t.Fatalf("key %v, verdicts %v, want 10 %% judged", w.canary, w.rec.Verdicts)
	}
	w.ask(VerbPromote, 0)
	w.run(2*time.Minute, Done)
}

func TestPromoteAfterAWeightByHand(t *testing.T) {
	for weight, want := range map[int]int{0: 10, 10: 50, 30: 50, 70: 100, 100: 100} {
		w := byHand(t, weight)
		w.ask(VerbPromote, 0)
		w.turn(0)
		w.run(time.Minute, Baking)
		if w.rec.Weight != want {
			t.Errorf("goes on from %d with %d, want %d", weight, w.rec.Weight, want)
		}
		w.run(2*time.Minute, Done)
	}
}

// The intended weight is 0 and the key is gone with its guardian, but an ingress may still serve an earlier weight.
func TestGoingBackFromWeightZeroWaitsForTheIngresses(t *testing.T) {
	w := at(t, Baking)
	w.ingresses[0].lag = true
	w.ask(VerbWeights, 0)
	w.turn(2)
	w.pass(time.Second)
	w.guard()
	w.ask(VerbRevert, 0)
	for range 30 { // the model's FailDeployment fails the test while the ingress lags
		w.turn(0)
		w.pass(time.Second)
	}
	w.wantPhase(t, Aborting)
	w.ingresses[0].lag = false
	w.run(time.Minute, RolledBack)
	w.atEnd()
}

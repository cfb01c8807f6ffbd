package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// small is the spec of a rollout with one canary for the two instances of stable.
func small(force bool) Spec {
	s := testSpec()
	s.Steps = slices.Clone(s.Steps)
	s.Canaries, s.Force = 1, force
	s.Size(instances)
	return s
}

func TestAStepAboveTheCanarysShareIsRefusedUnlessForced(t *testing.T) {
	for name, tt := range map[string]struct {
		count, canaries, stable int
		force                   bool
		want                    string
	}{
		"as many canaries as instances": {4, 0, 4, false, ""},
		"one of four":                   {4, 1, 4, false, "step 2: 50 % of the requests are too much for 1 instances, which are sized for 25 %"},
		"one of four, by force":         {4, 1, 4, true, ""},
		"a smaller release":             {2, 0, 4, false, "step 3: 100 % of the requests are too much for 2 instances"},
		"a larger release":              {4, 2, 2, false, "step 3: 100 %"},
		"a first release":               {4, 1, 0, false, ""},
		"one of a thousand":             {1000, 1, 1000, false, "sized for 1 %"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec()
			s.Count, s.Canaries, s.Force = tt.count, tt.canaries, tt.force
			s.Size(tt.stable)
			err := s.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFewerCanariesThanInstances(t *testing.T) {
	w := newWorld(t, small(true))
	w.run(time.Minute, Promoting)
	if n, old := len(w.of(newRelease)), len(w.of(oldRelease)); n != 1 || old != instances {
		t.Errorf("%d canaries beside %d instances, want 1 beside %d", n, old, instances)
	}
	if !slices.ContainsFunc(w.rec.Events, func(e Event) bool { return strings.Contains(e.What, "by force: 100 %") }) {
		t.Errorf("events %v, want the force and what for", w.rec.Events)
	}
	w.run(time.Minute, Done)
	w.atEnd()
	if n := len(w.of(newRelease)); n != instances {
		t.Errorf("done with %d instances, want %d", n, instances)
	}
}

func TestAWeightByHandAboveTheShareIsRefusedUnlessForced(t *testing.T) {
	for _, force := range []bool{false, true} {
		w := newWorld(t, small(true))
		w.run(time.Minute, Baking)
		q := Request{Verb: VerbWeights, Weight: 60, Force: force, By: "ann", At: w.now}
		w.operator, w.rec.Requests = true, []Request{q}
		w.turn(0)
		refused := q.Refusal(w.rec.Events)
		if force && (refused != "" || w.rec.Weight != 60) {
			t.Errorf("by force: weight %d, refused %q", w.rec.Weight, refused)
		}
		if !force && (!strings.Contains(refused, "want --force") || w.rec.Weight != 10) {
			t.Errorf("weight %d, refused %q", w.rec.Weight, refused)
		}
	}
}

// Nomad itself refuses to scale a job with a deployment under way. Registered with another count, it places other
// canaries: that takes the rollout back.
func TestScalingDuringARolloutTakesItBack(t *testing.T) {
	for _, p := range []Phase{Placing, Baking, Watching, Promoting} {
		t.Run(string(p), func(t *testing.T) {
			w := at(t, p)
			w.turn(0)
			w.pass(0)
			w.find("d1").Wanted = instances + 1
			w.run(time.Minute, RolledBack)
			w.wantReason(t, "changed the job's count from 2 to 3")
			w.atEnd()
		})
	}
}

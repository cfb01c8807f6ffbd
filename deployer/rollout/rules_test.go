package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestABakeStandsStill(t *testing.T) {
	for name, tt := range map[string]struct{ begin, end func(*world) }{
		"an ingress serves another epoch": {
			func(w *world) { w.ingresses[0].epoch, w.ingresses[0].lag = "3/1", true },
			func(w *world) { w.ingresses[0].lag = false },
		},
		"Nomad is down":   {func(w *world) { w.down = true }, func(w *world) { w.down = false }},
		"Consul is blank": {func(w *world) { w.blank = true }, func(w *world) { w.blank = false }},
	} {
		t.Run(name, func(t *testing.T) {
			w := at(t, Baking)
			w.pass(2 * time.Second)
			w.turn(0)
			tt.begin(w)
			for range 80 { // 8 s, in which the bake would have ended
				w.turn(0)
				w.pass(100 * time.Millisecond)
			}
			w.wantPhase(t, Baking)
			tt.end(w)
			w.pass(0)
			w.turn(0)
			if left := w.rec.Deadline.Sub(w.now); left != 3*time.Second {
				t.Errorf("bakes for %s more, want 3s", left)
			}
			w.run(time.Minute, Judging)
			if got := time.Duration(w.rec.Baked); got < 5*time.Second || got > 6*time.Second {
				t.Errorf("baked for %s, want the time in which the weight was served", got)
			}
		})
	}
}

func TestBudgets(t *testing.T) {
	for name, tt := range map[string]struct {
		phase Phase
		do    func(*world)
		least time.Duration
		want  string
	}{
		"an ingress does not settle": {
			Settling, func(w *world) { w.ingresses[1].lag = true }, 10 * time.Second, "did not move within 10s",
		},
		"no ingress": {Settling, func(w *world) {
			for _, in := range w.ingresses {
				in.lost, in.lostAt = true, w.now
			}
		}, 10 * time.Second, "no ingress is alive"},
		"the key can't be written": {Settling, func(w *world) { w.refuse = true }, 10 * time.Second, "could not be written"},
		"an ingress falls back": {
			Baking, func(w *world) { w.ingresses[1].epoch, w.ingresses[1].lag = "3/1", true }, 10 * time.Second, "stood still",
		},
		"Consul stays blank":     {Watching, func(w *world) { w.blank = true }, 10 * time.Second, "shows no instance"},
		"Nomad stays away":       {Baking, func(w *world) { w.down = true }, 20 * time.Second, "Nomad has been out of reach"},
		"Nomad away at the gate": {Watching, func(w *world) { w.down = true }, 20 * time.Second, "Nomad has been out of reach"},
	} {
		t.Run(name, func(t *testing.T) {
			w := at(t, tt.phase)
			began := w.now
			for !back(w.rec.Phase) {
				tt.do(w)
				w.turn(0)
				w.pass(250 * time.Millisecond)
				if w.now.Sub(began) > time.Minute {
					t.Fatalf("phase %s after a minute", w.rec.Phase)
				}
			}
			if took := w.now.Sub(began); took < tt.least || took > tt.least+2*time.Second {
				t.Errorf("went back after %s, want about %s", took, tt.least)
			}
			w.wantReason(t, tt.want)
		})
	}
}

func TestABlindMomentBeforeTrafficHarmsNothing(t *testing.T) {
	w := at(t, Verifying)
	w.down = true
	for range 40 {
		w.turn(0)
		w.pass(time.Second)
	}
	w.wantPhase(t, Verifying)
	w.down = false
	w.run(2*time.Minute, Done)
}

func TestConsulsBlankListIsNoReasonToAct(t *testing.T) {
	for _, p := range []Phase{Verifying, Settling, Baking, Judging, Watching, Promoting} {
		t.Run(string(p), func(t *testing.T) {
			w := at(t, p)
			w.blank = true
			for range 5 {
				w.turn(0)
				w.pass(time.Second)
			}
			if back(w.rec.Phase) || w.stable != oldRelease {
				t.Fatalf("phase %s, stable %s (%s)", w.rec.Phase, w.stable, w.rec.Reason)
			}
			w.blank = false
			w.run(2*time.Minute, Done)
		})
	}
}

func TestTheCanaryKeyTakenAwayStopsARollout(t *testing.T) {
	for _, p := range []Phase{Baking, Watching, Promoting, Held} {
		t.Run(string(p), func(t *testing.T) {
			s := testSpec()
			s.Steps[1].Manual = p == Held
			w := newWorld(t, s)
			w.run(2*time.Minute, p)
			w.canary = nil
			w.turn(0)
			w.wantPhase(t, Aborting)
			w.wantReason(t, "deleted or changed by somebody else")
			w.run(time.Minute, RolledBack)
			w.atEnd()
		})
	}
}

func TestAPromoteByHandIsFollowed(t *testing.T) {
	for _, p := range []Phase{Verifying, Settling, Baking, Watching} {
		t.Run(string(p), func(t *testing.T) {
			w := at(t, p)
			if err := w.promote("d1"); err != nil {
				t.Fatal(err)
			}
			w.turn(0)
			w.turn(0)
			if w.stable != newRelease {
				t.Fatalf("stable is %s, whose instances are being stopped", w.stable)
			}
			w.run(time.Minute, Done)
			w.atEnd()
		})
	}
}

// Nomad moves the canaries of a drained node within the same deployment, which stays as healthy as it was.
func TestADrainedCanaryIsTakenBack(t *testing.T) {
	for _, p := range []Phase{Verifying, Settling, Baking, Watching} {
		w := at(t, p)
		a := w.of(newRelease)[0]
		a.stopped = true
		w.allocs = append(w.allocs, &alloc{of: a.of, canary: true, startedAt: w.now})
		w.turn(0)
		w.wantPhase(t, Aborting)
		w.wantReason(t, "1 of 2 instances of the canary pass")
		w.run(time.Minute, RolledBack)
		w.atEnd()
	}
}

func TestFirstRelease(t *testing.T) {
	w := firstWorld(t, testSpec())
	w.run(time.Minute, Done)
	if w.stable != newRelease || w.rec.Stable != None {
		t.Errorf("stable %s, before it %s", w.stable, w.rec.Stable)
	}
	if a, ok := w.acts[0].(AdoptStable); !ok || a.Release != None {
		t.Errorf("first act %#v, want that nothing gets traffic", w.acts[0])
	}
	for _, a := range w.acts {
		if _, ok := a.(SetCanary); ok {
			t.Errorf("act %#v in a first release", a)
		}
	}
}

func TestFirstReleaseThatFails(t *testing.T) {
	for _, p := range []Phase{Placing, Promoting} {
		for _, committed := range []bool{false, true} {
			w := firstWorld(t, testSpec())
			w.run(time.Minute, p)
			w.turn(0)
			if committed {
				w.turn(0)
			}
			w.pass(0)
			w.fail(w.find("d0"), "Failed due to unhealthy allocations")
			if p == Promoting { // Nomad holds it for successful
				w.of(newRelease)[0].passing = false
			}
			w.run(time.Minute, RolledBack)
			if w.stable != None || len(w.of(newRelease)) > 0 {
				t.Errorf("%s: stable %s, %d instances left", p, w.stable, len(w.of(newRelease)))
			}
		}
	}
}

func TestTakeoverOfAFirstRelease(t *testing.T) {
	w := firstWorld(t, testSpec())
	w.run(time.Minute, Promoting)
	w.turn(1)
	w.guard()
	w.run(time.Minute, Done)
	if w.rec.Weight != 0 || len(w.rec.Verdicts) > 0 {
		t.Errorf("weight %d, verdicts %v in a first release", w.rec.Weight, w.rec.Verdicts)
	}
}

func TestAdoption(t *testing.T) {
	t.Run("what serves without a record", func(t *testing.T) {
		w := newWorld(t, testSpec())
		w.stable, w.stableEpoch, w.topEpoch = "", 0, 0
		w.run(2*time.Minute, Done)
		if w.rec.Stable != oldRelease {
			t.Errorf("went from %s, want %s", w.rec.Stable, oldRelease)
		}
	})
	t.Run("Consul is blank", func(t *testing.T) {
		w := newWorld(t, testSpec())
		w.stable, w.stableEpoch, w.topEpoch, w.blank = "", 0, 0, true
		for range 10 {
			w.turn(0)
			w.pass(time.Second)
		}
		if w.stable != "" {
			t.Fatalf("stable is written as %q while Consul shows nothing", w.stable)
		}
		for range 60 {
			w.turn(0)
			w.pass(time.Second)
		}
		w.wantPhase(t, RolledBack)
		w.wantReason(t, "none of its instances passes")
	})
	t.Run("a job that is elsewhere", func(t *testing.T) {
		w := newWorld(t, testSpec())
		w.stable, w.stableEpoch, w.topEpoch, w.elsewhere = "", 0, 0, true
		w.run(time.Minute, RolledBack)
		w.wantReason(t, "not in this Nomad namespace")
		if w.stable != "" || len(w.acts) > 0 {
			t.Errorf("stable %q, acts %#v", w.stable, w.acts)
		}
	})
	t.Run("the same again after a failure", func(t *testing.T) {
		w := firstWorld(t, testSpec())
		w.refuse = true
		w.turn(0)
		epoch := w.rec.Epoch
		w.refuse = true
		w.turn(0)
		if w.rec.Epoch != epoch {
			t.Errorf("epoch %d after %d, though nothing was written", w.rec.Epoch, epoch)
		}
	})
}

func TestTheStableReleaseIsNotRolledOutAgain(t *testing.T) {
	w := newWorld(t, testSpec())
	w.rec.Release = oldRelease
	w.turn(0)
	w.wantPhase(t, Done)
	w.wantReason(t, "stable already")
	if len(w.acts) > 0 {
		t.Errorf("acts %#v", w.acts)
	}
}

func TestAnOlderKeyOfADeadGuardianIsOvertaken(t *testing.T) {
	w := at(t, Shifting)
	w.canary = &CanaryKey{Release: newRelease, Weight: 10, Epoch: 9}
	w.topEpoch = 9
	w.run(time.Minute, Baking)
	if w.canary.Epoch <= 9 {
		t.Errorf("epoch %d, want above 9", w.canary.Epoch)
	}
}

func TestTheEventsOfARecordAreBounded(t *testing.T) {
	var r Record
	for i := range 2 * maxEvents {
		r.log(start, fmt.Sprint(i), "")
	}
	if len(r.Events) != maxEvents || r.Events[0].What != "0" || r.Events[maxEvents-1].What != fmt.Sprint(2*maxEvents-1) {
		t.Errorf("%d events, from %q to %q", len(r.Events), r.Events[0].What, r.Events[len(r.Events)-1].What)
	}
}

func TestNextDoesNotChangeWhatItIsGiven(t *testing.T) {
	w := at(t, Judging)
	w.rec.Requests = []Request{{Verb: VerbPromote}}
	before, err := json.Marshal(w.rec)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := Next(w.rec, w.look(), w.now)
	two, _ := Next(w.rec, w.look(), w.now)
	after, _ := json.Marshal(w.rec)
	if string(before) != string(after) {
		t.Errorf("the record given changed from\n%s to\n%s", before, after)
	}
	a, _ := json.Marshal(one)
	b, _ := json.Marshal(two)
	if string(a) != string(b) {
		t.Errorf("the same look gives\n%s and\n%s", a, b)
	}
}

func TestSpecCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*Spec)
		want string
	}{
		"good":               {func(*Spec) {}, ""},
		"unknown strategy":   {func(s *Spec) { s.Strategy = "red" }, `strategy "red"`},
		"no steps":           {func(s *Spec) { s.Steps = nil }, "no steps"},
		"blue-green by step": {func(s *Spec) { s.Strategy = StrategyBlueGreen }, "has 3 steps"},
		"no instance":        {func(s *Spec) { s.Count = 0 }, "count 0"},
		"no time to place":   {func(s *Spec) { s.Place = 0 }, "times"},
		"falling weights":    {func(s *Spec) { s.Steps[1].Weight = 10 }, "want above 10"},
		"above all":          {func(s *Spec) { s.Steps[2].Weight = 101 }, "at most 100"},
		"negative bake":      {func(s *Spec) { s.Steps[0].Bake = -1 }, "bakes for"},
		"every namespace":    {func(s *Spec) { s.Namespace = "*" }, `namespace "*"`},
		"not to the end":     {func(s *Spec) { s.Steps = s.Steps[:2] }, "the last step has weight 50"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec()
			s.Steps = slices.Clone(s.Steps)
			tt.set(&s)
			err := s.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	s, err := NewSpec(StrategyBlueGreen, nil, 0, 0)
	if err != nil || len(s.Steps) != 1 || s.Steps[0].Weight != 100 {
		t.Errorf("blue-green: %+v, %v", s, err)
	}
}

func TestDuration(t *testing.T) {
	b, err := json.Marshal(Duration(90 * time.Second))
	if err != nil || string(b) != `"1m30s"` {
		t.Errorf("%s, %v", b, err)
	}
	for _, bad := range []string{`5`, `"5"`, `"x"`} {
		var d Duration
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s is read as %s", bad, time.Duration(d))
		}
	}
}

func TestWake(t *testing.T) {
	r := Record{Spec: testSpec()}
	if !Wake(r).IsZero() {
		t.Error("a record without a deadline has a time to wake at")
	}
	r.Deadline = start.Add(time.Hour)
	if got := Wake(r); !got.Equal(r.Deadline) {
		t.Errorf("wakes at %s", got)
	}
	r.Blind = start
	if got := Wake(r); !got.Equal(start.Add(20 * time.Second)) {
		t.Errorf("wakes at %s while Nomad is away", got)
	}
}

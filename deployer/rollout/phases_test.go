package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// at returns a world whose rollout has just come to a phase.
func at(t *testing.T, p Phase) *world {
	t.Helper()
	w := newWorld(t, testSpec())
	if p != Pending {
		w.run(2*time.Minute, p)
	}
	return w
}

func heldAt(t *testing.T, spec func(*Spec)) *world {
	t.Helper()
	s := testSpec()
	spec(&s)
	w := newWorld(t, s)
	w.run(2*time.Minute, Held)
	return w
}

func (w *world) wantReason(t *testing.T, part string) {
	t.Helper()
	if !strings.Contains(w.rec.Reason, part) {
		t.Errorf("reason %q, want one with %q", w.rec.Reason, part)
	}
}

func (w *world) wantPhase(t *testing.T, want Phase) {
	t.Helper()
	if w.rec.Phase != want {
		t.Fatalf("phase %s (%s), want %s", w.rec.Phase, w.rec.Reason, want)
	}
}

func TestARolloutGoesThroughItsPhases(t *testing.T) {
	for name, tt := range map[string]struct {
		weights []int
		set     func(*Spec)
	}{
		"canary":     {[]int{10, 50, 100}, func(*Spec) {}},
		"blue-green": {[]int{100}, func(s *Spec) { s.Strategy, s.Steps = StrategyBlueGreen, s.Steps[2:] }},
		"no bake":    {[]int{10, 50, 100}, func(s *Spec) { s.Watch, s.Steps = 0, unbaked() }},
	} {
		t.Run(name, func(t *testing.T) {
			spec := testSpec()
			tt.set(&spec)
			w := newWorld(t, spec)
			w.run(2*time.Minute, Done)
			w.atEnd()
			var weights []int
			for _, v := range w.rec.Verdicts {
				weights = append(weights, v.Weight)
				if v.Outcome != Pass || v.Evidence == "" {
					t.Errorf("verdict %+v, want a pass with its evidence", v)
				}
			}
			if !slices.Equal(weights, tt.weights) {
				t.Errorf("verdicts at %v, want %v", weights, tt.weights)
			}
			last := w.acts[len(w.acts)-2:]
			if _, ok := last[0].(SetStable); !ok {
				t.Errorf("last acts %#v, want SetStable and then Promote", last)
			}
			if _, ok := last[1].(Promote); !ok {
				t.Errorf("last acts %#v, want SetStable and then Promote", last)
			}
		})
	}
}

// unbaked are the default steps without a bake.
func unbaked() []Step { return []Step{{Weight: 10}, {Weight: 50}, {Weight: 100}} }

func TestAStepsTimeIsCountedFromWhenItIsServed(t *testing.T) {
	w := at(t, Settling)
	w.ingresses[1].lag = true
	for range 5 {
		w.pass(time.Second)
		w.turn(0)
	}
	w.wantPhase(t, Settling)
	w.ingresses[1].lag = false
	w.pass(0)
	w.turn(0)
	w.wantPhase(t, Baking)
	if d := w.rec.Deadline.Sub(w.now); d != 5*time.Second {
		t.Errorf("bakes for %s more, want 5s", d)
	}
}

func TestKillSwitchInEveryPhase(t *testing.T) {
	troubles := map[string]struct {
		do   func(*world)
		want string
	}{
		"critical": {func(w *world) { w.of(newRelease)[0].passing = false }, "critical in Consul"},
		"dead":     {func(w *world) { w.of(newRelease)[1].dead = true }, "dead in Nomad"},
		"missing":  {func(w *world) { w.of(newRelease)[0].stopped = true }, "1 of 2 instances"},
		"failed": {func(w *world) {
			w.fail(w.find(w.look().Nomad.Trial.ID), "Failed due to unhealthy allocations")
		}, "Failed due to unhealthy allocations"},
		"superseded": {func(w *world) {
			w.register(version{release: "v9-cccccccc", attempt: "x", canaries: instances})
		}, "newer version"},
	}
	places := map[string]func(t *testing.T) *world{
		"Held before traffic": func(t *testing.T) *world { return heldAt(t, func(s *Spec) { s.ManualStart = true }) },
		"Held at a gate":      func(t *testing.T) *world { return heldAt(t, func(s *Spec) { s.Steps[0].Manual = true }) },
		"Held by hand": func(t *testing.T) *world {
			w := at(t, Baking)
			w.ask(VerbWeights, 30)
			w.run(time.Minute, Held)
			return w
		},
		"committed": func(t *testing.T) *world {
			w := at(t, Promoting)
			w.turn(0)
			w.turn(0)
			return w
		},
	}
	for _, p := range []Phase{Verifying, Shifting, Settling, Baking, Judging, Watching, Promoting} {
		places[string(p)] = func(t *testing.T) *world { return at(t, p) }
	}
	for place, get := range places {
		for trouble, tt := range troubles {
			t.Run(place+"/"+trouble, func(t *testing.T) {
				w := get(t)
				tt.do(w)
				w.turn(0)
				if !back(w.rec.Phase) {
					t.Fatalf("phase %s after the first look, want Aborting", w.rec.Phase)
				}
				w.wantReason(t, tt.want)
				w.run(time.Minute, RolledBack)
				if trouble != "superseded" {
					w.atEnd()
				}
			})
		}
	}
}

func TestPlacingFailsByNomadOrByTime(t *testing.T) {
	w := at(t, Placing)
	w.turn(0)
	w.pass(100 * time.Millisecond)
	w.fail(w.find("d1"), "Failed due to unhealthy allocations")
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "unhealthy allocations")

	w = at(t, Placing)
	w.turn(0)
	for range 70 {
		w.pass(time.Second)
		for _, a := range w.of(newRelease) {
			a.passing = false
		}
		w.turn(0)
	}
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "not healthy after 1m0s: 0 of 2 instances pass")
	w.atEnd()
}

func TestNomadIsAskedAgainWhereTheRegistrationWasLost(t *testing.T) {
	w := at(t, Placing)
	w.refuse = true
	w.turn(0)
	w.run(time.Minute, Verifying)
}

func TestAbortOrder(t *testing.T) {
	w := at(t, Baking)
	w.ingresses[0].lag = true
	w.ingresses[1].lost, w.ingresses[1].lostAt = true, w.now
	w.ask(VerbRevert, 0)
	w.acts = nil
	began := w.now
	for w.ingresses[0].lag || w.now.Sub(began) < LostFor {
		w.turn(0)
		w.pass(time.Second)
		w.ingresses[0].lag = w.now.Sub(began) < 5*time.Second
		for _, a := range w.acts {
			if _, ok := a.(SetStable); !ok {
				t.Fatalf("%#v before the lost ingress was waited for", a)
			}
		}
	}
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "reverted by ann")
	if _, ok := w.acts[0].(SetStable); !ok || len(w.acts) != 3 {
		t.Fatalf("acts %#v, want SetStable, Collect and FailDeployment", w.acts)
	}
	if _, ok := w.acts[2].(FailDeployment); !ok {
		t.Fatalf("acts %#v, want SetStable, Collect and FailDeployment", w.acts)
	}
	w.atEnd()
}

func TestAbortMovesTrafficWithoutNomad(t *testing.T) {
	w := at(t, Baking)
	w.down = true
	w.of(newRelease)[0].passing = false
	w.run(time.Second, Aborting)
	for range 3 {
		w.turn(0)
		w.pass(time.Second)
	}
	if w.canary != nil || w.ingresses[0].canary != "" {
		t.Fatal("the canary still gets requests")
	}
	w.wantPhase(t, Aborting)
	w.down = false
	w.run(time.Minute, RolledBack)
}

func TestWithoutAutoRevertTheJobIsRestored(t *testing.T) {
	w := at(t, Baking)
	w.autoRevert = false
	w.ask(VerbRevert, 0)
	w.run(time.Minute, RolledBack)
	if !slices.ContainsFunc(w.acts, func(a Action) bool { _, ok := a.(RestoreJob); return ok }) {
		t.Errorf("acts %#v, want a RestoreJob among them", w.acts)
	}
	w.atEnd()
}

// The trap: after a promote the rollback comes up as canaries and waits for a promotion of its own.
func TestARollbackThatWantsAPromotion(t *testing.T) {
	for name, auto := range map[string]bool{"auto_revert": true, "by Weir": false} {
		t.Run(name, func(t *testing.T) {
			w := at(t, Promoting)
			w.autoRevert = auto
			for !w.find("d1").Promoted {
				w.turn(0)
				if !w.find("d1").Promoted {
					w.pass(200 * time.Millisecond)
				}
			}
			w.fail(w.find("d1"), "Failed due to progress deadline")
			w.turn(0)
			w.wantPhase(t, NeedsHuman)
			if w.stable != newRelease {
				t.Fatalf("stable is %s, though %s has no instance", w.stable, oldRelease)
			}
			w.run(time.Minute, RolledBack)
			w.atEnd()
			p, ok := w.acts[len(w.acts)-1].(Promote)
			if !ok || p.Deployment == "d1" {
				t.Errorf("last act %#v, want the promotion of the rollback", w.acts[len(w.acts)-1])
			}
		})
	}
}

func TestNomadRefusesThePromote(t *testing.T) {
	w := at(t, Promoting)
	w.turn(0)
	w.turn(0)
	if w.stable != newRelease {
		t.Fatalf("stable is %s, want the commit", w.stable)
	}
	w.pass(time.Second)
	// Nomad holds an instance for unhealthy that Consul and its list of allocations know nothing about.
	w.find("d1").Canaries = 3
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "Nomad refused the promote")
	w.atEnd()
}

func TestNeitherSideIsHealthy(t *testing.T) {
	w := at(t, Baking)
	for _, a := range w.allocs {
		a.passing = false
	}
	before := *w.canary
	w.acts = nil
	for range 20 {
		w.turn(0)
		w.pass(time.Second)
	}
	w.wantPhase(t, NeedsHuman)
	if len(w.acts) > 0 || w.canary == nil || *w.canary != before {
		t.Fatalf("acts %#v, want none while no side is healthy", w.acts)
	}
	w.of(oldRelease)[0].passing = true
	w.run(time.Minute, RolledBack)
	w.wantReason(t, "critical")
}

func TestTakeover(t *testing.T) {
	for p, want := range map[Phase]Phase{
		Pending: Done, Placing: Done, Verifying: Done, Shifting: Done, Settling: Done, Baking: Done, Judging: Done,
		Watching: Done, Promoting: Done, Aborting: RolledBack,
	} {
		t.Run(string(p), func(t *testing.T) {
			w := at(t, Baking)
			if p == Aborting {
				w.ask(VerbRevert, 0)
				w.run(time.Minute, Aborting)
			} else {
				w = at(t, p)
			}
			if p == Baking {
				w.pass(4 * time.Second)
				w.turn(0)
			}
			w.crash()
			w.pass(time.Minute)
			epoch, step := w.rec.Epoch, w.rec.Step
			w.guard()
			if p.trafficked() {
				w.turn(0)
				w.wantPhase(t, Settling)
				w.run(time.Minute, Baking)
				if w.rec.Epoch <= epoch || w.rec.Step != step {
					t.Errorf("epoch %d step %d, want above %d and %d", w.rec.Epoch, w.rec.Step, epoch, step)
				}
				if left := w.rec.Deadline.Sub(w.now); left != 5*time.Second {
					t.Errorf("bakes for %s more, want 5s", left)
				}
			}
			w.run(2*time.Minute, want)
			w.atEnd()
		})
	}
}

func TestTakeoverAfterTheCommit(t *testing.T) {
	w := at(t, Promoting)
	w.turn(0)
	w.turn(3)
	if w.stable != newRelease {
		t.Fatalf("stable is %s, want the commit", w.stable)
	}
	w.pass(time.Minute)
	w.guard()
	w.turn(0)
	w.wantPhase(t, Promoting)
	w.run(time.Minute, Done)
	w.atEnd()
}

func TestTakeoverOfAHeldRollout(t *testing.T) {
	for name, get := range map[string]func() *world{
		"before traffic": func() *world { return heldAt(t, func(s *Spec) { s.ManualStart = true }) },
		"at a gate":      func() *world { return heldAt(t, func(s *Spec) { s.Steps[0].Manual = true }) },
		"by hand at 0":   func() *world { return byHand(t, 0) },
		"by hand at 70":  func() *world { return byHand(t, 70) },
	} {
		t.Run(name, func(t *testing.T) {
			w := get()
			weight, epoch := w.rec.Weight, w.rec.Epoch
			w.crash()
			w.pass(time.Minute)
			w.guard()
			for range 6 {
				w.turn(0)
				w.pass(time.Second)
			}
			w.wantPhase(t, Held)
			if w.rec.Weight != weight || w.canary == nil && w.rec.HeldFrom != Verifying {
				t.Errorf("weight %d, key %v, want %d again", w.rec.Weight, w.canary, weight)
			}
			if w.canary != nil && w.canary.Epoch <= epoch {
				t.Errorf("epoch %d, want above %d", w.canary.Epoch, epoch)
			}
			w.ask(VerbPromote, 0)
			w.run(2*time.Minute, Done)
		})
	}
}

func byHand(t *testing.T, weight int) *world {
	t.Helper()
	w := at(t, Baking)
	w.ask(VerbWeights, weight)
	w.turn(0)
	w.run(time.Minute, Held)
	if w.canary == nil || w.canary.Weight != weight {
		t.Fatalf("key %v, want weight %d", w.canary, weight)
	}
	return w
}

// An instance of stable that was just replaced: Nomad's rollback deployment must not take it over before its health is
// decided.
func TestGoingBackWaitsForTheHealthOfAReplacedInstance(t *testing.T) {
	w := at(t, Baking)
	w.ask(VerbRevert, 0)
	w.run(time.Minute, Aborting)
	for _, tt := range []struct {
		pass time.Duration
		open int
		want bool
	}{{0, 1, false}, {5 * time.Second, 1, false}, {0, 0, true}, {healthIn, 1, true}} {
		w.now = w.now.Add(tt.pass)
		var acts []Action
		for range 4 { // traffic and evidence come first
			obs := w.look()
			obs.Stable.Open, obs.Evidence = tt.open, &Evidence{}
			w.rec, acts = Next(w.rec, obs, w.now)
			for _, a := range acts {
				if _, fails := a.(FailDeployment); !fails {
					w.act(a)
				}
			}
			w.pass(0)
		}
		if got := len(acts) > 0; got != tt.want {
			t.Errorf("%s later, %d open: acts %#v, want %v", tt.pass, tt.open, acts, tt.want)
		}
	}
}

// An instance of stable that died before the rollback deployment took it over is never replaced by it: that deployment is
// ended, so that the rollout ends.
func TestARollbackThatWaitsForADeadInstanceIsEnded(t *testing.T) {
	w := at(t, Baking)
	w.ask(VerbRevert, 0)
	for w.find("d1").Active() {
		w.turn(0)
		w.pass(500 * time.Millisecond)
	}
	obs := w.look()
	obs.Nomad.Current.Status, obs.Stable.Stuck = "running", 1
	want := FailDeployment{Deployment: obs.Nomad.Current.ID}
	rec, acts := Next(w.rec, obs, w.now)
	if len(acts) > 0 {
		t.Errorf("acts %#v at once, want it given time", acts)
	}
	later := w.now.Add(time.Duration(w.rec.Spec.Settle))
	if _, acts := Next(rec, obs, later); len(acts) != 1 || acts[0] != want || want.Deployment == "d1" {
		t.Errorf("acts %#v, want %#v", acts, want)
	}
	w.run(time.Minute, RolledBack)
}

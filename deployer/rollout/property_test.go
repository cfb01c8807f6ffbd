package rollout

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// moves are what may befall a rollout, by name.
var moves = map[string]func(w *world, t *rapid.T){
	"time": func(w *world, t *rapid.T) {
		w.pass(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
	},
	"wake":  func(*world, *rapid.T) {},
	"crash": func(w *world, _ *rapid.T) { w.crash() },
	"crash within a turn": func(w *world, t *rapid.T) {
		w.guard()
		w.turn(rapid.IntRange(1, 3).Draw(t, "where"))
	},
	"takeover":        func(w *world, _ *rapid.T) { w.guard() },
	"ingress lags":    func(w *world, t *rapid.T) { w.anIngress(t).lag = true },
	"ingress follows": func(w *world, t *rapid.T) { w.anIngress(t).lag = false },
	"ingress is lost": func(w *world, t *rapid.T) {
		if in := w.anIngress(t); !in.lost {
			in.lost, in.lostAt = true, w.now
		}
	},
	"ingress is back": func(w *world, t *rapid.T) {
		in := w.anIngress(t)
		in.lost = false
		w.follow(in)
	},
	"Nomad is down":      func(w *world, _ *rapid.T) { w.down = true },
	"Nomad is up":        func(w *world, _ *rapid.T) { w.down = false },
	"Consul is blank":    func(w *world, _ *rapid.T) { w.blank = true },
	"Consul knows again": func(w *world, _ *rapid.T) { w.blank = false },
	"instance critical":  func(w *world, t *rapid.T) { w.anAlloc(t).passing = false },
	"instances recover":  func(w *world, _ *rapid.T) { w.recover() },
	"canary dies": func(w *world, _ *rapid.T) {
		for _, a := range w.of(w.rec.Release) {
			if a.canary {
				a.dead = true
				return
			}
		}
	},
	"clock is set": func(w *world, t *rapid.T) {
		w.skew = time.Duration(rapid.IntRange(-40, 40).Draw(t, "seconds")) * time.Second
	},
	"look is stale":    func(w *world, _ *rapid.T) { w.stale = true },
	"act is lost":      func(w *world, _ *rapid.T) { w.refuse = true },
	"answer is lost":   func(w *world, _ *rapid.T) { w.lose = true },
	"canary key taken": func(w *world, _ *rapid.T) { w.canary = nil },
	"asked": func(w *world, t *rapid.T) {
		v := rapid.SampledFrom([]Verb{
			VerbPromote, VerbFull, VerbRevert, VerbWeights, VerbPause, VerbResume, VerbApprove, VerbReject, "dance",
		}).Draw(t, "verb")
		if !w.rec.Phase.Terminal() {
			w.ask(v, rapid.IntRange(-1, 101).Draw(t, "weight"))
		}
	},
	"judged": func(w *world, t *rapid.T) {
		w.outcome = rapid.SampledFrom([]Outcome{Pass, Fail, Inconclusive, SourceDown}).Draw(t, "outcome")
	},
	"hooks fail": func(w *world, t *rapid.T) { w.hookFails = rapid.Bool().Draw(t, "fails") },
	"Nomad fails the deployment": func(w *world, _ *rapid.T) {
		for _, d := range w.deployments {
			if d.Attempt == w.rec.Attempt {
				w.fail(d, "Failed due to unhealthy allocations")
			}
		}
	},
	"promoted by hand": func(w *world, _ *rapid.T) {
		for _, d := range w.deployments {
			if d.Attempt == w.rec.Attempt {
				_ = w.promote(d.ID) // Nomad may say no
			}
		}
	},
	"scaled by hand": func(w *world, _ *rapid.T) {
		for _, d := range w.deployments {
			if d.Attempt == w.rec.Attempt && !d.Promoted {
				d.Wanted = instances + 1
			}
		}
	},
	"superseded by hand": func(w *world, _ *rapid.T) {
		w.register(version{release: "v9-cccccccc", attempt: "x", canaries: instances})
	},
}

func (w *world) anIngress(t *rapid.T) *ingress {
	return w.ingresses[rapid.IntRange(0, len(w.ingresses)-1).Draw(t, "ingress")]
}

func (w *world) anAlloc(t *rapid.T) *alloc {
	live := w.live(func(a *alloc) bool { return a.healthy })
	if len(live) == 0 {
		return &alloc{}
	}
	return live[rapid.IntRange(0, len(live)-1).Draw(t, "alloc")]
}

func (w *world) recover() {
	for _, a := range w.live(func(a *alloc) bool { return a.healthy }) {
		a.passing = true
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.down, w.blank, w.refuse, w.lose, w.stale = false, false, false, false, false
	if w.outcome == SourceDown {
		w.outcome = Pass
	}
	for _, in := range w.ingresses {
		in.lag, in.lost = false, false
	}
	w.recover()
	w.guard()
}

func names() []string {
	// Time and wakes come more often than faults.
	out := []string{
		"time", "time", "time", "time", "time", "time", "time", "time", "wake", "wake", "wake", "takeover", "takeover",
		"ingress follows", "ingress is back", "Nomad is up", "Consul knows again", "instances recover",
	}
	return append(out,
		"crash", "crash within a turn", "ingress lags", "ingress is lost", "Nomad is down", "Consul is blank",
		"judged", "hooks fail", "instance critical", "canary dies", "act is lost", "answer is lost", "canary key taken", "asked",
		"Nomad fails the deployment", "promoted by hand", "superseded by hand",
		"scaled by hand", "clock is set", "look is stale")
}

// draw plays a rollout with whatever befalls it. The model's acts check what must never happen.
func draw(t *rapid.T) *world {
	spec := testSpec()
	spec.ManualStart = rapid.Bool().Draw(t, "manual start")
	spec.Steps[0].Manual = rapid.Bool().Draw(t, "manual step")
	if rapid.Bool().Draw(t, "blue-green") {
		spec.Strategy, spec.Steps = StrategyBlueGreen, spec.Steps[2:]
	} else if rapid.Bool().Draw(t, "shadow") {
		spec.Strategy = StrategyShadow
		spec.Steps = append([]Step{{Shadow: true, Bake: Duration(3 * time.Second)}}, spec.Steps...)
	}
	if rapid.IntRange(0, 2).Draw(t, "few canaries") == 0 {
		spec.Canaries, spec.Force = 1, true
		spec.Size(instances)
	}
	if rapid.Bool().Draw(t, "analysis") {
		spec.Analysis = &Analysis{
			Golden: rapid.Bool().Draw(t, "golden"), Steps: rapid.Bool().Draw(t, "judged steps"),
			Extend: Duration(10 * time.Second), Sources: Duration(20 * time.Second),
			Inconclusive: rapid.SampledFrom([]string{OnHold, OnAbort}).Draw(t, "inconclusive"),
		}
	}
	for _, on := range []Moment{HookPre, HookStep, HookPost, HookAbort} {
		if rapid.IntRange(0, 3).Draw(t, string(on)+" hook") == 0 {
			spec.Hooks = append(spec.Hooks, Hook{Name: "h", On: on, URL: "http://localhost", Timeout: Duration(time.Second)})
		}
	}
	w := newWorld(t, spec)
	if rapid.IntRange(0, 5).Draw(t, "first") == 0 {
		w = firstWorld(t, spec)
	}
	w.autoRevert = rapid.Bool().Draw(t, "auto_revert")
	w.befall(t)
	return w
}

// befall plays on, at first undisturbed.
func (w *world) befall(t *rapid.T) {
	for range rapid.IntRange(0, 80).Draw(t, "quiet turns") {
		w.turn(0)
		w.pass(500 * time.Millisecond)
	}
	list := names()
	for range rapid.IntRange(0, 60).Draw(t, "moves") {
		name := rapid.SampledFrom(list).Draw(t, "move")
		moves[name](w, t)
		for range rapid.IntRange(0, 3).Draw(t, "turns") {
			w.turn(0)
			w.roundTrip()
		}
	}
}

// roundTrip stores the record and reads it back, as each takeover does.
func (w *world) roundTrip() {
	b, err := json.Marshal(w.rec)
	if err != nil {
		w.t.Fatalf("write the record: %v", err)
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		w.t.Fatalf("read the record: %v", err)
	}
	w.rec = r
}

// Whatever befalls it, a rollout does nothing that it must not, and with a live guardian and no more faults it comes
// to its end, or holds for an operator. So do those after it: another try, one that goes back, one that supersedes it.
func TestWhateverBefallsItARolloutEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		w.ends()
		for i := range rapid.IntRange(0, 2).Draw(t, "more rollouts") {
			if !w.superseded() {
				return
			}
			release := rapid.SampledFrom([]string{newRelease, oldRelease, "v3-dddddddd"}).Draw(t, "release")
			w.again(release, fmt.Sprint("again", i))
			w.befall(t)
			w.ends()
		}
	})
}

// ends heals all, and sees the rollout to its end.
func (w *world) ends() {
	w.t.Helper()
	w.heal()
	for range 20 {
		w.pass(time.Second)
	}
	ends := []Phase{Done, RolledBack, Held}
	if w.taken() {
		ends = append(ends, NeedsHuman) // somebody else has the job, so Weir brings nothing back
	}
	w.run(5*time.Minute, ends...)
	w.atEnd()
}

// taken says whether somebody else has registered the job.
func (w *world) taken() bool {
	cur, _, _ := w.current()
	return cur.attempt == "x"
}

// superseded takes a rollout that holds back, so that another one can begin; false where somebody else has the job.
func (w *world) superseded() bool {
	w.t.Helper()
	if w.taken() {
		return false
	}
	if w.rec.Phase == Held {
		w.ask(VerbRevert, 0)
		w.run(5*time.Minute, RolledBack, Done) // done where Nomad had promoted it already
		w.atEnd()
	}
	return w.rec.Phase.Terminal()
}

// atEnd checks what an end promises.
func (w *world) atEnd() {
	rec := w.rec
	cur, _, exists := w.current()
	switch rec.Phase {
	case Done:
		if w.stable != rec.Release || w.canary != nil || cur.release != rec.Release && cur.attempt != "x" {
			w.t.Fatalf("done, but stable is %s, canary %v, job %v", w.stable, w.canary, cur)
		}
	case RolledBack:
		want := rec.Stable
		if w.stable != want && want != "" || w.canary != nil {
			w.t.Fatalf("rolled back to %q, but stable is %s, canary %v", want, w.stable, w.canary)
		}
		if exists && cur.release == rec.Release && want != "" { // "": it had not begun
			w.t.Fatalf("rolled back, but the job is still that of %s: %s", rec.Release, rec.Reason)
		}
		if want != None && want != "" && len(w.of(want)) == 0 && cur.attempt != "x" {
			w.t.Fatalf("rolled back to %s, which has no instance", want)
		}
	default:
	}
	for i, in := range w.ingresses {
		if rec.Phase == RolledBack && in.canary != "" {
			w.t.Fatalf("rolled back, but ingress %d sends requests to %s", i, in.canary)
		}
	}
	for _, d := range w.deployments {
		if rec.Phase.Terminal() && d.WaitsForPromotion() && d.Attempt != "x" {
			w.t.Fatalf("%s, but deployment %s of %s waits for a promotion", rec.Phase, d.ID, d.Release)
		}
	}
}

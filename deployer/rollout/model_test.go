package rollout

import (
	"fmt"
	"slices"
	"time"
)

// failer is what the model needs of a test.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a small model of Consul, Nomad and the ingresses, with the guardian that drives one rollout. Its acts check
// what must never happen.
type world struct {
	t   failer
	now time.Time
	rec Record // as it is stored

	guarded, takeover bool
	guardedAt         time.Time // since when a guardian that took over lives

	stable, previous string
	stableEpoch      uint64
	canary           *CanaryKey
	topEpoch         uint64
	blank            bool // Consul's catalog says nothing

	ingresses []*ingress

	down        bool          // Nomad
	skew        time.Duration // of the guardian's clock, which may be set
	seen        *Observation  // the last look
	stale       bool          // the next look sees what the last one saw
	elsewhere   bool          // the job is in another namespace of Nomad
	autoRevert  bool
	stableSpec  int // canaries in the old version's update block
	versions    []version
	evaluate    bool // the newest version waits for the scheduler
	deployments []*deployment
	allocs      []*alloc

	outcome   Outcome // of whatever is judged
	hooks     []HookRun
	hookFails bool
	hangs     bool // hooks never end
	evidence  *Evidence

	operator bool // an operator has asked for something that may raise the weight
	acts     []Action
	lose     bool // the next act is carried out, but its answer is lost
	refuse   bool // the next act is not carried out
}

type version struct {
	release, attempt string
	canaries         int
	stable           bool
}

type deployment struct {
	Deployment
	of int // its version
}

type alloc struct {
	of        int // version
	canary    bool
	passing   bool
	healthy   bool // once; Nomad does not take it back
	dead      bool
	stopped   bool
	startedAt time.Time
}

type ingress struct {
	epoch       string
	stable      string
	canary      string // release that it sends requests to besides stable; "" for none
	lag, lost   bool
	lostAt      time.Time
	stableEpoch uint64
}

const (
	oldRelease = "v1-aaaaaaaa"
	newRelease = "v2-bbbbbbbb"
	instances  = 2
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testSpec() Spec {
	s, err := NewSpec(StrategyCanary, nil, Duration(5*time.Second), Duration(5*time.Second))
	if err != nil {
		panic(err)
	}
	s.Count, s.Place, s.Settle, s.Blind = instances, Duration(time.Minute), Duration(10*time.Second),
		Duration(20*time.Second)
	return s
}

// newWorld returns a world in which the old release serves, and a rollout of the new one that has just been stored.
func newWorld(t failer, spec Spec) *world {
	w := &world{
		t: t, now: start, guarded: true, stable: oldRelease, stableEpoch: 3, topEpoch: 3, autoRevert: true,
		outcome: Pass, stableSpec: instances, ingresses: []*ingress{{}, {}},
		rec: Record{
			ID: "r1", Model: "iris", Release: newRelease, Attempt: "a1", Spec: spec, Phase: Pending, Created: start,
			Since: start,
		},
	}
	w.register(version{release: oldRelease, attempt: "a0", canaries: instances})
	for range 3 {
		w.pass(time.Second)
	}
	return w
}

// firstWorld has neither a record nor a job.
func firstWorld(t failer, spec Spec) *world {
	w := newWorld(t, spec)
	w.stable, w.stableEpoch, w.topEpoch = "", 0, 0
	w.versions, w.deployments, w.allocs = nil, nil, nil
	w.pass(0)
	return w
}

// pass lets time go by: instances start, deployments end, ingresses follow.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.schedule()
	for _, a := range w.allocs {
		if !a.healthy && !a.dead && !a.stopped && w.now.Sub(a.startedAt) >= time.Second {
			a.healthy, a.passing = true, true
		}
	}
	for _, d := range w.deployments {
		d.Healthy = 0
		for _, a := range w.allocs {
			if a.of == d.of && a.healthy {
				d.Healthy++
			}
		}
		if d.Active() && (d.Canaries == 0 || d.Promoted) && d.Healthy >= d.Wanted {
			d.Status, w.versions[d.of].stable = "successful", true
		}
	}
	for _, in := range w.ingresses {
		w.follow(in)
	}
}

func (w *world) follow(in *ingress) {
	switch {
	case in.lost && w.now.Sub(in.lostAt) >= LostFor:
		in.canary = ""
	case in.lost || in.lag:
	default:
		in.stable, in.stableEpoch, in.canary = w.stable, w.stableEpoch, ""
		in.epoch = fmt.Sprintf("%d/-", w.stableEpoch)
		if w.canary != nil {
			in.epoch = fmt.Sprintf("%d/%d", w.stableEpoch, w.canary.Epoch)
			if w.canary.Weight > 0 {
				in.canary = w.canary.Release
			}
		}
	}
}

// sight is a look by the guardian's clock, or the same as the last one: what was read may be late.
func (w *world) sight() Observation {
	if w.stale && w.seen != nil && !w.takeover {
		w.stale = false
		return *w.seen
	}
	obs := w.look()
	if !obs.Traffic.LostIngress.IsZero() {
		obs.Traffic.LostIngress = obs.Traffic.LostIngress.Add(w.skew) // setting a clock does not change what has passed
	}
	last := obs
	last.Takeover = false
	w.seen = &last
	return obs
}

// look is what a guardian sees.
func (w *world) look() Observation {
	obs := Observation{Takeover: w.takeover, Traffic: Traffic{
		Stable: w.stable, Previous: w.previous, Epoch: w.stableEpoch, Served: map[string]string{},
	}}
	if w.canary != nil {
		c := *w.canary
		obs.Traffic.Canary = &c
	}
	obs.Judged = &Judgement{Epoch: w.rec.Epoch, Outcome: w.outcome, Reason: "the numbers"}
	obs.Hooks, obs.Evidence = w.hooks, w.evidence
	obs.Traffic.LostIngress = w.guardedAt
	for i, in := range w.ingresses {
		switch {
		case !in.lost:
			obs.Traffic.Served[fmt.Sprint(i)] = in.epoch
		case in.lostAt.After(obs.Traffic.LostIngress):
			obs.Traffic.LostIngress = in.lostAt
		}
	}
	obs.Canary, obs.Stable = w.side(w.rec.Release), w.side(w.rec.Stable)
	if w.stable == "" && obs.Stable.Passing+w.side(oldRelease).Passing > 0 {
		obs.Traffic.Adoptable = oldRelease
	}
	w.lookAtNomad(&obs)
	return obs
}

func (w *world) side(release string) Side {
	var s Side
	if w.blank {
		return s
	}
	for _, a := range w.of(release) {
		if a.passing {
			s.Passing++
		} else if a.healthy {
			s.Critical++
		}
	}
	return s
}

func (w *world) lookAtNomad(obs *Observation) {
	if w.down {
		obs.Nomad.Down = "no answer"
		return
	}
	if w.elsewhere {
		return
	}
	v, n, exists := w.current()
	obs.Nomad = Nomad{
		Exists: exists, Release: v.release, Attempt: v.attempt, Version: uint64(n),
		StableVersion: w.stableVersion(w.rec.Stable),
	}
	for _, d := range w.deployments {
		obs.Nomad.Current = d.Deployment
		if d.Attempt == w.rec.Attempt {
			obs.Nomad.Trial = d.Deployment
		}
	}
	for _, a := range w.allocs {
		if w.versions[a.of].attempt != w.rec.Attempt {
			continue
		}
		if a.dead {
			obs.Canary.Dead++
		} else if !a.stopped {
			obs.Canary.Running++
		}
	}
}

// crash kills the guardian; its session, and with it the canary key, goes before a successor gets the lease.
func (w *world) crash() {
	w.guarded, w.canary, w.hooks, w.evidence, w.seen = false, nil, nil, nil, nil
}

func (w *world) guard() {
	if !w.guarded {
		w.guarded, w.takeover, w.guardedAt = true, true, w.now
	}
}

// turn is one turn of the guardian. crashAt: 1 dies before it stores, 2 between storing and acting, 3 after acting.
func (w *world) turn(crashAt int) {
	if !w.guarded {
		return
	}
	was := w.rec
	next, acts := Next(w.rec, w.sight(), w.now.Add(w.skew))
	w.checkRecord(was, next)
	if crashAt == 1 {
		w.crash()
		return
	}
	w.rec, w.takeover = next, false
	if crashAt == 2 {
		w.crash()
		return
	}
	for _, a := range acts {
		w.act(a)
	}
	if crashAt == 3 {
		w.crash()
	}
}

func (w *world) act(a Action) {
	w.acts = append(w.acts, a)
	if w.refuse || w.conflicts(a) {
		w.refuse = false
		return
	}
	w.checkAct(a)
	hot := len(w.of(w.rec.Stable))
	defer func() {
		if left := len(w.of(w.rec.Stable)); left < hot && !w.rec.Committed && w.rec.Stable != w.rec.Release {
			w.t.Fatalf("%#v in phase %s leaves %d of %d instances of %s", a, w.rec.Phase, left, hot, w.rec.Stable)
		}
	}()
	switch a := a.(type) {
	case AdoptStable:
		w.setStable(a.Release, "", a.Epoch)
	case SetStable:
		w.setStable(a.Release, a.Previous, a.Epoch)
	case SetCanary:
		w.topEpoch = max(w.topEpoch, a.Epoch)
		w.canary = &CanaryKey{Release: a.Release, Weight: a.Weight, Epoch: a.Epoch, Shadow: a.Shadow, Mine: true}
	case RunHook:
		if w.hangs {
			return
		}
		w.hooks = append(slices.Clip(w.hooks), HookRun{Key: a.Key, At: w.now, OK: !w.hookFails, Said: "hooked"})
	case Collect:
		w.evidence = &Evidence{}
	default:
		w.actOnNomad(a)
	}
	w.lose = false
}

// conflicts says whether an act names an index that is not that of the last look any more: Consul and Nomad refuse it.
func (w *world) conflicts(a Action) bool {
	switch a.(type) {
	case AdoptStable, SetStable:
		return w.seen.Traffic.Epoch != w.stableEpoch || w.seen.Traffic.Stable != w.stable
	case Register, RestoreJob:
		_, n, exists := w.current()
		return w.seen.Nomad.Exists != exists || w.seen.Nomad.Version != uint64(n)
	}
	return false
}

func (w *world) setStable(release, previous string, epoch uint64) {
	w.stable, w.previous, w.stableEpoch, w.canary = release, previous, epoch, nil
	w.topEpoch = max(w.topEpoch, epoch)
}

func (w *world) actOnNomad(a Action) {
	if w.down {
		return
	}
	switch a := a.(type) {
	case Register:
		w.register(version{release: w.rec.Release, attempt: w.rec.Attempt, canaries: w.rec.Spec.Trial()})
	case Promote:
		if w.promote(a.Deployment) != nil && w.rec.Phase == Promoting && !w.lose {
			w.rec.PromoteRefused = "unhealthy"
		}
	case FailDeployment:
		w.fail(w.find(a.Deployment), "Deployment marked as failed")
	case RestoreJob:
		w.revert(a.Version)
	case StopJob:
		stop(w.allocs)
		for _, d := range w.deployments {
			if d.Active() {
				d.Status = "cancelled"
			}
		}
		w.versions, w.evaluate = append(w.versions, version{}), false
	}
}

// run turns until the phase is one of those wanted, or fails after the limit.
func (w *world) run(limit time.Duration, want ...Phase) {
	w.t.Helper()
	end := w.now.Add(limit)
	for !slices.Contains(want, w.rec.Phase) {
		if w.now.After(end) {
			w.t.Fatalf("in phase %s after %s (%s), want %v; events %v", w.rec.Phase, limit, w.rec.Reason, want, w.rec.Events)
		}
		for range 4 {
			if slices.Contains(want, w.rec.Phase) {
				return
			}
			w.turn(0)
		}
		w.pass(500 * time.Millisecond)
	}
}

// again begins another rollout where the last one has ended: of the same release, as retry does, of the stable one's
// predecessor, as revert does in one switch, or of a third one.
func (w *world) again(release, attempt string) {
	for _, d := range w.deployments { // Nomad has replaced what died
		if _, n, _ := w.current(); d.of == n && (d.Canaries == 0 || d.Promoted) {
			w.replace(d)
		}
	}
	w.pass(0)
	w.pass(2 * time.Second)
	spec := w.rec.Spec
	if release == oldRelease {
		spec = testSpec()
		spec.Strategy, spec.Steps = StrategyBlueGreen, []Step{{Weight: 100}}
	}
	w.rec = Record{
		ID: attempt, Model: "iris", Release: release, Attempt: attempt, Spec: spec, Phase: Pending, Created: w.now,
		Since: w.now.Add(w.skew),
	}
	w.hooks, w.evidence, w.seen, w.operator, w.takeover = nil, nil, nil, false, false
}

func (w *world) ask(v Verb, weight int) {
	w.operator = w.operator || slices.Contains([]Verb{VerbPromote, VerbApprove, VerbFull, VerbWeights}, v)
	w.rec.Requests = append(slices.Clone(w.rec.Requests), Request{Verb: v, Weight: weight, By: "ann", At: w.now})
}

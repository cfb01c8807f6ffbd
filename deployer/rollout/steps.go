package rollout

import (
	"fmt"
	"time"
)

// pending finds out what is stable, writing it down where nobody has, and then begins.
func (r *Record) pending(obs Observation, now time.Time) []Action {
	t := obs.Traffic
	if t.Stable == "" {
		return r.adopt(obs, now)
	}
	r.Stable, r.Epoch = t.Stable, max(r.Epoch, t.Epoch)
	if r.Stable == r.Release {
		r.Reason = "the release is stable already"
		r.enter(Done, now, 0, r.Reason)
		return nil
	}
	if acts, ready := r.hooks(HookPre, now); !ready {
		return acts
	}
	if r.Phase == Pending {
		r.enter(Placing, now, r.Spec.Place, fmt.Sprintf("places %d instances beside %s%s", r.wanted(), r.Stable, r.Spec.forced()))
	}
	return nil
}

// adopt writes down what serves without a record. Where the job should have instances and Consul shows none of them
// passing, that may be Consul's fault: None would cut off what serves, so nothing is written.
func (r *Record) adopt(obs Observation, now time.Time) []Action {
	release, n := obs.Traffic.Adoptable, obs.Nomad
	switch {
	case n.Down != "":
		return nil
	case release != "" && !n.Exists:
		r.abort(now, fmt.Sprintf("instances of %s are registered in Consul, but their job is not in this Nomad namespace and "+
			"region: name theirs, or choose another model name", release))
		return nil
	case release != "":
	case n.Exists && (n.Current.Active() || n.Current.Status == "successful"):
		if now.Sub(r.Since) >= time.Duration(r.Spec.Place) {
			r.abort(now, fmt.Sprintf("job %s runs without a record and none of its instances passes its checks: "+
				"make it healthy, or stop it", r.Model))
		}
		return nil
	default:
		release = None
	}
	if r.Epoch <= obs.Traffic.Epoch { // the same again where the first write failed
		r.Epoch = r.nextEpoch(obs)
	}
	return []Action{AdoptStable{Release: release, Epoch: r.Epoch}}
}

// placing registers the job and waits for all of the canary's instances.
func (r *Record) placing(obs Observation, now time.Time) []Action {
	if r.late(now) {
		r.abort(now, fmt.Sprintf("the canary is not healthy after %s: %d of %d instances pass%s",
			time.Duration(r.Spec.Place), obs.Canary.Passing, r.wanted(), suffix(obs.Canary.Trouble)))
		return nil
	}
	if obs.Nomad.Down != "" {
		return nil
	}
	if obs.Nomad.Attempt != r.Attempt && obs.Nomad.Trial.ID == "" {
		return []Action{Register{}}
	}
	if r.placed(obs) {
		r.enter(Verifying, now, 0, fmt.Sprintf("%d instances are healthy", obs.Canary.Passing))
	}
	return nil
}

func suffix(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// placed says whether Nomad and Consul both hold all instances for healthy.
func (r Record) placed(obs Observation) bool {
	d := obs.Nomad.Trial
	if d.ID == "" || obs.Canary.Passing < r.wanted() || obs.Canary.Critical > 0 {
		return false
	}
	if d.Canaries > 0 {
		return d.Healthy >= d.Canaries
	}
	return d.Healthy >= d.Wanted || d.Status == "successful"
}

// verifying is the last look before traffic.
func (r *Record) verifying(obs Observation, now time.Time) []Action {
	switch {
	case obs.Nomad.Down != "":
	case !r.First() && obs.Nomad.Trial.Canaries == 0:
		r.abort(now, "the job's deployment has no canaries: set canary in its update block to its count")
	case !r.golden(obs, now):
	case r.Paused:
		r.hold(now, Verifying, "paused before the first request")
	case r.First():
		r.enter(Promoting, now, 0, "a first release: no traffic to move")
	case r.Spec.ManualStart && !r.Full:
		r.hold(now, Verifying, "an operator must approve the first request")
	default:
		r.enter(Shifting, now, 0, "verified")
	}
	return nil
}

func (r *Record) hold(now time.Time, from Phase, why string) {
	r.HeldFrom, r.Reason = from, why
	r.enter(Held, now, 0, why)
}

// shifting fixes the weight and its epoch in the record; settling writes them.
func (r *Record) shifting(obs Observation, now time.Time) {
	if r.Full {
		r.Step = len(r.Spec.Steps) - 1
	}
	r.Epoch = r.nextEpoch(obs)
	r.Shadow = false
	if !r.Manual {
		r.Weight, r.Shadow = r.Spec.Steps[r.Step].Weight, r.Spec.Steps[r.Step].Shadow
	}
	r.Reason = ""
	what := fmt.Sprintf("moves %d %% of the requests to %s", r.Weight, r.Release)
	if r.Shadow {
		what = "mirrors the requests to " + r.Release
	}
	r.enter(Settling, now, r.Spec.Settle, what)
}

// settling waits until every live ingress serves the weight.
func (r *Record) settling(obs Observation, now time.Time) []Action {
	if acts := r.assertCanary(obs); acts != nil {
		if obs.Traffic.Canary != nil && obs.Traffic.Canary.Epoch >= r.Epoch {
			r.Epoch = obs.Traffic.Canary.Epoch + 1 // the dead guardian wrote past its record
			return nil
		}
		return r.orLate(now, acts, "the canary key could not be written")
	}
	if !r.effective(obs) {
		return r.orLate(now, nil, fmt.Sprintf("not every ingress serves epoch %s: %s", r.served(obs), served(obs)))
	}
	if r.BackToHold {
		r.BackToHold = false
		r.hold(now, r.HeldFrom, "holds on at "+fmt.Sprint(r.Weight)+" %")
		return nil
	}
	if r.Manual {
		r.hold(now, Baking, fmt.Sprintf("an operator set the weight to %d %%", r.Weight))
		return nil
	}
	r.enter(Baking, now, 0, fmt.Sprintf("%d %% is served", r.Weight))
	r.Deadline = now.Add(time.Duration(r.Spec.Steps[r.Step].Bake))
	if r.Full {
		r.Deadline = now
	}
	return nil
}

func (r *Record) orLate(now time.Time, acts []Action, what string) []Action {
	if !r.late(now) {
		return acts
	}
	r.abort(now, fmt.Sprintf("the traffic did not move within %s: %s", time.Duration(r.Spec.Settle), what))
	return nil
}

func served(obs Observation) string {
	if len(obs.Traffic.Served) == 0 {
		return "no ingress is alive"
	}
	return fmt.Sprint(obs.Traffic.Served)
}

// assertCanary asks for the canary key as the record wants it, or for nothing if it is so.
func (r *Record) assertCanary(obs Observation) []Action {
	c := obs.Traffic.Canary
	want := SetCanary{Release: r.Release, Weight: r.Weight, Epoch: r.Epoch, Shadow: r.Shadow}
	if c != nil && c.Mine && want == (SetCanary{c.Release, c.Weight, c.Epoch, c.Shadow}) {
		return nil
	}
	return []Action{want}
}

func (r Record) served(obs Observation) string {
	return fmt.Sprintf("%d/%d", obs.Traffic.Epoch, r.Epoch)
}

func (r Record) effective(obs Observation) bool { return obs.Traffic.shows(r.served(obs)) }

// baking waits at the step's weight. Time in which an ingress did not serve it, or in which Nomad could not be
// asked, does not count: it moves the deadline.
func (r *Record) baking(obs Observation, now time.Time, then Phase, what string) {
	if r.meddled(obs, now) {
		return
	}
	if obs.Unseen > 0 && r.LastTick.IsZero() {
		r.Deadline = r.Deadline.Add(obs.Unseen)
		r.log(now, fmt.Sprintf("%s that nobody saw do not count", obs.Unseen.Round(time.Millisecond)), "")
	}
	if !r.standsStill(obs, now) && r.late(now) {
		r.Baked = r.bakedFor(now)
		r.enter(then, now, 0, what)
	}
}

// standsStill says whether this moment doesn't count, and moves the deadline by those that don't.
func (r *Record) standsStill(obs Observation, now time.Time) bool {
	if why, budget := r.unsure(obs); why != "" {
		r.freeze(why, budget, now)
		return true
	}
	if !r.LastTick.IsZero() {
		r.postpone(now)
		r.LastTick, r.Frozen = time.Time{}, time.Time{}
		r.log(now, "the bake goes on", "")
	}
	return false
}

// postpone moves the deadline, where there is one, by the time since the last tick.
func (r *Record) postpone(now time.Time) {
	if !r.Deadline.IsZero() {
		r.Deadline = r.Deadline.Add(now.Sub(r.LastTick))
	}
	r.LastTick = now
}

// unsure says why this moment does not count as baked, and how long that may last in one go; "" if it counts. While
// Nomad can't be asked a budget of its own runs.
func (r Record) unsure(obs Observation) (why string, budget Duration) {
	j := r.judged(obs)
	switch {
	case obs.Nomad.Down != "":
		return "Nomad is out of reach", 0
	case !r.effective(obs):
		return fmt.Sprintf("not every ingress serves epoch %s: %s", r.served(obs), served(obs)), r.Spec.Settle
	case blank(obs):
		return "Consul shows no instance of either side", r.Spec.Settle
	case r.Spec.judges() && j.Outcome == SourceDown:
		return "nothing can be judged: " + j.Reason, r.Spec.Analysis.Sources
	}
	return "", 0
}

// bakedFor is how long the weight was served: the time since the bake began without that by which its end was moved.
func (r Record) bakedFor(now time.Time) Duration {
	bake := r.Spec.Watch
	if r.Phase == Baking {
		bake = r.Spec.Steps[r.Step].Bake
	}
	moved := max(r.Deadline.Sub(r.Since)-time.Duration(bake), 0)
	return Duration((now.Sub(r.Since) - moved).Round(time.Millisecond))
}

// meddled goes back when somebody else deleted or changed the canary key: that is how a person stops a rollout when
// all else fails.
func (r *Record) meddled(obs Observation, now time.Time) bool {
	if r.assertCanary(obs) == nil {
		return false
	}
	r.abort(now, "the canary key was deleted or changed by somebody else")
	return true
}

// held waits for an operator. The kill-switch has been asked already.
func (r *Record) held(obs Observation, now time.Time) {
	if r.HeldFrom != Verifying {
		r.meddled(obs, now)
	}
}

// freeze keeps a bake from ending, until the budget is used up; 0 is none.
func (r *Record) freeze(why string, budget Duration, now time.Time) {
	if r.LastTick.IsZero() {
		r.LastTick = now
		r.log(now, "the bake stands still: "+why, "")
	}
	if now.Sub(r.LastTick) >= time.Second {
		r.postpone(now)
	}
	switch {
	case budget == 0:
		r.Frozen = time.Time{}
	case r.Frozen.IsZero():
		r.Frozen = now
	case now.Sub(r.Frozen) >= time.Duration(budget):
		r.abort(now, fmt.Sprintf("the bake stood still for %s: %s", time.Duration(budget), why))
	}
}

// advance goes to the next step, or from the last one to the watch.
func (r *Record) advance(now time.Time) {
	if r.Step+1 < len(r.Spec.Steps) {
		r.Step++
		r.enter(Shifting, now, 0, fmt.Sprintf("step %d of %d", r.Step+1, len(r.Spec.Steps)))
		return
	}
	r.enter(Watching, now, 0, fmt.Sprintf("watches at 100 %% for %s", time.Duration(r.Spec.Watch)))
	r.Deadline = now.Add(time.Duration(r.Spec.Watch))
	if r.Full {
		r.Deadline = now
	}
}

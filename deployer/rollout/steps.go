package rollout

import (
	"fmt"
	"time"
)

// pending finds out what is stable, writing it down where nobody has, and then begins.
func (r *Record) pending(obs Observation, now time.Time) []Action {
	t := obs.Traffic
	if t.Stable == "" {
		if obs.Nomad.Down != "" {
			return nil
		}
		r.Epoch = r.nextEpoch(obs)
		release := t.Adoptable
		if release == "" {
			release = None
		}
		return []Action{AdoptStable{Release: release, Epoch: r.Epoch}}
	}
	r.Stable, r.Epoch = t.Stable, max(r.Epoch, t.Epoch)
	if r.Stable == r.Release {
		r.Reason = "the release is stable already"
		r.enter(Done, now, 0, r.Reason)
		return nil
	}
	r.enter(Placing, now, r.Spec.Place, fmt.Sprintf("places %d instances beside %s", r.Spec.Count, r.Stable))
	return nil
}

// placing registers the job and waits for all of the canary's instances.
func (r *Record) placing(obs Observation, now time.Time) []Action {
	if r.late(now) {
		r.abort(now, fmt.Sprintf("the canary is not healthy after %s: %d of %d instances pass%s",
			time.Duration(r.Spec.Place), obs.Canary.Passing, r.Spec.Count, suffix(obs.Canary.Trouble)))
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
	if d.ID == "" || obs.Canary.Passing < r.Spec.Count || obs.Canary.Critical > 0 {
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
	case r.First():
		r.enter(Promoting, now, 0, "a first release: no traffic to move")
	case obs.Nomad.Trial.Canaries == 0:
		r.abort(now, "the job's deployment has no canaries: set canary in its update block to its count")
	case r.Spec.ManualStart:
		r.hold(now, Verifying, "an operator must promote before the first request")
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
func (r *Record) shifting(now time.Time) {
	if r.Full {
		r.Step = len(r.Spec.Steps) - 1
	}
	r.Epoch++
	if !r.Manual {
		r.Weight = r.Spec.Steps[r.Step].Weight
	}
	r.Reason = ""
	r.enter(Settling, now, r.Spec.Settle, fmt.Sprintf("moves %d %% of the requests to %s", r.Weight, r.Release))
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
	want := SetCanary{Release: r.Release, Weight: r.Weight, Epoch: r.Epoch}
	switch {
	case c == nil && r.Weight == 0:
		return nil
	case c != nil && c.Mine && c.Release == want.Release && c.Weight == want.Weight && c.Epoch == want.Epoch:
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
	if !r.effective(obs) || obs.Nomad.Down != "" || blank(obs) {
		r.freeze(obs, now)
		return
	}
	if !r.LastTick.IsZero() {
		r.Deadline = r.Deadline.Add(now.Sub(r.LastTick))
		r.LastTick = time.Time{}
	}
	if r.late(now) {
		r.Baked = Duration(now.Sub(r.Since).Round(time.Millisecond))
		r.enter(then, now, 0, what)
	}
}

// meddled goes back when somebody else deleted or changed the canary key: that is how a person stops a rollout when
// all else fails.
func (r *Record) meddled(obs Observation, now time.Time) bool {
	if c := obs.Traffic.Canary; c != nil && c.Mine && c.Epoch == r.Epoch && c.Weight == r.Weight {
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

func (r *Record) freeze(obs Observation, now time.Time) {
	if r.LastTick.IsZero() {
		r.LastTick = now
		r.log(now, "the bake stands still: "+served(obs), "")
	}
	if now.Sub(r.LastTick) >= time.Second {
		r.Deadline = r.Deadline.Add(now.Sub(r.LastTick))
		r.LastTick = now
	}
	if obs.Nomad.Down == "" && now.Sub(r.lastEvent()) > time.Duration(r.Spec.Settle) {
		r.abort(now, fmt.Sprintf("an ingress has not served epoch %s for %s: %s",
			r.served(obs), time.Duration(r.Spec.Settle), served(obs)))
	}
}

func (r Record) lastEvent() time.Time { return r.Events[len(r.Events)-1].At }

// judging gives the step's verdict. The kill-switch has been asked already: what is left is that the evidence exists.
func (r *Record) judging(obs Observation, now time.Time) {
	r.Verdicts = append(r.Verdicts[:len(r.Verdicts):len(r.Verdicts)], Verdict{
		Step: r.Step, Weight: r.Weight, Epoch: r.Epoch, Outcome: Pass, At: now,
		Evidence: fmt.Sprintf("health: %d of %d instances passing, weight served by %d ingresses for %s",
			obs.Canary.Passing, r.Spec.Count, len(obs.Traffic.Served), time.Duration(r.Baked)),
	})
	r.log(now, fmt.Sprintf("step %d of %d passed", r.Step+1, len(r.Spec.Steps)), "")
	if r.Spec.Steps[r.Step].Manual && !r.Full {
		r.hold(now, Judging, fmt.Sprintf("step %d waits for an operator's promote", r.Step+1))
		return
	}
	r.advance(now)
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

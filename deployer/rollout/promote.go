package rollout

import (
	"fmt"
	"time"
)

// promoting commits: first Consul's stable key, in one transaction with the end of the canary key, then Nomad's
// promote. The other order would let the dead-man's switch send requests to instances that Nomad is stopping.
func (r *Record) promoting(obs Observation, now time.Time) []Action {
	t := obs.Traffic
	if !r.Committed {
		if !r.mayCommit(obs, now) {
			return nil
		}
		r.Committed = true
		r.Epoch = r.nextEpoch(obs)
		r.log(now, "commits: "+r.Release+" becomes stable", "")
		r.Deadline = now.Add(time.Duration(r.Spec.Settle))
		return nil
	}
	if t.Stable != r.Release || t.Canary != nil {
		return []Action{SetStable{Release: r.Release, Previous: r.Stable, Epoch: r.Epoch}}
	}
	if obs.Nomad.Down != "" {
		return nil
	}
	d := obs.Nomad.Trial
	switch {
	case d.WaitsForPromotion():
		if !t.gone(fmt.Sprintf("%d/-", t.Epoch), r.Since, now) {
			return nil
		}
		return []Action{Promote{Deployment: d.ID}}
	case r.ended(obs.Nomad):
		if !t.shows(fmt.Sprintf("%d/-", t.Epoch)) && !r.late(now) {
			return nil // a moment for the ingresses to show it; traffic does not depend on it
		}
		r.Weight = 0
		r.Reason = ""
		r.enter(Done, now, 0, r.Release+" is stable")
	}
	return nil
}

// ended says whether Nomad has nothing left to do: the deployment was successful, or promoted and then superseded, or
// it ended so long ago that Nomad has forgotten it.
func (r Record) ended(n Nomad) bool {
	d := n.Trial
	return d.Status == "successful" || d.Status == "cancelled" && d.Promoted || d.ID == "" && n.Attempt == r.Attempt
}

// mayCommit looks a last time: not while Nomad or Consul know nothing, nor after somebody took the canary key away.
// After a promote by hand there is no other way.
func (r *Record) mayCommit(obs Observation, now time.Time) bool {
	switch {
	case obs.Nomad.Trial.Promoted:
		return true
	case obs.Nomad.Down != "" || blank(obs):
		return false
	}
	return r.First() || !r.meddled(obs, now)
}

// takeRequests carries out what operators asked for, in order.
func (r *Record) takeRequests(obs Observation, now time.Time) {
	requests := r.Requests
	r.Requests = nil
	for _, q := range requests {
		r.log(now, fmt.Sprintf("asked to %s%s", q.what(), suffix(q.Why)), q.By)
		if refused := r.take(q, obs, now); refused != "" {
			r.log(now, fmt.Sprintf("does not %s: %s", q.what(), refused), "")
		}
	}
}

func (q Request) what() string {
	if q.Verb == VerbWeights {
		return fmt.Sprintf("set the weight to %d %%", q.Weight)
	}
	return string(q.Verb)
}

// take carries out one request and returns why not, where it can't be done.
func (r *Record) take(q Request, obs Observation, now time.Time) string {
	if r.Phase == Aborting || r.Phase == NeedsHuman || r.Phase.Terminal() {
		return "the rollout is going back"
	}
	if r.Phase == Promoting && q.Verb != VerbRevert {
		return "the rollout is committing"
	}
	switch q.Verb {
	case VerbRevert:
		if obs.Nomad.Trial.Promoted {
			return "Nomad has promoted it and stops the old instances: revert once it is done"
		}
		r.abort(now, fmt.Sprintf("reverted by %s%s", q.By, suffix(q.Why)))
	case VerbWeights:
		return r.takeWeight(q, obs, now)
	case VerbPromote:
		return r.takePromote(now)
	case VerbFull:
		r.Full, r.Manual, r.BackToHold = true, false, false
		if r.Phase.trafficked() || r.Phase == Held {
			r.Step = len(r.Spec.Steps) - 1
			r.enter(Shifting, now, 0, "goes to 100 % at once")
		}
	default:
		return fmt.Sprintf("unknown verb %q", q.Verb)
	}
	return ""
}

func (r *Record) takeWeight(q Request, obs Observation, now time.Time) string {
	if q.Weight < 0 || q.Weight > 100 {
		return "want a weight from 0 to 100"
	}
	if !r.Phase.trafficked() && r.Phase != Held {
		return "the canary is not up yet"
	}
	r.Manual, r.Full, r.BackToHold = true, false, false
	r.Epoch = r.nextEpoch(obs)
	r.Weight = q.Weight
	r.enter(Settling, now, r.Spec.Settle, fmt.Sprintf("moves %d %% by hand", q.Weight))
	return ""
}

func (r *Record) takePromote(now time.Time) string {
	switch {
	case r.Phase == Held && r.Manual:
		r.Manual = false
		r.stepAbove(r.Weight)
		r.enter(Shifting, now, 0, fmt.Sprintf("goes on with step %d of %d", r.Step+1, len(r.Spec.Steps)))
	case r.Phase == Held && r.HeldFrom == Verifying:
		r.enter(Shifting, now, 0, "starts")
	case r.Phase == Held:
		r.advance(now)
	case r.Phase == Baking || r.Phase == Watching:
		r.Deadline = now
	default:
		return fmt.Sprintf("nothing to promote in phase %s", r.Phase)
	}
	return ""
}

// stepAbove picks the first step with more than the weight, or the last one.
func (r *Record) stepAbove(weight int) {
	for i, s := range r.Spec.Steps {
		r.Step = i
		if s.Weight > weight {
			return
		}
	}
}

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
		if acts, ready := r.hooks(HookPost, now); !ready {
			return acts
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

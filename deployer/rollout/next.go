package rollout

import (
	"fmt"
	"time"
)

// Next takes one look at the world and returns the record as it must be stored now, and what to do then. When the
// record differs from the one given, call Next again with a new observation after the actions; otherwise wait for an
// event or for Wake.
func Next(rec Record, obs Observation, now time.Time) (Record, []Action) {
	r := rec
	if r.Phase.Terminal() {
		return r, nil
	}
	r.takeRequests(obs, now)
	r.takeHooks(obs, now)
	if why := r.failure(obs, now); why != "" {
		r.abort(now, why)
	}
	r.judgedBad(obs, now)
	if obs.Takeover {
		r.takeOver(obs, now)
	}
	r.followPromote(obs, now)
	r.noteBlindness(obs, now)
	return r.phaseStep(obs, now)
}

func (r Record) phaseStep(obs Observation, now time.Time) (Record, []Action) {
	var acts []Action
	switch r.Phase {
	case Pending:
		acts = r.pending(obs, now)
	case Placing:
		acts = r.placing(obs, now)
	case Verifying:
		acts = r.verifying(obs, now)
	case Shifting:
		r.shifting(obs, now)
	case Settling:
		acts = r.settling(obs, now)
	case Baking:
		if acts, _ = r.hooks(HookStep, now); r.Phase == Baking {
			r.baking(obs, now, Judging, "baked")
		}
	case Judging:
		acts = r.judging(obs, now)
	case Watching:
		r.baking(obs, now, Promoting, "watched at 100 %")
	case Promoting:
		acts = r.promoting(obs, now)
	case Held:
		r.held(obs, now)
	case NeedsHuman, Aborting:
		acts = r.aborting(obs, now)
	case Done, RolledBack:
	}
	return r, acts
}

// Wake returns when the record must be looked at again even if nothing happens; zero for never. A time that was past
// at the last look is of no use any more: that look did what there was to do.
func Wake(r Record) time.Time {
	if !r.Blind.IsZero() {
		blind := r.Blind.Add(time.Duration(r.Spec.Blind))
		if r.Deadline.IsZero() || blind.Before(r.Deadline) {
			return blind
		}
	}
	return r.Deadline
}

// failure is the kill-switch: it returns why the canary must be taken back now, or "".
func (r Record) failure(obs Observation, now time.Time) string {
	phase := r.Phase
	if phase == Held {
		phase = r.HeldFrom
	}
	switch phase {
	case Pending, Aborting, NeedsHuman, Done, RolledBack:
		return ""
	case Placing:
		return r.nomadFailure(obs.Nomad)
	case Verifying, Shifting, Settling, Baking, Judging, Watching, Promoting, Held:
	}
	if r.PromoteRefused != "" {
		return "Nomad refused the promote: " + r.PromoteRefused
	}
	if why := r.nomadFailure(obs.Nomad); why != "" || obs.Nomad.Trial.Promoted {
		return why
	}
	if phase.trafficked() && obs.Nomad.Down != "" && !r.Blind.IsZero() && now.Sub(r.Blind) >= time.Duration(r.Spec.Blind) {
		return fmt.Sprintf("Nomad has been out of reach for %s", now.Sub(r.Blind).Round(time.Second))
	}
	return r.instanceFailure(obs)
}

func (r Record) nomadFailure(n Nomad) string {
	switch n.Trial.Status {
	case "failed":
		return "Nomad failed the deployment: " + n.Trial.Reason
	case "cancelled":
		if n.Trial.Promoted {
			return "" // superseded, but its instances are all that is left
		}
		return "Nomad cancelled the deployment: " + n.Trial.Reason
	}
	return r.scaled(n.Trial)
}

func (r Record) instanceFailure(obs Observation) string {
	c := obs.Canary
	switch {
	case c.Dead > 0:
		return trouble(c, fmt.Sprintf("%d instances of the canary are dead in Nomad", c.Dead))
	case c.Critical > 0:
		return trouble(c, fmt.Sprintf("%d instances of the canary are critical in Consul", c.Critical))
	case c.Passing < r.wanted() && !blank(obs):
		return trouble(c, fmt.Sprintf("%d of %d instances of the canary pass their checks", c.Passing, r.wanted()))
	}
	return ""
}

func trouble(s Side, what string) string {
	if s.Trouble == "" {
		return what
	}
	return what + ": " + s.Trouble
}

// blank says that Consul shows nothing of either side while Nomad runs the canary, or can't be asked: Consul lost its
// registrations (after a restart or an election) and knows nothing, which is no reason to act.
func blank(obs Observation) bool {
	return obs.Canary.Passing == 0 && obs.Stable.Passing == 0 && obs.Stable.Critical == 0 &&
		(obs.Canary.Running > 0 || obs.Nomad.Down != "")
}

// followPromote commits when somebody promoted the deployment in Nomad by hand: the old instances are being stopped,
// so that the only healthy way is forward.
func (r *Record) followPromote(obs Observation, now time.Time) {
	switch r.Phase {
	case Verifying, Shifting, Settling, Baking, Judging, Watching, Held:
		if obs.Nomad.Trial.Promoted {
			r.enter(Promoting, now, 0, "somebody promoted the deployment in Nomad: the traffic follows")
		}
	case Pending, Placing, Promoting, Done, Aborting, RolledBack, NeedsHuman:
	}
}

func (r *Record) abort(now time.Time, why string) {
	if r.Phase == Aborting || r.Phase == NeedsHuman {
		return
	}
	r.Reason, r.Requests = why, nil
	r.enter(Aborting, now, 0, why)
}

// takeOver re-enters a step that was left unguarded: the canary key went with its guardian's session, so the weight
// is written anew and the bake starts anew.
func (r *Record) takeOver(obs Observation, now time.Time) {
	switch r.Phase {
	case Placing:
		r.enter(Placing, now, r.Spec.Place, "a new guardian goes on")
	case Settling, Baking, Judging, Watching:
		r.enter(Shifting, now, 0, "a new guardian takes the step up again")
	case Promoting:
		r.takeOverCommit(obs, now)
	case Held:
		r.takeOverHeld(obs, now)
	case Pending, Verifying, Shifting, Aborting, NeedsHuman, Done, RolledBack:
		r.log(now, "a new guardian goes on", "")
	}
}

func (r *Record) takeOverCommit(obs Observation, now time.Time) {
	switch {
	case obs.Traffic.Stable == r.Release:
		r.log(now, "a new guardian goes on, after the commit", "")
	case r.First() || obs.Nomad.Trial.Promoted:
		r.Committed = false
		r.log(now, "a new guardian goes on, before the commit", "")
	default:
		r.Committed = false
		r.enter(Shifting, now, 0, "a new guardian takes the step up again, before the commit")
	}
}

func (r *Record) takeOverHeld(obs Observation, now time.Time) {
	if r.HeldFrom == Verifying {
		r.log(now, "a new guardian holds on", "")
		return
	}
	r.Epoch, r.BackToHold = r.nextEpoch(obs), true
	r.enter(Settling, now, r.Spec.Settle, "a new guardian writes the held weight anew")
}

func (r *Record) noteBlindness(obs Observation, now time.Time) {
	switch {
	case obs.Nomad.Down == "":
		r.Blind = time.Time{}
	case r.Blind.IsZero():
		r.Blind = now
		r.log(now, "Nomad is out of reach: "+obs.Nomad.Down, "")
	}
}

// nextEpoch is above everything ever written.
func (r Record) nextEpoch(obs Observation) uint64 {
	e := max(r.Epoch, obs.Traffic.Epoch)
	if obs.Traffic.Canary != nil {
		e = max(e, obs.Traffic.Canary.Epoch)
	}
	return e + 1
}

package rollout

import (
	"fmt"
	"strings"
	"time"
)

// aborting goes back: traffic first, seen effective, then the Nomad job. It needs Nomad only for the second half.
// Before it moves traffic it looks at the side that it goes back to: where that has no healthy instance, it holds and
// changes nothing until there is one.
func (r *Record) aborting(obs Observation, now time.Time) []Action {
	r.explain(obs, now)
	if r.exposed(obs) {
		if !r.First() && obs.Stable.Passing == 0 && !r.Forced {
			return r.needHuman(obs, now)
		}
		if r.Phase == NeedsHuman {
			r.enter(Aborting, now, 0, fmt.Sprintf("goes back: %d instances of %s are healthy", obs.Stable.Passing, r.Stable))
		}
		return r.trafficBack(obs, now)
	}
	if r.Phase == NeedsHuman {
		r.enter(Aborting, now, 0, "the canary gets no requests any more")
	}
	t := obs.Traffic
	if r.Cleared && !t.gone(fmt.Sprintf("%d/-", t.Epoch), r.Since, now) {
		return nil
	}
	if obs.Nomad.Down != "" {
		return nil
	}
	if acts := r.collect(obs, now); acts != nil {
		return acts
	}
	return r.jobBack(obs, now)
}

// explain adds to the reason what became known of the cause after the first sign of it: Consul misses an instance
// before Nomad tells how its task ended.
func (r *Record) explain(obs Observation, now time.Time) {
	if r.Explained || obs.Canary.Trouble == "" || !obs.Nomad.Trial.Active() && obs.Canary.Dead == 0 {
		return // nothing is known, or the canary's instances are being stopped
	}
	r.Explained = true
	if !strings.Contains(r.Reason, obs.Canary.Trouble) {
		r.Reason += ": " + obs.Canary.Trouble
		r.log(now, obs.Canary.Trouble, "")
	}
}

// exposed says whether the KV store still sends, or may still send, requests to the canary.
func (r Record) exposed(obs Observation) bool {
	t := obs.Traffic
	if r.Stable == "" { // it had not begun
		return false
	}
	// An epoch above that of stable was given to a canary key, or is about to be.
	return t.Canary != nil || t.Stable == r.Release || r.Weight > 0 || t.Epoch < r.Epoch
}

func (r *Record) trafficBack(obs Observation, now time.Time) []Action {
	if !r.Cleared {
		r.Cleared, r.Weight = true, 0
		r.Epoch = r.nextEpoch(obs)
		r.log(now, "sends all requests to "+r.Stable, "")
	}
	previous := obs.Traffic.Previous
	if obs.Traffic.Stable == r.Release {
		previous = "" // the commit is taken back
	}
	return []Action{SetStable{Release: r.Stable, Previous: previous, Epoch: r.Epoch}}
}

// needHuman holds. Where Nomad has stopped the old instances after a promote, it brings them back meanwhile.
func (r *Record) needHuman(obs Observation, now time.Time) []Action {
	if r.Phase != NeedsHuman {
		r.HeldFrom = Aborting
		r.enter(NeedsHuman, now, 0, fmt.Sprintf(
			"%s has no healthy instance to go back to%s: nothing is changed until it has one",
			r.Stable, suffix(obs.Stable.Trouble)))
	}
	n := obs.Nomad
	if n.Down == "" && n.Trial.Promoted && !n.Trial.Active() && n.Release == r.Release && n.StableVersion != nil {
		return []Action{RestoreJob{Version: *n.StableVersion}}
	}
	return nil
}

// jobBack makes the old release the job's current one again and sees its deployment through.
func (r *Record) jobBack(obs Observation, now time.Time) []Action {
	n := obs.Nomad
	switch {
	case n.Trial.Active() && r.waitsFor(obs.Stable, now):
		return nil
	case n.Trial.Active():
		return []Action{FailDeployment{Deployment: n.Trial.ID}}
	case !n.Exists || n.Attempt != r.Attempt && n.Release != r.Stable:
		return r.finishBack(now, r.orphaned(obs))
	case n.Release == r.Release && n.Attempt == r.Attempt:
		return r.restore(n, now)
	}
	return r.seeThrough(obs, now)
}

// The second half of going back, in which no request depends on it, waits for Nomad to replace an instance of stable that
// died, and for its word on one that was just replaced: a rollback deployment takes over such an instance, never replaces
// it, and loses sight of its health. How long Nomad takes to replace grows with each time, up to a minute.
const (
	replacedIn = 75 * time.Second
	healthIn   = 10 * time.Second
)

func (r *Record) waitsFor(stable Side, now time.Time) bool {
	limit := time.Duration(0)
	if stable.Open > 0 {
		limit = healthIn
	}
	if stable.Stuck > 0 {
		limit = replacedIn
	}
	if limit == 0 {
		return false
	}
	if r.Opened.IsZero() {
		r.Opened = now
	}
	return now.Sub(r.Opened) < limit
}

// orphaned remarks that nobody serves any more: somebody else has taken the job away.
func (r Record) orphaned(obs Observation) string {
	if r.First() || r.Stable == "" || obs.Stable.Passing > 0 {
		return ""
	}
	return "somebody else stopped or replaced the job, and no instance of " + r.Stable + " passes: register it again"
}

func (r *Record) restore(n Nomad, now time.Time) []Action {
	switch {
	case r.First():
		return []Action{StopJob{}}
	case n.StableVersion == nil:
		return r.finishBack(now, "Nomad has no version of "+r.Stable+" left: register it again")
	}
	return []Action{RestoreJob{Version: *n.StableVersion}}
}

// seeThrough waits for the rollback deployment. Where the old spec has canaries, Nomad wants the rollback promoted
// too and would wait for ever: that is done once its instances are healthy, and stable names them effectively.
func (r *Record) seeThrough(obs Observation, now time.Time) []Action {
	d := obs.Nomad.Current
	switch {
	case obs.Nomad.Trial.ID != "" && d.Version < obs.Nomad.Version && r.patient(now):
		return nil // Nomad's scheduler has yet to begin the rollback that it promised
	case d.Release != r.Stable || !d.Active():
		remark := ""
		if d.Status == "failed" && d.Release == r.Stable {
			remark = "Nomad's rollback deployment failed too: " + d.Reason
		}
		return r.finishBack(now, remark)
	case obs.Stable.Stuck > 0 && !r.patient(now):
		// It waits for an instance that it never replaces: better one instance less than no end.
		return []Action{FailDeployment{Deployment: d.ID}}
	case d.WaitsForPromotion() && d.Healthy >= d.Canaries && obs.Stable.Passing >= d.Canaries:
		return []Action{Promote{Deployment: d.ID}}
	}
	return nil
}

// patient waits for what Nomad does by itself within milliseconds, but not for ever.
func (r *Record) patient(now time.Time) bool {
	if r.Deadline.IsZero() {
		r.Deadline = now.Add(time.Duration(r.Spec.Settle))
	}
	return !r.late(now)
}

func (r *Record) finishBack(now time.Time, remark string) []Action {
	if acts, ready := r.hooks(HookAbort, now); !ready {
		return acts
	}
	if remark != "" {
		r.Reason += "; " + remark
	}
	r.enter(RolledBack, now, 0, "back on "+r.Stable+suffix(remark))
	return nil
}

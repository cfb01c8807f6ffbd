package rollout

import (
	"fmt"
	"strings"
	"time"
)

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

// Refusal returns why a request was refused, from what the record has logged since; "" if it was not.
func (q Request) Refusal(since []Event) string {
	for _, e := range since {
		if why, ok := strings.CutPrefix(e.What, fmt.Sprintf("does not %s: ", q.what())); ok {
			return why
		}
	}
	return ""
}

func (q Request) what() string {
	switch {
	case q.Verb == VerbWeights && q.Force:
		return fmt.Sprintf("set the weight to %d %% by force", q.Weight)
	case q.Verb == VerbWeights:
		return fmt.Sprintf("set the weight to %d %%", q.Weight)
	case q.Force:
		return string(q.Verb) + " by force"
	}
	return string(q.Verb)
}

// take carries out one request and returns why not, where it can't be done.
func (r *Record) take(q Request, obs Observation, now time.Time) string {
	switch {
	case (r.Phase == NeedsHuman || r.Phase == Aborting) && q.Verb == VerbRevert && q.Force:
		r.Forced = true
		return ""
	case r.Phase == NeedsHuman:
		return "no side is healthy: want revert by force"
	case r.Phase == Aborting || r.Phase.Terminal():
		return "the rollout is going back"
	case r.Phase == Promoting && q.Verb != VerbRevert:
		return "the rollout is committing"
	}
	switch q.Verb {
	case VerbRevert:
		return r.takeRevert(q, obs, now)
	case VerbWeights:
		return r.takeWeight(q, obs, now)
	case VerbPromote:
		return r.takePromote(q, now)
	case VerbFull:
		r.takeFull(now)
	case VerbPause:
		return r.takePause(q, now)
	case VerbResume:
		return r.takeResume(now)
	case VerbApprove, VerbReject:
		return r.takeGate(q, now)
	default:
		return fmt.Sprintf("unknown verb %q", q.Verb)
	}
	return ""
}

func (r *Record) takeRevert(q Request, obs Observation, now time.Time) string {
	if obs.Nomad.Trial.Promoted {
		return "Nomad has promoted it and stops the old instances: revert once it is done"
	}
	r.Forced = q.Force
	r.abort(now, fmt.Sprintf("reverted by %s%s", q.By, suffix(q.Why)))
	return ""
}

func (r *Record) takeWeight(q Request, obs Observation, now time.Time) string {
	if q.Weight < 0 || q.Weight > 100 {
		return "want a weight from 0 to 100"
	}
	if !r.Phase.trafficked() && r.Phase != Held {
		return "the canary is not up yet"
	}
	if why := r.Spec.overload(q.Weight); why != "" && !q.Force {
		return why + ": want --force"
	}
	r.Manual, r.Full, r.Paused, r.BackToHold, r.Shadow = true, false, false, false, false
	r.Epoch = r.nextEpoch(obs)
	r.Weight = q.Weight
	r.enter(Settling, now, r.Spec.Settle, fmt.Sprintf("moves %d %% by hand", q.Weight))
	return ""
}

func (r *Record) takePromote(q Request, now time.Time) string {
	switch {
	case r.Phase == Held && r.Manual:
		r.Manual = false
		r.stepAbove(r.Weight)
		r.enter(Shifting, now, 0, fmt.Sprintf("goes on with step %d of %d", r.Step+1, len(r.Spec.Steps)))
	case r.Phase == Held && r.HeldFrom == Verifying:
		r.start(now)
	case r.Phase == Held && r.HeldFrom == Watching:
		r.enter(Watching, now, 0, "ends the watch")
		r.Deadline = now
	case r.Phase == Held:
		r.override(q, now)
		r.advance(now)
	case r.Phase == Judging:
		r.override(q, now)
		r.passed(Judgement{Outcome: Pass, Reason: "an operator decided"}, now)
	case r.Phase == Baking || r.Phase == Watching:
		r.Deadline = now
	default:
		return fmt.Sprintf("nothing to promote in phase %s", r.Phase)
	}
	r.Paused = false
	return ""
}

// start gives the canary its first requests, or makes a model's first release stable.
func (r *Record) start(now time.Time) {
	if r.First() {
		r.enter(Promoting, now, 0, "a first release: no traffic to move")
		return
	}
	r.enter(Shifting, now, 0, "starts")
}

// override notes that a person decided what the analysis could not.
func (r *Record) override(q Request, now time.Time) {
	if n := len(r.Verdicts); n == 0 || r.Verdicts[n-1].Epoch != r.Epoch || r.Verdicts[n-1].Outcome == Pass {
		return
	}
	r.verdict(Judgement{Outcome: Pass, Reason: fmt.Sprintf("overridden by %s%s", q.By, suffix(q.Why))}, now)
}

func (r *Record) takeFull(now time.Time) {
	r.Full, r.Manual, r.Paused, r.BackToHold = true, false, false, false
	if r.Phase.trafficked() || r.Phase == Held {
		r.Step = len(r.Spec.Steps) - 1
		r.enter(Shifting, now, 0, "goes to 100 % at once")
	}
}

// takePause holds the present weight; before the first request, and while a weight moves, as soon as that is done.
func (r *Record) takePause(q Request, now time.Time) string {
	switch r.Phase {
	case Held:
		return "it is held already"
	case Shifting, Settling:
		r.HeldFrom, r.BackToHold = Baking, true
	case Baking, Judging, Watching:
		r.hold(now, r.Phase, fmt.Sprintf("paused by %s%s", q.By, suffix(q.Why)))
	case Pending, Placing, Verifying, Promoting, Done, Aborting, RolledBack, NeedsHuman:
	}
	r.Paused = true
	return ""
}

// takeResume takes the step up again, with its bake anew: what happened meanwhile was not judged.
func (r *Record) takeResume(now time.Time) string {
	if !r.Paused {
		return "it is not paused"
	}
	r.Paused, r.BackToHold = false, false
	switch {
	case r.Phase != Held:
	case r.HeldFrom == Verifying:
		r.enter(Verifying, now, 0, "resumed")
	default:
		r.enter(Shifting, now, 0, "resumed: takes the step up again")
	}
	return ""
}

func (r *Record) takeGate(q Request, now time.Time) string {
	if r.Phase != Held || r.Manual || r.Paused {
		return "no gate waits"
	}
	if q.Verb == VerbReject {
		r.abort(now, fmt.Sprintf("rejected by %s%s", q.By, suffix(q.Why)))
		return ""
	}
	return r.takePromote(q, now)
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

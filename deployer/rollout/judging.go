package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Analysis says which judgements a rollout waits for. What they rest on is in Config, which package analysis reads.
type Analysis struct {
	// Golden is set where recorded inputs are replayed in each instance of the canary before its first request.
	Golden bool `json:"golden,omitempty"`
	// Steps is set where each step is judged by what its requests show.
	Steps  bool     `json:"steps,omitempty"`
	Extend Duration `json:"extend"` // how long an inconclusive step may go on after its bake
	// Inconclusive says what becomes of a step that stays so: OnHold or OnAbort.
	Inconclusive string          `json:"inconclusive"`
	Sources      Duration        `json:"sources"` // how long the sources of a judgement may be down
	Config       json.RawMessage `json:"config,omitempty"`
}

// What may become of a step that stays inconclusive.
const (
	OnHold  = "hold"
	OnAbort = "abort"
)

// Defaults of an Analysis.
const (
	DefaultExtend  = Duration(5 * time.Minute)
	DefaultSources = Duration(time.Minute)
)

func (a *Analysis) check() error {
	switch {
	case a == nil:
		return nil
	case a.Inconclusive != OnHold && a.Inconclusive != OnAbort:
		return fmt.Errorf("analysis: inconclusive %q: want %q or %q", a.Inconclusive, OnHold, OnAbort)
	case a.Extend < 0 || a.Sources <= 0:
		return fmt.Errorf("analysis: want extend ≥ 0 and sources > 0")
	}
	return nil
}

// Judgement is what the analysis says so far of what an epoch's requests show, or, before the first of them, of the
// golden set.
type Judgement struct {
	Epoch    uint64
	Outcome  Outcome
	Reason   string          // in words
	Evidence json.RawMessage // the numbers
}

// judged returns the judgement of the present epoch. No judgement is an inconclusive one: no data is never a pass.
func (r Record) judged(obs Observation) Judgement {
	if obs.Judged == nil || obs.Judged.Epoch != r.Epoch {
		return Judgement{Epoch: r.Epoch, Outcome: Inconclusive, Reason: "nothing is known yet"}
	}
	return *obs.Judged
}

// judges says whether steps are judged by more than health.
func (s Spec) judges() bool { return s.Analysis != nil && s.Analysis.Steps }

// judgedBad takes the canary back as soon as the analysis says that it fails: while a step bakes, at a gate, in the
// watch. Once Nomad stops the old instances, there is no way back.
func (r *Record) judgedBad(obs Observation, now time.Time) {
	phase := r.Phase
	if phase == Held {
		phase = r.HeldFrom
	}
	if r.Spec.judges() && !obs.Nomad.Trial.Promoted && slices.Contains([]Phase{Baking, Judging, Watching}, phase) {
		r.wrong(r.judged(obs), now)
	}
}

// wrong takes the canary back where a judgement says that it fails.
func (r *Record) wrong(j Judgement, now time.Time) bool {
	if j.Outcome != Fail {
		return false
	}
	r.verdict(j, now)
	r.abort(now, j.Reason)
	return true
}

func (r *Record) verdict(j Judgement, now time.Time) {
	r.Verdicts = append(slices.Clip(r.Verdicts), Verdict{
		Step: r.Step, Weight: r.Weight, Epoch: r.Epoch, Outcome: j.Outcome, At: now, Evidence: j.Reason, Data: j.Evidence,
	})
}

// judging gives the step's verdict, when the bake is over. The kill-switch has been asked already.
func (r *Record) judging(obs Observation, now time.Time) []Action {
	acts, ready := r.hooks(HookStep, now)
	switch j := r.judged(obs); {
	case !ready:
		return acts
	case !r.Spec.judges() || r.Full:
		r.passed(r.health(obs), now)
	case r.meddled(obs, now) || r.standsStill(obs, now):
	case j.Outcome == Pass:
		j.Reason += "; " + r.health(obs).Reason
		r.passed(j, now)
	default:
		r.inconclusive(j, now)
	}
	return nil
}

// health is the judgement where there is no analysis: what is left to say is how long which instances were healthy.
func (r Record) health(obs Observation) Judgement {
	return Judgement{Outcome: Pass, Reason: fmt.Sprintf(
		"health: %d of %d instances passing, weight served by %d ingresses for %s",
		obs.Canary.Passing, r.wanted(), len(obs.Traffic.Served), time.Duration(r.Baked))}
}

func (r *Record) passed(j Judgement, now time.Time) {
	r.verdict(j, now)
	r.log(now, fmt.Sprintf("step %d of %d passed", r.Step+1, len(r.Spec.Steps)), "")
	if r.Spec.Steps[r.Step].Manual && !r.Full {
		r.hold(now, Judging, fmt.Sprintf("step %d waits for an operator's approval", r.Step+1))
		return
	}
	r.advance(now)
}

// inconclusive lets the step go on while its budget lasts.
func (r *Record) inconclusive(j Judgement, now time.Time) {
	if r.Deadline.IsZero() {
		r.Deadline = now.Add(time.Duration(r.Spec.Analysis.Extend))
		r.log(now, "not enough is known for a verdict, so the step goes on: "+j.Reason, "")
	}
	if !r.late(now) {
		return
	}
	r.verdict(j, now)
	why := fmt.Sprintf("step %d has no verdict after %s more: %s", r.Step+1, time.Duration(r.Spec.Analysis.Extend), j.Reason)
	if r.Spec.Analysis.Inconclusive == OnAbort {
		r.abort(now, why)
		return
	}
	r.hold(now, Judging, why)
}

// golden waits for the replay of the golden set; true once it passed, or where there is none.
func (r *Record) golden(obs Observation, now time.Time) bool {
	if r.Spec.Analysis == nil || !r.Spec.Analysis.Golden {
		return true
	}
	if r.Deadline.IsZero() {
		r.Deadline = now.Add(time.Duration(r.Spec.Analysis.Sources))
	}
	j := r.judged(obs)
	switch {
	case r.wrong(j, now):
	case j.Outcome == Pass:
		r.verdict(j, now)
		return true
	case r.late(now):
		r.abort(now, fmt.Sprintf("the golden set could not be replayed within %s: %s",
			time.Duration(r.Spec.Analysis.Sources), j.Reason))
	}
	return false
}

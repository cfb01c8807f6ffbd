// Package rollout is the state machine of a rollout, as a pure function: Next(record, observation, now) returns the
// record to store and the actions to carry out. It does no I/O and has no clock; it imports the standard library only.
//
//	Pending → Placing → Verifying → Step[i]{Shifting → Settling → Baking → Judging} → Watching → Promoting → Done
//	     any active phase → Aborting → RolledBack
//	     side phases: Held (an operator must decide), NeedsHuman (no healthy side to go back to)
//
// It is level-triggered: the same record and observation give the same actions again, so an action that was lost with
// its process is simply asked for again. The caller stores the record before it acts (compare-and-swap), and each
// action is idempotent.
package rollout

import (
	"encoding/json"
	"slices"
	"time"
)

// Phase is where a rollout stands.
type Phase string

// The phases.
const (
	Pending    Phase = "Pending"    // nothing done yet
	Placing    Phase = "Placing"    // the canary's instances come up beside stable's
	Verifying  Phase = "Verifying"  // they are up; checked before they get traffic
	Shifting   Phase = "Shifting"   // the step's weight is being written
	Settling   Phase = "Settling"   // until every live ingress serves it
	Baking     Phase = "Baking"     // the weight holds
	Judging    Phase = "Judging"    // the step's verdict
	Watching   Phase = "Watching"   // 100 %, old side hot
	Promoting  Phase = "Promoting"  // stable := canary, then Nomad's promote
	Done       Phase = "Done"       // terminal
	Aborting   Phase = "Aborting"   // going back
	RolledBack Phase = "RolledBack" // terminal
	Held       Phase = "Held"       // an operator must promote or revert
	NeedsHuman Phase = "NeedsHuman" // going back would make it worse: nothing is changed
)

// Terminal says whether a phase is an end.
func (p Phase) Terminal() bool { return p == Done || p == RolledBack }

// InStep says whether a phase is part of a step.
func (p Phase) InStep() bool { return slices.Contains([]Phase{Shifting, Settling, Baking, Judging}, p) }

// trafficked says whether the canary may have requests in this phase.
func (p Phase) trafficked() bool {
	return slices.Contains([]Phase{Shifting, Settling, Baking, Judging, Watching, Promoting}, p)
}

// None is the stable release of a model without one.
const None = "none"

// Verb is what an operator asks of a running rollout.
type Verb string

// The verbs.
const (
	VerbPromote Verb = "promote" // go on: past a gate, or to the next step at once
	VerbFull    Verb = "full"    // go to 100 % and commit, without baking
	VerbRevert  Verb = "revert"  // go back
	VerbWeights Verb = "weights" // set the weight by hand and hold there
	VerbPause   Verb = "pause"   // hold at the present weight
	VerbResume  Verb = "resume"  // end a pause: the step is taken up again
	VerbApprove Verb = "approve" // pass the gate that waits
	VerbReject  Verb = "reject"  // go back instead of passing the gate that waits
)

// Request is an operator's act on a running rollout, kept in the record until the guardian has taken it up.
type Request struct {
	Verb   Verb `json:"verb"`
	Weight int  `json:"weight,omitempty"` // with VerbWeights: percent, 0 to 100
	// Force goes back also where no healthy instance is left to go back to, and sets a weight above the canary's share.
	Force bool      `json:"force,omitempty"`
	By    string    `json:"by"`
	Why   string    `json:"why,omitempty"`
	At    time.Time `json:"at"`
}

// Event is a line of the record's log.
type Event struct {
	At    time.Time `json:"at"`
	Phase Phase     `json:"phase"`
	Step  int       `json:"step"`
	What  string    `json:"what"`
	By    string    `json:"by,omitempty"`
}

// Outcome is the result of judging a step.
type Outcome string

// The outcomes of a verdict.
const (
	Pass         Outcome = "pass"
	Fail         Outcome = "fail"
	Inconclusive Outcome = "inconclusive"
	SourceDown   Outcome = "source_down"
)

// Verdict is the judgement of a step with what it rests on.
type Verdict struct {
	Step     int       `json:"step"`
	Weight   int       `json:"weight"`
	Epoch    uint64    `json:"epoch"`
	Outcome  Outcome   `json:"outcome"`
	At       time.Time `json:"at"`
	Evidence string    `json:"evidence"`
	// Data is what a judgement rests on, as package analysis writes it.
	Data json.RawMessage `json:"data,omitempty"`
}

// Record is all there is to know of a rollout. It is stored in Consul before each act.
type Record struct {
	Schema   int       `json:"schema"`
	ID       string    `json:"id"`
	Model    string    `json:"model"`
	Release  string    `json:"release"` // the release under trial
	Stable   string    `json:"stable"`  // the release to go back to; None for a model's first
	Attempt  string    `json:"attempt"` // in the job's meta: makes each registration new to Nomad
	Spec     Spec      `json:"spec"`
	Color    string    `json:"color"`
	By       string    `json:"by"`
	Created  time.Time `json:"created"`
	Phase    Phase     `json:"phase"`
	Step     int       `json:"step"`
	Weight   int       `json:"weight"`           // intended share of the canary, percent
	Shadow   bool      `json:"shadow,omitempty"` // the canary gets copies of requests
	Epoch    uint64    `json:"epoch"`            // the highest epoch ever written or about to be
	Since    time.Time `json:"since"`            // when the phase began
	Deadline time.Time `json:"deadline,omitzero"`
	// Blind is since when Nomad has been out of reach; zero while it answers.
	Blind time.Time `json:"blind,omitzero"`
	// LastTick is when a bake was last looked at; time in which the weight was not served moves the deadline.
	LastTick time.Time `json:"last_tick,omitzero"`
	// Frozen is since when a bake has stood still for another reason than Nomad's.
	Frozen time.Time `json:"frozen,omitzero"`
	// HeldFrom is the phase that Held or NeedsHuman interrupts.
	HeldFrom Phase `json:"held_from,omitempty"`
	// BackToHold is set where a takeover writes the weight of a held rollout anew.
	BackToHold bool `json:"back_to_hold,omitempty"`
	// Baked is how long the last bake held.
	Baked Duration `json:"baked,omitempty"`
	// Manual is set where an operator took the weight into their own hands.
	Manual bool `json:"manual,omitempty"`
	// Full is set where an operator asked to skip all bakes, Paused where one asked to hold, Forced where one asked to
	// go back whatever the stable side looks like.
	Full   bool `json:"full,omitempty"`
	Paused bool `json:"paused,omitempty"`
	Forced bool `json:"forced,omitempty"`
	// Cleared is set once an abort has its epoch, Committed once stable names the canary's release.
	Cleared   bool `json:"cleared,omitempty"`
	Committed bool `json:"committed,omitempty"`
	// Explained is set once the reason has what Nomad or Consul say of the cause.
	Explained bool   `json:"explained,omitempty"`
	Reason    string `json:"reason,omitempty"` // why it went back or holds
	// PromoteRefused is Nomad's answer to a promote that it did not accept.
	PromoteRefused string `json:"promote_refused,omitempty"`
	// Evidence is what the canary's instances left behind when it went back; Collecting is since when it is read.
	Evidence   *Evidence       `json:"evidence,omitempty"`
	Collecting time.Time       `json:"collecting,omitzero"`
	Opened     time.Time       `json:"opened,omitzero"` // since when it waits for the health of a stable instance
	HookRuns   []HookRun       `json:"hook_runs,omitempty"`
	Requests   []Request       `json:"requests,omitempty"`
	Verdicts   []Verdict       `json:"verdicts,omitempty"`
	Events     []Event         `json:"events,omitempty"`
	Job        json.RawMessage `json:"job,omitempty"` // the job as it is registered
}

// First says whether the model had no stable release before this rollout.
func (r Record) First() bool { return r.Stable == None }

// maxEvents bounds the log of one record: Consul keeps at most 512 KiB under a key.
const maxEvents = 400

func (r *Record) log(now time.Time, what, by string) {
	if len(r.Events) >= maxEvents {
		r.Events = slices.Delete(slices.Clone(r.Events), 1, 2) // the first one stays
	}
	r.Events = append(slices.Clip(r.Events), Event{At: now, Phase: r.Phase, Step: r.Step, What: what, By: by})
}

// enter moves the record to a phase, with a deadline unless it is zero.
func (r *Record) enter(p Phase, now time.Time, limit Duration, what string) {
	r.Phase, r.Since, r.Deadline, r.LastTick, r.Frozen = p, now, time.Time{}, time.Time{}, time.Time{}
	if limit > 0 {
		r.Deadline = now.Add(time.Duration(limit))
	}
	r.log(now, what, "")
}

func (r Record) late(now time.Time) bool { return !r.Deadline.IsZero() && !now.Before(r.Deadline) }

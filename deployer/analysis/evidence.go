package analysis

import (
	"math"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// Evidence is all that a verdict rests on. It is stored with the verdict: judging it again gives the same verdict.
type Evidence struct {
	Step   int       `json:"step"` // index of the step
	Epoch  uint64    `json:"epoch"`
	Since  time.Time `json:"since"` // when the counting began: the weight was effective
	At     time.Time `json:"at"`
	Share  float64   `json:"share"` // of the requests that should go to the canary: weight / 100
	Canary Side      `json:"canary"`
	Stable Side      `json:"stable"`
	// Attempts is what the ingresses tried, where they count it: also what was tried again elsewhere, which no client
	// and no instance sees. Nil where no ingress counted when the step began.
	Attempts *Attempts `json:"attempts,omitempty"`
	// Before is stable's counts in the last step in which it had traffic. At 100 % there is nothing else to hold the
	// canary against.
	Before *Counts `json:"before,omitempty"`
	// Golden is the golden set's result, of all instances of the canary that have replayed it.
	Golden *GoldenReport `json:"golden,omitempty"`
	// Pairs is what shadow traffic showed.
	Pairs *Pairs `json:"pairs,omitempty"`
	// Queries holds the state of each query by name.
	Queries map[string]Reading `json:"queries,omitempty"`
	// Overridden is who supplied or waived evidence, and why: an operator, or a load generator. It is shown with the
	// verdict; an overridden minimum of requests counts as reached.
	Overridden string `json:"overridden,omitempty"`
}

// Attempts counts, by status code, the first attempts of the requests that the ingresses drew for a release under the
// step's epoch, at its own instances. Each request has one: what was tried after it, wherever, is left out, as it was not
// drawn. Code 0 is an attempt without an answer; 499 one whose client went away first.
type Attempts struct {
	Canary map[int]uint64 `json:"canary"`
	Stable map[int]uint64 `json:"stable"`
	// Before is stable's in the last step in which it had traffic, as Evidence.Before.
	Before    map[int]uint64 `json:"before,omitempty"`
	Ingresses int            `json:"ingresses"` // that count
	Answered  int            `json:"answered"`  // of these, in the last look
	Trouble   string         `json:"trouble,omitempty"`
}

// Side is one release's part of the evidence.
type Side struct {
	Release string `json:"release"`
	Counts
	Listed   int    `json:"listed"`            // instances that should have answered the last look
	Answered int    `json:"answered"`          // instances that did
	Trouble  string `json:"trouble,omitempty"` // the first error of the last look
}

// missing is the part of the instances that did not answer; all of them where none is known.
func (s Side) missing() float64 {
	if s.Listed == 0 {
		return 1
	}
	return 1 - float64(s.Answered)/float64(s.Listed)
}

// Reading is what a query has shown since the step began.
type Reading struct {
	Value  float64 `json:"value"`  // of the last look that gave one
	Seen   int     `json:"seen"`   // looks that gave a value
	Beyond int     `json:"beyond"` // looks in a row whose value was beyond a limit, up to now
	Down   string  `json:"down,omitempty"`
}

// See returns the reading after one more look: a value, no data (nil), or an error.
func (r Reading) See(q Query, value *float64, err error) Reading {
	r.Down = ""
	switch {
	case err != nil:
		r.Down = err.Error()
	case value == nil || math.IsNaN(*value): // as 0/0 gives without traffic
	default:
		r.Value = math.Max(-math.MaxFloat64, math.Min(*value, math.MaxFloat64)) // JSON knows no infinity
		r.Seen++
		if q.within(*value) {
			r.Beyond = 0
		} else {
			r.Beyond++
		}
	}
	return r
}

func (q Query) within(v float64) bool {
	return (q.Min == nil || v >= *q.Min) && (q.Max == nil || v <= *q.Max)
}

// Result is the judgement of one metric, with its numbers.
type Result struct {
	Metric  string          `json:"metric"`
	Outcome rollout.Outcome `json:"outcome"` // or Skipped
	Reason  string          `json:"reason"`
	DryRun  bool            `json:"dry_run,omitempty"`
	// Canary and Stable are what was measured, Effect is the difference (or what Reason calls it) with its interval.
	Canary   float64   `json:"canary"`
	Stable   float64   `json:"stable"`
	Effect   float64   `json:"effect"`
	Interval *Interval `json:"interval,omitempty"`
	// N and NStable are the numbers of requests (or pairs, or cases) behind it.
	N       float64 `json:"n"`
	NStable float64 `json:"n_stable"`
	// LogE is the logarithm of the e-value against "no worse than tolerated"; P the always-valid p-value; Alpha what
	// the test may spend: it fails at P ≤ Alpha. Alpha is 0 where there is no test of chance.
	LogE  float64 `json:"log_e"`
	P     float64 `json:"p"`
	Alpha float64 `json:"alpha"`
}

// Skipped is the outcome of a metric that does not apply: it neither passes nor holds a step.
const Skipped rollout.Outcome = "skipped"

// Verdict is the judgement of a step so far.
type Verdict struct {
	Outcome  rollout.Outcome `json:"outcome"`
	Reasons  []string        `json:"reasons"` // of the metrics with that outcome
	Results  []Result        `json:"results"`
	Spec     Spec            `json:"spec"`
	Steps    int             `json:"steps"` // over which Alpha is split
	Evidence Evidence        `json:"evidence"`
}

// Replay judges the stored evidence again.
func (v Verdict) Replay() Verdict { return Judge(v.Spec, v.Steps, v.Evidence) }

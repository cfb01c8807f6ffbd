// Package analysis judges a canary by what it and stable did with the same traffic. It is pure: Judge(spec, steps,
// evidence) returns a verdict with its numbers, from counts that others have read; no I/O, no clock, no state between
// looks. docs/analysis.md says what is tested, what is guaranteed, and what can't be seen.
//
// A step's evidence is what each release's instances counted since the step's weight was effective (Tracker). The
// ingress draws the release for each request at random, with a known probability, so that any difference between the
// two sides that is not chance is the release's doing. All tests are sequential: the rollout may be judged every second
// and go back at the first failing verdict without more false aborts than Spec.Alpha says.
package analysis

import (
	"slices"

	"github.com/weirhq/weir/deployer/rollout"
)

// severity orders outcomes: a verdict is the worst of its metrics. A failure stands, also while a source is down.
var severity = []rollout.Outcome{Skipped, rollout.Pass, rollout.Inconclusive, rollout.SourceDown, rollout.Fail}

// Judge judges the evidence of a step. steps is over how many steps (the watch at 100 % counts as one) the rollout's
// Alpha is split. The verdict means: Fail: go back now. Inconclusive, before the bake is over: go on baking; after it:
// extend, then hold. SourceDown: keep the weight, nothing is known. Pass: nothing speaks against going on once the bake
// is over.
func Judge(spec Spec, steps int, ev Evidence) Verdict {
	v := Verdict{Outcome: rollout.Pass, Spec: spec, Steps: steps, Evidence: ev}
	v.Results = judge{spec: spec, ev: ev, alpha: spec.TestAlpha(steps), share: ev.share()}.all()
	for _, r := range v.Results {
		if !r.DryRun && slices.Index(severity, r.Outcome) > slices.Index(severity, v.Outcome) {
			v.Outcome = r.Outcome
		}
	}
	for _, r := range v.Results {
		if !r.DryRun && r.Outcome == v.Outcome {
			v.Reasons = append(v.Reasons, r.Metric+": "+r.Reason)
		}
	}
	return v
}

// judge holds what all metrics of one verdict need.
type judge struct {
	spec  Spec
	ev    Evidence
	alpha float64 // of each test in this step
	share float64 // of the requests, to the canary
}

// compared says whether both sides get requests.
func (j judge) compared() bool { return j.ev.Share > 0 && j.ev.Share < 1 }

// ratio widens a tolerated ratio where instances of stable did not answer: what they counted is missing on that side
// only. What is missing on the canary's makes the test slower, not wrong.
func (j judge) ratio(tolerated float64) float64 {
	return max(tolerated, 1) / (1 - j.ev.Stable.lost())
}

// share is the probability that a request goes to the canary. Where the canary surely answers more than its share, that
// counts instead: a larger share only ever makes an e-value smaller, so this can't cause a false abort, and a wrong
// split doesn't become the canary's fault.
func (ev Evidence) share() float64 { return ev.shareOf(ev.Canary.Requests(), ev.Stable.Requests()) }

// shareOf is the share by these numbers of requests of canary and stable.
func (ev Evidence) shareOf(n, m float64) float64 {
	return min(max(ev.Share, RateInterval(Tally{N: n + m, K: n}, 0.1).Low), almostAll)
}

func (j judge) all() []Result {
	out := []Result{j.requests()}
	add := func(on bool, name string, of func() Result) {
		if !on {
			return
		}
		r := of()
		r.Metric, r.DryRun = name, j.spec.dry(name)
		if r.Alpha > 0 {
			r.P = PValue(r.LogE)
		}
		out = append(out, r)
	}
	s := j.spec
	add(s.Split != nil, MetricSplit, j.split)
	add(s.Errors != nil, MetricErrors, j.errors)
	add(s.Rejections != nil, MetricRejections, func() Result { return j.answered(*s.Rejections, refused) })
	add(s.Attempts != nil, MetricAttempts, j.attempts)
	add(s.Latency != nil, MetricLatency, j.latency)
	add(s.Classes != nil, MetricClasses, j.classes)
	add(s.Scores != nil, MetricScores, j.scores)
	add(s.Golden != nil, MetricGolden, j.golden)
	add(s.Shadow != nil, MetricShadow, j.shadow)
	for _, q := range s.Queries {
		add(true, q.Name, func() Result { return j.query(q) })
	}
	return out
}

// tested completes the result of a sequential test.
func (j judge) tested(r Result, logE float64, fails, passes string) Result {
	r.LogE, r.Alpha = logE, j.alpha
	if PValue(logE) <= j.alpha {
		r.Outcome, r.Reason = rollout.Fail, fails
	} else {
		r.Outcome, r.Reason = rollout.Pass, passes
	}
	return r
}

func skipped(why string) Result      { return Result{Outcome: Skipped, Reason: why} }
func inconclusive(why string) Result { return Result{Outcome: rollout.Inconclusive, Reason: why} }

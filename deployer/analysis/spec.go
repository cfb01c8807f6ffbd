package analysis

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// Spec says what is compared between canary and stable and what is tolerated. A nil metric is not looked at.
type Spec struct {
	// Alpha is the probability with which a rollout of a release that is no worse than tolerated is taken back, over
	// all metrics, steps and looks together.
	Alpha float64 `json:"alpha"`
	// MinRequests is how many requests the canary must have answered in a step before the step can pass.
	MinRequests int `json:"min_requests"`
	// MaxMissing is the part of a release's instances that may not answer before the source counts as down.
	MaxMissing float64 `json:"max_missing"`
	// Extend is how much longer than its bake an inconclusive step may take, in all.
	Extend rollout.Duration `json:"extend"`
	// SourceDown is how long a source may be down, at a frozen weight, before the rollout goes back.
	SourceDown rollout.Duration `json:"source_down"`
	// AbortInconclusive goes back where a step is inconclusive after Extend; else the rollout holds for an operator.
	AbortInconclusive bool `json:"abort_inconclusive,omitempty"`
	// DryRun names metrics that are judged and shown but never decide. Their tests take no part of Alpha.
	DryRun []string `json:"dry_run,omitempty"`

	Errors     *Rate      `json:"errors,omitempty"`     // answers with a 5xx status
	Rejections *Rate      `json:"rejections,omitempty"` // answers with a 4xx status
	Attempts   *Rate      `json:"attempts,omitempty"`   // attempts of the ingress without an answer or with a 5xx
	Latency    *Latency   `json:"latency,omitempty"`
	Classes    *Shift     `json:"classes,omitempty"`
	Scores     *Shift     `json:"scores,omitempty"`
	Split      *Split     `json:"split,omitempty"`
	Golden     *Tolerance `json:"golden,omitempty"`
	Shadow     *Shadow    `json:"shadow,omitempty"`
	Queries    []Query    `json:"queries,omitempty"`
}

// Rate tolerates a canary whose rate of an event is at most Ratio · (stable's rate + Margin).
type Rate struct {
	Ratio  float64 `json:"ratio"`         // at least 1
	Margin float64 `json:"margin"`        // part of the requests
	Max    float64 `json:"max,omitempty"` // a limit for the canary alone, part of the requests; 0: none
}

// Latency tolerates a canary that is slower by at most Ratio and Slack, except for the part Margin of its requests: for
// every t, P(canary > Ratio·t + Slack) ≤ P(stable > t) + Margin. The histogram's resolution adds to the tolerance: the
// canary is held against the first bucket edge from Ratio·t + Slack on.
type Latency struct {
	Ratio  float64          `json:"ratio"` // at least 1
	Slack  rollout.Duration `json:"slack"`
	Margin float64          `json:"margin"`
}

// Shift tolerates a canary whose predictions are distributed like stable's but for Tolerance: the part of the requests
// by which a class (or the part of scores below or above a value) may be more or less frequent. Tolerance 0 tolerates
// no difference at all, which suits a release that should predict the same.
type Shift struct {
	Tolerance float64 `json:"tolerance"`
}

// Split watches whether the canary gets the share of the requests that it should. Where it differs by more than the
// factor 1 ± Tolerance the comparison means nothing, and the step is inconclusive.
type Split struct {
	Tolerance float64 `json:"tolerance"`
}

// Tolerance says when two outputs are the same: numbers where they differ by at most Abs + Rel·|expected|, all else
// where it is equal.
type Tolerance struct {
	Abs float64 `json:"abs"`
	Rel float64 `json:"rel"`
}

// Shadow tolerates that canary and stable answer differently to the part Budget of the mirrored requests.
type Shadow struct {
	Tolerance
	Budget   float64 `json:"budget"`
	MinPairs int     `json:"min_pairs"`
}

// Query is a metric of a Prometheus server, compared with limits. In its PromQL text, $model, $canary, $stable and
// $window (time since the step began) are replaced. It has no error budget: a query can be anything.
type Query struct {
	Name    string   `json:"name"`
	PromQL  string   `json:"promql"`
	Min     *float64 `json:"min,omitempty"`
	Max     *float64 `json:"max,omitempty"`
	InARow  int      `json:"in_a_row"` // looks beyond a limit, one after another, that fail the step
	MinSeen int      `json:"min_seen"` // looks with a value before the step can pass
}

// Names of the metrics, as in DryRun and Result.
const (
	MetricErrors     = "errors"
	MetricRejections = "rejections"
	MetricAttempts   = "attempts"
	MetricLatency    = "latency"
	MetricClasses    = "classes"
	MetricScores     = "scores"
	MetricSplit      = "split"
	MetricGolden     = "golden"
	MetricShadow     = "shadow"
	MetricRequests   = "requests"
)

// Default is the analysis of a rollout without a file: what every instance of the inference server reports. Scores are
// shown and don't decide: a model that was trained anew is surer or less sure of the same answers, and where requests
// repeat, each such step counts as another distribution.
func Default() Spec {
	return Spec{
		DryRun: []string{MetricScores},
		Alpha:  0.05, MinRequests: 50, MaxMissing: 0.2,
		Extend: rollout.DefaultExtend, SourceDown: rollout.DefaultSources,
		Errors:     &Rate{Ratio: 1.1, Margin: 0.001},
		Rejections: &Rate{Ratio: 1.1, Margin: 0.005},
		Latency:    &Latency{Ratio: 1.5, Slack: rollout.Duration(time.Millisecond), Margin: 0.01},
		Classes:    &Shift{Tolerance: 0.1},
		Scores:     &Shift{Tolerance: 0.1},
		Split:      &Split{Tolerance: 0.1},
	}
}

// Defaults of the metrics that Default leaves out.
var (
	DefaultAttempts = Rate{Ratio: 1.1, Margin: 0.001}
	DefaultGolden   = Tolerance{Abs: 1e-9, Rel: 1e-6}
	DefaultShadow   = Shadow{Tolerance: DefaultGolden, Budget: 0.01, MinPairs: 50}
)

// Check returns an error that names the first value that makes no sense.
func (s Spec) Check() error {
	switch {
	case !(s.Alpha > 0 && s.Alpha < 1):
		return fmt.Errorf("alpha %g: want a probability above 0 and below 1, like 0.05", s.Alpha)
	case s.MinRequests < 0:
		return fmt.Errorf("min_requests %d: want 0 or more", s.MinRequests)
	case !(s.MaxMissing >= 0 && s.MaxMissing < 1):
		return fmt.Errorf("max_missing %g: want a part of the instances, from 0 to below 1", s.MaxMissing)
	case s.Extend < 0 || s.SourceDown < 0:
		return fmt.Errorf("extend and source_down: want 0 or more")
	}
	for _, check := range []func() error{s.checkCompared, s.checkOutputs, s.checkQueries, s.checkDryRun} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) checkCompared() error {
	for name, r := range map[string]*Rate{
		MetricErrors: s.Errors, MetricRejections: s.Rejections, MetricAttempts: s.Attempts,
	} {
		if r != nil && !(r.Ratio >= 1 && part(r.Margin) && part(r.Max)) {
			return fmt.Errorf("%s: want ratio ≥ 1, and margin and max from 0 to below 1", name)
		}
	}
	if l := s.Latency; l != nil && !(l.Ratio >= 1 && l.Slack >= 0 && part(l.Margin)) {
		return fmt.Errorf("latency: want ratio ≥ 1, slack ≥ 0 and margin from 0 to below 1")
	}
	for name, d := range map[string]*Shift{MetricClasses: s.Classes, MetricScores: s.Scores} {
		if d != nil && !part(d.Tolerance) {
			return fmt.Errorf("%s: tolerance %g: want a part of the requests, from 0 to below 1", name, d.Tolerance)
		}
	}
	if s.Split != nil && !part(s.Split.Tolerance) {
		return fmt.Errorf("split: tolerance %g: want from 0 to below 1", s.Split.Tolerance)
	}
	return nil
}

func (s Spec) checkOutputs() error {
	if g := s.Golden; g != nil && !(g.Abs >= 0 && g.Rel >= 0) {
		return fmt.Errorf("golden: want abs and rel of 0 or more")
	}
	w := s.Shadow
	if w != nil && !(w.Abs >= 0 && w.Rel >= 0 && w.Budget > 0 && part(w.Budget) && w.MinPairs >= 1) {
		return fmt.Errorf("shadow: want abs and rel ≥ 0, budget above 0 and below 1, min_pairs ≥ 1")
	}
	return nil
}

func (s Spec) checkQueries() error {
	names := s.names()
	for _, q := range s.Queries {
		switch {
		case q.Name == "" || q.PromQL == "":
			return fmt.Errorf("query %q: want a name and a PromQL text", q.Name)
		case slices.Contains(names, q.Name):
			return fmt.Errorf("query %q: the name is taken", q.Name)
		case q.Min == nil && q.Max == nil:
			return fmt.Errorf("query %q: want min, max or both", q.Name)
		case q.InARow < 1 || q.MinSeen < 1:
			return fmt.Errorf("query %q: want in_a_row ≥ 1 and min_seen ≥ 1", q.Name)
		}
		names = append(names, q.Name)
	}
	return nil
}

func (s Spec) checkDryRun() error {
	names := s.names()
	for _, q := range s.Queries {
		names = append(names, q.Name)
	}
	for _, name := range s.DryRun {
		if !slices.Contains(names, name) {
			return fmt.Errorf("dry_run: there is no metric %q; the metrics are %q", name, names)
		}
	}
	return nil
}

// names are the built-in metrics.
func (s Spec) names() []string {
	return []string{
		MetricErrors, MetricRejections, MetricAttempts, MetricLatency, MetricClasses, MetricScores, MetricSplit,
		MetricGolden, MetricShadow, MetricRequests,
	}
}

// part says whether x is from 0 to below 1; false for NaN.
func part(x float64) bool { return x >= 0 && x < 1 }

func (s Spec) dry(name string) bool { return slices.Contains(s.DryRun, name) }

// TestAlpha is the part of Alpha that each test may spend in each step: Alpha split evenly over the tests that decide
// and over the steps (Bonferroni). A look costs nothing. Tests: errors, rejections, attempts, latency, classes, scores
// and shadow; the split test never takes a rollout back, and golden set and queries are not tests of chance.
func (s Spec) TestAlpha(steps int) float64 {
	tests := 0
	for name, on := range map[string]bool{
		MetricErrors: s.Errors != nil, MetricRejections: s.Rejections != nil, MetricAttempts: s.Attempts != nil,
		MetricLatency: s.Latency != nil, MetricClasses: s.Classes != nil, MetricScores: s.Scores != nil,
		MetricShadow: s.Shadow != nil,
	} {
		if on && !s.dry(name) {
			tests++
		}
	}
	return s.Alpha / float64(max(tests, 1)*max(steps, 1))
}

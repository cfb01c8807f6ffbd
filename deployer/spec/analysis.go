package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/rollout"
)

// analysis puts what is to be judged into the spec.
func (r *reader) analysis(s *rollout.Spec, d document) {
	a, b := shadowed(analysis.Default(), s.Strategy), analysisBlock{At: r.all}
	if d.Analysis != nil {
		b = *d.Analysis
	}
	c := judge.Config{Prometheus: or(b.Prometheus, "")}
	set(&a.Alpha, b.Alpha)
	set(&a.MinRequests, b.MinRequests)
	set(&a.MaxMissing, b.MaxMissing)
	a.Extend = r.duration(b.Extend, a.Extend, b.At)
	a.SourceDown = r.duration(b.SourceDown, a.SourceDown, b.At)
	a.AbortInconclusive = r.inconclusive(b)
	r.metrics(&a, b)
	if d.Golden != nil {
		a.Golden, c.Cases = r.golden(*d.Golden)
	}
	c.Spec = a
	r.wrong(b.At, a.Check())
	if len(a.Queries) > 0 && c.Prometheus == "" {
		r.wrong(b.At, fmt.Errorf("query: want prometheus = \"http://…\", the server that answers it"))
	}
	r.wrong(b.At, judge.Put(s, c))
	if !or(b.Enabled, true) {
		s.Analysis.Steps = false
		if len(c.Cases) == 0 {
			s.Analysis = nil
		}
	}
}

func (r *reader) inconclusive(b analysisBlock) bool {
	what := or(b.Inconclusive, rollout.OnHold)
	if what != rollout.OnHold && what != rollout.OnAbort {
		r.wrong(b.At, fmt.Errorf("inconclusive %q: want %q or %q", what, rollout.OnHold, rollout.OnAbort))
	}
	return what == rollout.OnAbort
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// dry notes whether a metric never decides.
func dry(a *analysis.Spec, name string, on *bool) {
	if on == nil {
		return
	}
	a.DryRun = slices.DeleteFunc(a.DryRun, func(n string) bool { return n == name })
	if *on {
		a.DryRun = append(a.DryRun, name)
	}
}

func (r *reader) metrics(a *analysis.Spec, b analysisBlock) {
	a.Errors = rate(a, analysis.MetricErrors, a.Errors, b.Errors)
	a.Rejections = rate(a, analysis.MetricRejections, a.Rejections, b.Rejections)
	if b.Attempts != nil { // without it, errors looks at the attempts, too
		own := analysis.DefaultAttempts
		a.Attempts = rate(a, analysis.MetricAttempts, &own, b.Attempts)
	}
	a.Classes = shift(a, analysis.MetricClasses, a.Classes, b.Classes)
	a.Scores = shift(a, analysis.MetricScores, a.Scores, b.Scores)
	if b.Split != nil {
		split := shift(a, analysis.MetricSplit, (*analysis.Shift)(a.Split), b.Split)
		a.Split = (*analysis.Split)(split)
	}
	if l := b.Latency; l != nil {
		dry(a, analysis.MetricLatency, l.DryRun)
		set(&a.Latency.Ratio, l.Ratio)
		set(&a.Latency.Margin, l.Margin)
		a.Latency.Slack = r.duration(l.Slack, a.Latency.Slack, b.At)
		if !or(l.Enabled, true) {
			a.Latency = nil
		}
	}
	if w := b.Shadow; w != nil {
		shadow := analysis.DefaultShadow
		dry(a, analysis.MetricShadow, w.DryRun)
		set(&shadow.Budget, w.Budget)
		set(&shadow.MinPairs, w.MinPairs)
		set(&shadow.Abs, w.Abs)
		set(&shadow.Rel, w.Rel)
		a.Shadow = &shadow
	}
	for _, q := range b.Queries {
		dry(a, q.Name, q.DryRun)
		a.Queries = append(a.Queries, analysis.Query{
			Name: q.Name, PromQL: q.PromQL, Min: q.Min, Max: q.Max, InARow: or(q.InARow, 3), MinSeen: or(q.MinSeen, 1),
		})
	}
}

func rate(a *analysis.Spec, name string, of *analysis.Rate, b *rateBlock) *analysis.Rate {
	if b == nil {
		return of
	}
	if !or(b.Enabled, true) {
		return nil
	}
	dry(a, name, b.DryRun)
	set(&of.Ratio, b.Ratio)
	set(&of.Margin, b.Margin)
	set(&of.Max, b.Max)
	return of
}

func shift(a *analysis.Spec, name string, of *analysis.Shift, b *shiftBlock) *analysis.Shift {
	if b == nil {
		return of
	}
	if !or(b.Enabled, true) {
		return nil
	}
	dry(a, name, b.DryRun)
	set(&of.Tolerance, b.Tolerance)
	return of
}

func (r *reader) golden(b goldenBlock) (*analysis.Tolerance, []judge.Case) {
	tol := analysis.DefaultGolden
	set(&tol.Abs, b.Abs)
	set(&tol.Rel, b.Rel)
	path := b.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		r.wrong(b.At, fmt.Errorf("read the golden set: %w", err))
		return &tol, nil
	}
	cases, err := judge.ReadCases(src)
	if err != nil {
		r.wrong(b.At, fmt.Errorf("%s: %w", path, err))
	}
	return &tol, cases
}

package analysis

import (
	"fmt"
	"math"

	"github.com/weirhq/weir/deployer/rollout"
)

// classes judges the distribution of predicted classes.
func (j judge) classes() Result {
	if !j.compared() {
		return j.notCompared()
	}
	names, c, s := classBins(j.ev.Canary.Classes, j.ev.Stable.Classes)
	n, m := total(c), total(s)
	if r, ok := lacking("classes", n, m, j.ev.Canary.Classes != nil, j.ev.Stable.Classes != nil); ok {
		return r
	}
	most, at := 0.0, 0
	for i := range names {
		if d := math.Abs(c[i]/n - s[i]/m); d > most {
			most, at = d, i
		}
	}
	in := DifferenceInterval(Tally{N: n, K: c[at]}, Tally{N: m, K: s[at]}, j.alpha/float64(len(names)))
	r := Result{
		N: n, NStable: m, Canary: c[at] / n, Stable: s[at] / m, Effect: c[at]/n - s[at]/m, Interval: &in,
	}
	test := shiftTest{share: j.share, ratio: j.ratio(1), tolerance: j.spec.Classes.Tolerance, canary: c, stable: s}
	seen := fmt.Sprintf("class %q is %s of the canary's answers and %s of stable's; %s of all answers moved, PSI %.3f",
		names[at], percent(r.Canary), percent(r.Stable), percent(variation(c, s)), PSI(c, s))
	return j.tested(r, test.classLogE(), seen+": more than tolerated", seen)
}

// scores judges the distribution of scores.
func (j judge) scores() Result {
	if !j.compared() {
		return j.notCompared()
	}
	edges, c, s := scoreBins(j.ev.Canary.Scores, j.ev.Stable.Scores)
	n, m := total(c), total(s)
	has := func(h Histogram) bool { return len(h.Counts) > 0 }
	if r, ok := lacking("scores", n, m, has(j.ev.Canary.Scores), has(j.ev.Stable.Scores)); ok {
		return r
	}
	if a, b := j.ev.Canary.ScoreKind, j.ev.Stable.ScoreKind; a != b {
		return inconclusive(fmt.Sprintf("a score is a %s on the canary and a %s on stable", a, b))
	}
	if len(edges) == 0 {
		return inconclusive("the two score histograms have no bucket edge in common")
	}
	d := ksDistance(c, s)
	radius := KSRadius(n, j.alpha/2) + KSRadius(m, j.alpha/2)
	r := Result{
		N: n, NStable: m, Effect: d, Interval: &Interval{Low: max(d-radius, 0), High: min(d+radius, 1)},
		Canary: j.ev.Canary.Scores.Quantile(0.5), Stable: j.ev.Stable.Scores.Quantile(0.5),
	}
	test := shiftTest{share: j.share, ratio: j.ratio(1), tolerance: j.spec.Scores.Tolerance, canary: c, stable: s}
	seen := fmt.Sprintf("the scores of canary and stable differ by %s (Kolmogorov–Smirnov), PSI %.3f",
		percent(d), PSI(c, s))
	return j.tested(r, test.scoreLogE(), seen+": more than tolerated", seen)
}

// golden judges the golden set: each case on each instance must come out as expected.
func (j judge) golden() Result {
	g := j.ev.Golden
	switch {
	case g == nil:
		return inconclusive("the golden set has not been replayed")
	case g.Failed == 0 && g.Down != "":
		return Result{Outcome: rollout.SourceDown, Reason: g.Down}
	case g.Cases == 0:
		return inconclusive("the golden set has no cases")
	}
	r := Result{Outcome: rollout.Pass, N: float64(g.Cases), Canary: float64(g.Failed) / float64(g.Cases)}
	r.Reason = fmt.Sprintf("%d of %d cases came out as expected on %d instances",
		g.Cases-g.Failed, g.Cases, g.Instances)
	if g.Failed > 0 {
		r.Outcome = rollout.Fail
	}
	if w := g.Worst; w != nil {
		r.Effect = w.Times
		r.Reason += fmt.Sprintf("; the worst, %s at %s: want %s, got %s", w.Case, place(w.Path), w.Want, w.Got)
	}
	return r
}

func place(path string) string {
	if path == "" {
		return "the top"
	}
	return path
}

// shadow judges how often the releases answer the same request differently.
func (j judge) shadow() Result {
	if j.ev.Pairs == nil {
		return inconclusive("no request was answered by both releases yet")
	}
	p := *j.ev.Pairs
	t := Tally{N: float64(p.Pairs), K: float64(p.Disagree)}
	in := RateInterval(t, j.alpha)
	r := Result{N: t.N, NStable: t.N, Canary: t.Rate(), Stable: j.spec.Shadow.Budget, Interval: &in}
	r.Effect = r.Canary - r.Stable
	seen := fmt.Sprintf("%d of %d requests were answered differently, the budget is %s", p.Disagree, p.Pairs,
		percent(j.spec.Shadow.Budget))
	if w := p.Worst; w != nil {
		seen += fmt.Sprintf("; the worst, request %s at %s: stable %s, canary %s", w.Case, place(w.Path), w.Want, w.Got)
	}
	r = j.tested(r, above(j.spec.Shadow.Budget, t), seen, seen)
	if r.Outcome == rollout.Pass && p.Pairs < uint64(max(j.spec.Shadow.MinPairs, 1)) {
		r.Outcome = rollout.Inconclusive
		r.Reason = fmt.Sprintf("%d requests were answered by both releases, want at least %d",
			p.Pairs, j.spec.Shadow.MinPairs)
	}
	return r
}

// query judges a PromQL query by its last values.
func (j judge) query(q Query) Result {
	reading := j.ev.Queries[q.Name]
	r := Result{Outcome: rollout.Pass, Canary: reading.Value, N: float64(reading.Seen)}
	r.Reason = fmt.Sprintf("the value is %g, want %s", reading.Value, q.limits())
	switch {
	case reading.Beyond >= q.InARow:
		r.Outcome = rollout.Fail
		r.Reason += fmt.Sprintf("; beyond for %d looks in a row", reading.Beyond)
	case reading.Down != "":
		r.Outcome, r.Reason = rollout.SourceDown, reading.Down
	case reading.Seen < q.MinSeen:
		r.Outcome = rollout.Inconclusive
		r.Reason = fmt.Sprintf("the query gave a value in %d looks, want at least %d", reading.Seen, q.MinSeen)
	case reading.Beyond > 0:
		r.Outcome = rollout.Inconclusive
		r.Reason += fmt.Sprintf("; beyond for %d of %d looks in a row", reading.Beyond, q.InARow)
	}
	return r
}

func (q Query) limits() string {
	switch {
	case q.Min != nil && q.Max != nil:
		return fmt.Sprintf("from %g to %g", *q.Min, *q.Max)
	case q.Min != nil:
		return fmt.Sprintf("at least %g", *q.Min)
	default:
		return fmt.Sprintf("at most %g", *q.Max)
	}
}

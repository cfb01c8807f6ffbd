package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// requests asks whether there is anything to judge: enough instances that answer, enough requests.
func (j judge) requests() Result {
	c, s := j.ev.Canary, j.ev.Stable
	r := Result{Metric: MetricRequests, Outcome: rollout.Pass, N: c.Requests(), NStable: s.Requests()}
	r.DryRun = j.spec.dry(MetricRequests)
	r.Reason = fmt.Sprintf("the canary answered %.0f requests, stable %.0f", r.N, r.NStable)
	for _, side := range []struct {
		name string
		side Side
		on   bool
	}{{"canary", c, j.ev.Share > 0}, {"stable", s, j.ev.Share < 1}} {
		if side.on && side.side.missing() > j.spec.MaxMissing {
			r.Outcome = rollout.SourceDown
			r.Reason = fmt.Sprintf("%d of the %d instances of the %s release tell their numbers%s",
				side.side.Answered, side.side.Listed, side.name, colon(side.side.Trouble))
			return r
		}
	}
	switch {
	case j.ev.Overridden != "" || j.ev.Share <= 0:
	case r.N < float64(j.spec.MinRequests) || r.N == 0:
		r.Outcome = rollout.Inconclusive
		r.Reason = fmt.Sprintf("the canary answered %.0f requests, want at least %d", r.N, max(j.spec.MinRequests, 1))
	case j.ev.Share < 1 && r.NStable == 0:
		r.Outcome, r.Reason = rollout.Inconclusive, "stable answered no request: there is nothing to compare with"
	}
	return r
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

const (
	onlyCanary = "all requests go to the canary: there is nothing to compare with"
	noTraffic  = "the canary gets no requests yet"
)

func (j judge) notCompared() Result {
	if j.ev.Share >= 1 {
		return skipped(onlyCanary)
	}
	return skipped(noTraffic)
}

// splitAlpha is the error probability of the split test. It is not part of Alpha, as it never takes a rollout back.
const splitAlpha = 0.001

// split tests whether the canary gets more or less than its share of the requests (sample-ratio mismatch; Fabijan et
// al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019; sequential as in arXiv
// 2011.03567).
func (j judge) split() Result {
	if !j.compared() {
		return j.notCompared()
	}
	n, m := j.ev.Canary.Requests(), j.ev.Stable.Requests()
	canary, stable := Tally{N: n, K: n}, Tally{N: m, K: m}
	factor := 1 + j.spec.Split.Tolerance
	more := Excess{Share: j.ev.Share, Ratio: j.ratio(factor)}
	less := Excess{Share: 1 - j.ev.Share, Ratio: factor / (1 - j.ev.Canary.lost())}
	logE := logMean([]float64{more.LogE(canary, stable), less.LogE(stable, canary)})
	r := Result{N: n, NStable: m, Stable: j.ev.Share, LogE: logE, Alpha: splitAlpha, Outcome: rollout.Pass}
	all := Tally{N: n + m, K: n}
	in := RateInterval(all, splitAlpha)
	r.Canary, r.Effect, r.Interval = all.Rate(), all.Rate()-j.ev.Share, &in
	r.Reason = fmt.Sprintf("the canary answered %s of the requests, its share is %s",
		percent(r.Canary), percent(r.Stable))
	if PValue(logE) <= splitAlpha {
		r.Outcome = rollout.Inconclusive
		r.Reason += ": the two sides can't be compared; is every ingress at this weight, and does the canary finish " +
			"what it begins?"
	}
	return r
}

// lost is the part of the instances whose numbers are missing; 0 where none answered: no count has changed then.
func (s Side) lost() float64 {
	if m := s.missing(); m < 1 {
		return m
	}
	return 0
}

// answers is a kind of answer.
type answers struct {
	is    func(code int) bool
	words string
}

var (
	failed   = answers{func(code int) bool { return code >= 500 }, "requests failed (5xx)"}
	refused  = answers{func(code int) bool { return code >= 400 && code < 500 }, "requests were refused (4xx)"}
	attempts = answers{func(code int) bool { return code == 0 || code >= 500 }, "first attempts at the ingress failed"}
)

func (a answers) of(codes map[int]uint64) Tally {
	var t Tally
	for code, n := range codes {
		t.N += float64(n)
		if a.is(code) {
			t.K += float64(n)
		}
	}
	return t
}

// answered judges the rate of one kind of answers, as the instances count them.
func (j judge) answered(tolerated Rate, kind answers) Result {
	c, s := kind.of(j.ev.Canary.Codes), kind.of(j.ev.Stable.Codes)
	if j.ev.Share < 1 {
		return j.rate(tolerated, c, s, kind.words)
	}
	if before := j.ev.Before; before != nil && tolerated.Max == 0 {
		return j.rateSince(tolerated, c, kind.of(before.Codes), kind.words)
	}
	return j.rateAlone(tolerated, c, kind.words)
}

// rate compares the rate of an event on both sides, and the canary's with its limit.
func (j judge) rate(tolerated Rate, c, s Tally, words string) Result {
	if !j.compared() {
		return j.notCompared()
	}
	x := Excess{Share: j.share, Ratio: j.ratio(tolerated.Ratio), Margin: tolerated.Margin}
	logE := x.LogE(c, s)
	if tolerated.Max > 0 {
		logE = logMean([]float64{logE, above(tolerated.Max, c)})
	}
	in := DifferenceInterval(c, s, j.alpha)
	r := Result{
		N: c.N, NStable: s.N, Canary: c.Rate(), Stable: s.Rate(), Effect: c.Rate() - s.Rate(), Interval: &in,
	}
	seen := fmt.Sprintf("%.0f of the canary's %.0f %s, %.0f of stable's %.0f", c.K, c.N, words, s.K, s.N)
	return j.tested(r, logE, seen+": worse than tolerated", seen)
}

// rateAlone judges the canary, where it gets all requests, by its limit.
func (j judge) rateAlone(tolerated Rate, c Tally, words string) Result {
	if tolerated.Max == 0 {
		return skipped(onlyCanary + "; set max for a limit")
	}
	return j.limited(c, tolerated.Max, above(tolerated.Max, c), words, "the limit")
}

// rateSince judges the canary, where it gets all requests and has no limit, by twice what stable's rate at most was in
// the last step that had both. Traffic may have changed since, so this can tell a broken release from a working one,
// not a slightly worse one.
func (j judge) rateSince(tolerated Rate, c, before Tally, words string) Result {
	limit := math.Min(2*(RateInterval(before, j.alpha/2).High+tolerated.Margin), almostAll)
	logE := above(limit, c) - math.Ln2 // the interval has spent half of alpha
	return j.limited(c, limit, logE, words, "twice stable's highest likely rate before")
}

func (j judge) limited(c Tally, limit, logE float64, words, what string) Result {
	in := RateInterval(c, j.alpha)
	r := Result{N: c.N, Canary: c.Rate(), Stable: limit, Effect: c.Rate() - limit, Interval: &in}
	seen := fmt.Sprintf("%.0f of the canary's %.0f %s; %s is %s", c.K, c.N, words, what, percent(limit))
	return j.tested(r, logE, seen+": more than tolerated", seen)
}

// latency judges whether the canary is slower.
func (j judge) latency() Result {
	if !j.compared() {
		return j.notCompared()
	}
	c, s := j.ev.Canary.Latency, j.ev.Stable.Latency
	if r, ok := lacking("latencies", c.Total(), s.Total(), len(c.Counts) > 0, len(s.Counts) > 0); ok {
		return r
	}
	logE, pairs := j.spec.Latency.slower(j.share, j.ratio(1), c, s)
	if pairs == 0 {
		return inconclusive("no bucket edges of the two histograms can be compared")
	}
	const q = 0.99
	cq, sq := c.Quantile(q), s.Quantile(q)
	r := Result{N: c.Total(), NStable: s.Total(), Canary: cq, Stable: sq}
	if sq > 0 {
		r.Effect = cq / sq
	}
	ci, si := c.QuantileInterval(q, j.alpha/2), s.QuantileInterval(q, j.alpha/2)
	if ci.High > 0 && si.High > 0 && si.Low > 0 {
		r.Interval = &Interval{Low: ci.Low / si.High, High: ci.High / si.Low}
	}
	seen := fmt.Sprintf("about %s in the middle and %s at 99 %% on the canary, %s and %s on stable",
		seconds(c.Quantile(0.5)), seconds(cq), seconds(s.Quantile(0.5)), seconds(sq))
	return j.tested(r, logE, seen+": slower than tolerated", seen)
}

// lacking says what follows where a side has no numbers of a kind: nothing for a kind that stable doesn't have, but no
// verdict where only the canary misses them.
func lacking(what string, c, s float64, canaryHas, stableHas bool) (Result, bool) {
	switch {
	case !stableHas:
		return skipped(fmt.Sprintf("stable reports no %s", what)), true
	case !canaryHas:
		return inconclusive(fmt.Sprintf("stable reports %s and the canary does not", what)), true
	case c == 0 || s == 0:
		r := inconclusive(fmt.Sprintf("no %s yet to compare: %.0f on the canary, %.0f on stable", what, c, s))
		return r, true
	}
	return Result{}, false
}

func percent(x float64) string { return fmt.Sprintf("%.3g %%", 100*x) }

func seconds(x float64) string {
	return time.Duration(x * float64(time.Second)).Round(10 * time.Microsecond).String()
}

package analysis

import (
	"math"
	"sort"
)

// second is what both sides did in one second of a stream: requests, and those that failed.
type second struct{ canary, stable Tally }

// stream is a rollout's traffic, second by second.
type stream []second

// window sums the seconds from (including) to (excluding).
func (s stream) window(from, to int) (canary, stable Tally) {
	for _, x := range s[max(from, 0):to] {
		canary.N, canary.K = canary.N+x.canary.N, canary.K+x.canary.K
		stable.N, stable.K = stable.N+x.stable.N, stable.K+x.stable.K
	}
	return canary, stable
}

// rule says after how many seconds of a stream a canary is given up; false where it never is.
type rule struct {
	name string
	when func(stream) (int, bool)
}

// weirRule is the errors metric of the default analysis, looked at every second, as one of four tests in four steps.
func weirRule() rule {
	spec := Default()
	alpha := spec.TestAlpha(4)
	return rule{"Weir", func(s stream) (int, bool) {
		x := Excess{Share: 0.1, Ratio: spec.Errors.Ratio, Margin: spec.Errors.Margin}.bets()
		var c, st Tally
		for i, now := range s {
			c.N, c.K, st.N, st.K = c.N+now.canary.N, c.K+now.canary.K, st.N+now.stable.N, st.K+now.stable.K
			if now.canary.K > 0 && PValue(x.logE(c, st)) <= alpha {
				return i + 1, true
			}
		}
		return 0, false
	}}
}

// zTestRule is what is wrong with a usual test: looked at every second, as if each look were the only one.
func zTestRule() rule {
	const z = 1.645 // one-sided, 5 %
	return rule{"z-test every second", func(s stream) (int, bool) {
		var c, st Tally
		for i, now := range s {
			c.N, c.K, st.N, st.K = c.N+now.canary.N, c.K+now.canary.K, st.N+now.stable.N, st.K+now.stable.K
			p := (c.K + st.K) / (c.N + st.N)
			if c.N >= 50 && c.Rate()-st.Rate() > z*math.Sqrt(p*(1-p)*(1/c.N+1/st.N)) {
				return i + 1, true
			}
		}
		return 0, false
	}}
}

// flaggerRule is Flagger's: each interval the canary's success rate over the last interval must be at least 99 %; after
// five failed checks it rolls back. Checks that failed are never forgotten. An interval without requests fails.
//
// Source: docs.flagger.app, "Deployment strategies" and "Metrics": interval 1m by default and at least 10s, threshold 5
// in its examples, request-success-rate min 99.
func flaggerRule(interval int) rule {
	name := "Flagger, every " + inTime(float64(interval))
	return rule{name, func(s stream) (int, bool) {
		failed := 0
		for end := interval; end <= len(s); end += interval {
			if c, _ := s.window(end-interval, end); c.N == 0 || 1-c.Rate() < 0.99 {
				failed++
			}
			if failed >= 5 {
				return end, true
			}
		}
		return 0, false
	}}
}

// kayentaRule is Kayenta's judge on one metric, the rate of errors: from 50 points on, and then every ten, the
// Mann–Whitney interval of the shift at 98 %; the metric is High where all of it lies above a quarter of the estimate.
//
// Source: spinnaker/kayenta, NetflixACAJudge and MannWhitneyClassifier; spinnaker.io, "Canary best practices": at least
// 50 points per metric, a point a minute.
func kayentaRule(point int) rule {
	name := "Kayenta, a point every " + inTime(float64(point))
	return rule{name, func(s stream) (int, bool) {
		var canary, stable []float64
		for end := point; end <= len(s); end += point {
			c, st := s.window(end-point, end)
			if c.N > 0 && st.N > 0 { // a rate without requests is NaN, which is dropped
				canary, stable = append(canary, c.Rate()), append(stable, st.Rate())
			}
			if n := len(canary); n < 50 || n%10 != 0 {
				continue
			}
			if low, estimate := shiftLow(canary, stable); low > 0.25*math.Abs(estimate) {
				return end, true
			}
		}
		return 0, false
	}}
}

// shiftLow is the lower end of the 98 % Mann–Whitney interval of the shift from ys to xs, and the Hodges–Lehmann
// estimate.
func shiftLow(xs, ys []float64) (low, estimate float64) {
	diffs := make([]float64, 0, len(xs)*len(ys))
	for _, x := range xs {
		for _, y := range ys {
			diffs = append(diffs, x-y)
		}
	}
	sort.Float64s(diffs)
	n, m := float64(len(xs)), float64(len(ys))
	const z = 2.326 // two-sided, 98 %
	rank := int(n*m/2 - z*math.Sqrt(n*m*(n+m+1)/12))
	return diffs[max(rank, 0)], diffs[len(diffs)/2]
}

// optimum is the time at which a test that is made once, at a time chosen in advance with knowledge of both rates,
// would have found the difference in half of the streams: the exact conditional test of the canary's part among the
// errors, at the alpha of Weir's. No test that must not know the rates can be faster by much.
func optimum(streams []stream) (int, bool) {
	alpha := Default().TestAlpha(4)
	found := func(at int) bool {
		n := 0
		for _, s := range streams {
			if c, st := s.window(0, at); binomialTail(c.K, c.K+st.K, 0.1) <= alpha {
				n++
			}
		}
		return 2*n >= len(streams)
	}
	longest := len(streams[0])
	if !found(longest) {
		return 0, false
	}
	return 1 + sort.Search(longest-1, func(i int) bool { return found(i + 1) }), true
}

// binomialTail is P(Binomial(n, p) ≥ k).
func binomialTail(k, n, p float64) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		sum += math.Exp(logGamma(n+1) - logGamma(i+1) - logGamma(n-i+1) + i*math.Log(p) + (n-i)*math.Log1p(-p))
	}
	return sum
}

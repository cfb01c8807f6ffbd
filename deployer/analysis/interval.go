package analysis

import "math"

// Interval is a confidence sequence at one moment: over all moments together it misses the truth with a probability of
// at most alpha.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// RateInterval is the confidence sequence of a rate: all rates that the beta-binomial mixture martingale with Jeffreys'
// prior does not reject.
//
// Source: Robbins, "Statistical methods related to the law of the iterated logarithm" (1970); in this form Howard,
// Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (2021, arXiv
// 1810.08240).
func RateInterval(t Tally, alpha float64) Interval {
	if t.N <= 0 {
		return Interval{Low: 0, High: 1}
	}
	rejected := rejector(t, alpha)
	return Interval{Low: border(t.Rate(), 0, rejected), High: border(t.Rate(), 1, rejected)}
}

// rejector says of a rate whether it lies outside RateInterval.
func rejector(t Tally, alpha float64) func(rate float64) bool {
	limit := logBeta(t.K+0.5, t.N-t.K+0.5) - logBeta(0.5, 0.5) + math.Log(alpha)
	return func(p float64) bool { return limit >= xlog(t.K, p)+xlog(t.N-t.K, 1-p) }
}

// border finds, between a point that is not rejected and an end, where rejection begins.
func border(in, out float64, rejected func(float64) bool) float64 {
	if !rejected(out) {
		return out
	}
	for range 40 {
		middle := (in + out) / 2
		if rejected(middle) {
			out = middle
		} else {
			in = middle
		}
	}
	return out
}

// DifferenceInterval is the confidence sequence of rate(canary) − rate(stable): each rate's own at alpha/2.
func DifferenceInterval(canary, stable Tally, alpha float64) Interval {
	c, s := RateInterval(canary, alpha/2), RateInterval(stable, alpha/2)
	return Interval{Low: c.Low - s.High, High: c.High - s.Low}
}

// KSRadius bounds the distance of an empirical distribution function of n values from the true one, at all n together.
//
// Source: Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
// identification" (Bernoulli 28(3), 2022, arXiv 1906.09712), Corollary 2.
func KSRadius(n, alpha float64) float64 {
	if n < 1 {
		return 1
	}
	return math.Min(1, 0.85*math.Sqrt((math.Log1p(math.Log(n))+0.8*math.Log(1612/alpha))/n))
}

// xlog is x·log y, 0 where x is.
func xlog(x, y float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(y)
}

func logBeta(a, b float64) float64 { return logGamma(a) + logGamma(b) - logGamma(a+b) }

func logGamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

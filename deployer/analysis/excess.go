package analysis

import "math"

// Tally is how many requests one release answered, and on how many of them something happened: an error, an answer
// slower than an edge, a class. Numbers are whole where they are counted, and may be fractions where they are expected.
type Tally struct {
	N float64 `json:"n"` // requests
	K float64 `json:"k"` // of these, with the event
}

// Rate is K/N, or 0 without requests.
func (t Tally) Rate() float64 {
	if t.N <= 0 {
		return 0
	}
	return t.K / t.N
}

func (t Tally) rest() Tally { return Tally{N: t.N, K: t.N - t.K} }

// Excess is a sequential test that an event is more frequent on the canary than is tolerated. With Share the
// probability that a request goes to the canary, drawn anew for each request, the null hypothesis is
//
//	rate(canary) ≤ Ratio · (rate(stable) + Margin)
//
// at any moment, whatever the rates do over time and however requests depend on one another.
//
// It is a bet of a part u of the stake, 0 < u < 1/(1+Margin), that the next event is the canary's. With o = Ratio ·
// Share/(1−Share) one request multiplies the stake by
//
//	1 + u/o           an event on the canary
//	1                 no event on the canary
//	1 − u·(1+Margin)  an event on stable
//	1 − u·Margin      no event on stable
//
// which is 1 + u·(1−Share)·(rate(canary)/Ratio − rate(stable) − Margin) on average: at most 1 under the null
// hypothesis. So the stake, averaged over a fixed prior for u, is a non-negative supermartingale that starts at 1 and
// depends on the totals only; it ever exceeds 1/α with a probability of at most α (Ville's inequality), however often
// one looks.
//
// Source: Lindon and Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022, arXiv 2011.03567); here
// one-sided, with a margin, and with a discrete prior in place of their Dirichlet: at Margin 0 the bet is the
// likelihood ratio of two shares of the canary among the events.
type Excess struct {
	Share  float64 // of the requests that go to the canary, in (0, 1)
	Ratio  float64 // tolerated factor, at least 1; 0 means 1
	Margin float64 // tolerated difference of the rates, at least 0
}

// LogE returns the natural logarithm of the e-value: evidence against the null hypothesis; log 1/α rejects it.
func (x Excess) LogE(canary, stable Tally) float64 { return x.bets().logE(canary, stable) }

// bets are the logarithms of what each request does to the stake, for each bet of the prior.
type bets [priorSize]struct{ weight, canaryEvent, stableEvent, stableNone float64 }

func (x Excess) bets() *bets {
	odds := x.Share / (1 - x.Share) * math.Max(x.Ratio, 1)
	most := almostAll / (1 + x.Margin)
	var out bets
	for i, p := range prior {
		u := math.Min(odds*(p.ratio-1)/(1+odds*p.ratio), most) // the best one where the ratio is p.ratio
		out[i].weight = p.logWeight
		out[i].canaryEvent = math.Log1p(u / odds)
		out[i].stableEvent = math.Log1p(-u * (1 + x.Margin))
		out[i].stableNone = math.Log1p(-u * x.Margin)
	}
	return &out
}

func (b *bets) logE(canary, stable Tally) float64 {
	var stakes [priorSize]float64
	for i := range b {
		stakes[i] = b[i].weight + canary.K*b[i].canaryEvent +
			stable.K*b[i].stableEvent + (stable.N-stable.K)*b[i].stableNone
	}
	return logSumExp(stakes[:])
}

// almostAll keeps a bet from losing everything at once.
const almostAll = 0.999

// above is the logarithm of the e-value against "at most the part limit of the requests has the event", for one stream:
// Excess with the event-free requests in stable's place.
func above(limit float64, t Tally) float64 {
	return Excess{Share: limit}.LogE(Tally{N: t.K, K: t.K}, Tally{N: t.N - t.K, K: t.N - t.K})
}

// PValue is the always-valid p-value of an e-value's logarithm: P(p ≤ α at any time) ≤ α under the null hypothesis.
func PValue(logE float64) float64 { return math.Min(1, math.Exp(-logE)) }

// point is a point of the prior: how many times more frequent than tolerated the event is.
type point struct{ ratio, logWeight float64 }

// priorSize points from 1.2 to 1,000 times, evenly on the logarithmic scale; small ratios weigh more, as they need it
// more: a large one shows within a few events anyway.
const priorSize = 24

var prior = func() (out [priorSize]point) {
	const least, most = 1.2, 1000.0
	step := math.Log(most/least) / (priorSize - 1)
	total := 0.0
	for i := range out {
		x := math.Log(least) + float64(i)*step
		out[i] = point{ratio: math.Exp(x), logWeight: -x / 4}
		total += math.Exp(-x / 4)
	}
	for i := range out {
		out[i].logWeight -= math.Log(total)
	}
	return out
}()

// logSumExp is log Σ exp(x), without overflow.
func logSumExp(xs []float64) float64 {
	most := math.Inf(-1)
	for _, x := range xs {
		most = math.Max(most, x)
	}
	if math.IsInf(most, 0) {
		return most
	}
	sum := 0.0
	for _, x := range xs {
		sum += math.Exp(x - most)
	}
	return most + math.Log(sum)
}

// logMean is the logarithm of the mean of e-values: an e-value of the hypothesis that all their null hypotheses hold.
func logMean(logEs []float64) float64 {
	if len(logEs) == 0 {
		return 0
	}
	return logSumExp(logEs) - math.Log(float64(len(logEs)))
}

//go:build linux

package latency

import (
	"math"
	"testing"
)

// steps over which a rollout of this test splits its error budget: its own two, and the watch.
const steps = 3

// requests is the least mean number of requests, of both sides together, after which any test can find the event that
// holds the promise of false aborts at every look: ln(1/α) over the information that a request brings (Wald, Sequential
// Tests of Statistical Hypotheses, 1945). The information is that against the nearest pair of rates that is tolerated.
func (e event) requests() float64 {
	const share = float64(weight) / 100
	least := math.Inf(1)
	for i := 1; i < 10000; i++ {
		stable := float64(i) / 10000
		canary := min(e.ratio*(stable+e.margin), 1-1e-9)
		least = min(least, share*divergence(e.canary, canary)+(1-share)*divergence(e.stable, stable))
	}
	return math.Log(1/spec.TestAlpha(steps)) / least
}

// divergence is Kullback and Leibler's, from a coin of probability q to one of p, in nats.
func divergence(p, q float64) float64 {
	d := 0.0
	if p > 0 {
		d += p * math.Log(p/q)
	}
	if p < 1 {
		d += (1 - p) * math.Log((1-p)/(1-q))
	}
	return d
}

// Where the event is certain on one side and never on the other, half of the requests are a fair coin each that it is on
// the canary's: one bit for each event.
func TestRequestsOfACertainEvent(t *testing.T) {
	got := event{canary: 1, ratio: 1}.requests()
	if want := math.Log(1/spec.TestAlpha(steps)) / math.Ln2; math.Abs(got-want) > 0.01*want {
		t.Errorf("%.3f requests, want %.3f", got, want)
	}
}

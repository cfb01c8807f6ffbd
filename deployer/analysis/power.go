package analysis

import (
	"fmt"
	"math"
	"time"
)

// Traffic is what a step is expected to get.
type Traffic struct {
	RPS    float64 // requests per second of both sides together
	Share  float64 // of these, to the canary
	Errors float64 // stable's rate of errors
}

// Power is the probability with which what is foreseen is found in time.
const Power = 0.8

// DetectableErrors is the smallest rise of the error rate that a step of this length finds with probability Power;
// false where it finds none, not even a canary that answers nothing but errors.
func (s Spec) DetectableErrors(t Traffic, steps int, within time.Duration) (rise float64, ok bool) {
	if s.Errors == nil || t.Share <= 0 || t.Share >= 1 {
		return 0, false
	}
	x := Excess{Share: t.Share, Ratio: s.Errors.Ratio, Margin: s.Errors.Margin}
	return s.detectable(x, t, steps, within, 1, t.Errors)
}

// DetectableShift is the smallest rise of one class, from base, that a step finds with probability Power. classes is
// how many there are.
func (s Spec) DetectableShift(t Traffic, steps int, within time.Duration, base float64, classes int) (float64, bool) {
	if s.Classes == nil || t.Share <= 0 || t.Share >= 1 || s.Classes.Tolerance == 0 {
		return 0, false
	}
	x := Excess{Share: t.Share, Margin: s.Classes.Tolerance}
	return s.detectable(x, t, steps, within, 2*max(classes, 1), base)
}

// TimeToDetect is how long a step takes to find a rise of the error rate with probability Power; false where that takes
// more than most.
func (s Spec) TimeToDetect(t Traffic, steps int, rise float64, most time.Duration) (time.Duration, bool) {
	finds := func(d time.Duration) bool {
		least, ok := s.DetectableErrors(t, steps, d)
		return ok && least <= rise
	}
	if !finds(most) {
		return 0, false
	}
	low, high := time.Duration(0), most
	for high-low > max(high/200, time.Millisecond) {
		if middle := (low + high) / 2; finds(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high, true
}

// detectable halves the rises above base down to the smallest that is found. tests is over how many e-values the mean
// is taken, of which one is expected to see it.
func (s Spec) detectable(
	x Excess, t Traffic, steps int, within time.Duration, tests int, base float64,
) (rise float64, ok bool) {
	n := t.RPS * within.Seconds()
	needed := -math.Log(s.TestAlpha(steps)) + math.Log(float64(tests))
	stable := Tally{N: n * (1 - t.Share), K: n * (1 - t.Share) * base}
	finds := func(rate float64) bool {
		canary := n * t.Share
		return x.LogE(Tally{N: canary, K: unlucky(canary, rate)}, stable) >= needed
	}
	if !finds(1) {
		return 0, false
	}
	low, high := base, 1.0
	for range 40 {
		if middle := (low + high) / 2; finds(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high - base, true
}

// unlucky is the number of events that n requests have, or more, with probability Power: a quantile of the binomial
// distribution, by its normal approximation, or of Poisson's where events are few.
func unlucky(n, rate float64) float64 {
	const z = 0.8416 // the normal distribution's quantile at Power
	mean := n * rate
	if mean > 20 {
		return mean - z*math.Sqrt(mean*(1-rate))
	}
	term, below, k := math.Exp(-mean), 0.0, 0.0
	for below+term <= 1-Power {
		below += term
		k++
		term *= mean / k
	}
	return math.Min(k, n)
}

// Foresee says in words what a step can find: for `plan`, before anything is changed.
func (s Spec) Foresee(t Traffic, steps int, bake time.Duration) []string {
	at := fmt.Sprintf("at %.4g requests/s and %.3g %%", t.RPS, 100*t.Share)
	if t.Share >= 1 {
		return []string{at + ": nothing to compare with; limits only"}
	}
	var out []string
	if n := t.RPS * t.Share * bake.Seconds(); n < float64(s.MinRequests) && t.RPS*t.Share > 0 {
		need := time.Duration(float64(s.MinRequests) / (t.RPS * t.Share) * float64(time.Second))
		out = append(out, fmt.Sprintf("%s: %d requests of the canary take %s, longer than the bake of %s: inconclusive",
			at, s.MinRequests, need.Round(time.Second), bake))
	}
	if rise, ok := s.DetectableErrors(t, steps, bake); ok {
		out = append(out, fmt.Sprintf("%s: %.2g points of error rate in %s", at, 100*rise, bake))
	} else if s.Errors != nil {
		out = append(out, fmt.Sprintf("%s: no rise of the error rate in %s, however large", at, bake))
	}
	if rise, ok := s.DetectableShift(t, steps, bake, 1.0/3, 3); ok {
		out = append(out, fmt.Sprintf("%s: %.2g points of one of three classes in %s", at, 100*rise, bake))
	}
	return out
}

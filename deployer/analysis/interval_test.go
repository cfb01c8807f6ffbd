package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRateInterval(t *testing.T) {
	for _, tc := range []struct {
		name string
		t    Tally
	}{
		{"no events", Tally{N: 100}},
		{"all events", Tally{N: 100, K: 100}},
		{"some", Tally{N: 1000, K: 10}},
		{"half", Tally{N: 10, K: 5}},
		{"many", Tally{N: 1e8, K: 3e7}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const alpha = 0.01
			in := RateInterval(tc.t, alpha)
			if in.Low > tc.t.Rate() || in.High < tc.t.Rate() || in.Low < 0 || in.High > 1 {
				t.Fatalf("interval %+v around %g", in, tc.t.Rate())
			}
			// On each border inside (0, 1) the mixture's likelihood ratio is 1/alpha.
			for _, p := range []float64{in.Low, in.High} {
				if p == 0 || p == 1 {
					continue
				}
				ratio := logBeta(tc.t.K+0.5, tc.t.N-tc.t.K+0.5) - logBeta(0.5, 0.5) -
					xlog(tc.t.K, p) - xlog(tc.t.N-tc.t.K, 1-p)
				if math.Abs(ratio-math.Log(1/alpha)) > 1e-3 {
					t.Errorf("at %g the log likelihood ratio is %g, want %g", p, ratio, math.Log(1/alpha))
				}
			}
		})
	}
	if in := RateInterval(Tally{}, 0.05); in != (Interval{Low: 0, High: 1}) {
		t.Errorf("without data: %+v", in)
	}
}

// TestRateIntervalClosedForm: without events the interval's end has a closed form.
func TestRateIntervalClosedForm(t *testing.T) {
	const n, alpha = 250.0, 0.05
	want := 1 - math.Exp((logBeta(0.5, n+0.5)-logBeta(0.5, 0.5)+math.Log(alpha))/n)
	if in := RateInterval(Tally{N: n}, alpha); math.Abs(in.High-want) > 1e-12 || in.Low != 0 {
		t.Errorf("interval %+v, want up to %g", in, want)
	}
}

// misses counts the runs in which a property fails at any of many looks.
func misses(runs int, seed uint64, run func(r *rand.Rand) (missed bool)) int {
	count := 0
	for i := range runs {
		if run(rand.New(rand.NewPCG(seed, uint64(i)))) {
			count++
		}
	}
	return count
}

// atMost is the most that a count with this probability may be, four standard deviations above its mean: the tests have
// fixed seeds, so they don't flicker; this is for whoever changes a seed.
func atMost(runs int, p float64) int {
	return int(float64(runs)*p + 4*math.Sqrt(float64(runs)*p*(1-p)) + 1)
}

func TestRateIntervalCovers(t *testing.T) {
	const runs, alpha = 400, 0.1
	for _, p := range []float64{0.001, 0.05, 0.5} {
		got := misses(runs, 1, func(r *rand.Rand) bool {
			var seen Tally
			for range 2000 {
				seen.N++
				if r.Float64() < p {
					seen.K++
				}
				if rejector(seen, alpha)(p) {
					return true
				}
			}
			return false
		})
		if got > atMost(runs, alpha) {
			t.Errorf("rate %g: %d of %d runs leave the interval at some look, want at most %d",
				p, got, runs, atMost(runs, alpha))
		}
	}
}

func TestDifferenceInterval(t *testing.T) {
	in := DifferenceInterval(Tally{N: 500, K: 50}, Tally{N: 5000, K: 50}, 0.05)
	if in.Low <= 0.02 || in.High >= 0.17 || in.Low > 0.09 || in.High < 0.09 {
		t.Errorf("interval %+v of 10 %% − 1 %%", in)
	}
}

func TestKSRadius(t *testing.T) {
	// From Corollary 2 by hand: 0.85·√((ln(1 + ln 1000) + 0.8·ln(1612/0.05))/1000).
	if got, want := KSRadius(1000, 0.05), 0.08657; math.Abs(got-want) > 1e-5 {
		t.Errorf("KSRadius(1000, 0.05) = %.5f, want %.5f", got, want)
	}
	if KSRadius(0, 0.05) != 1 || KSRadius(1, 0.05) != 1 {
		t.Error("the radius without data must be 1")
	}
	const runs, alpha = 60, 0.2
	got := misses(runs, 2, func(r *rand.Rand) bool {
		var xs []float64
		for range 400 {
			x := r.Float64()
			i, _ := slices.BinarySearch(xs, x)
			xs = slices.Insert(xs, i, x)
			for k, v := range xs {
				n := float64(len(xs))
				if d := max(v-float64(k)/n, float64(k+1)/n-v); d > KSRadius(n, alpha) {
					return true
				}
			}
		}
		return false
	})
	if got > atMost(runs, alpha) {
		t.Errorf("%d of %d runs leave the radius", got, runs)
	}
}

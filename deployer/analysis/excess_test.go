package analysis

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// expectation is the mean of an e-value over all outcomes of n requests, by enumeration: each goes to the canary with
// probability share, and has the event with the rate of its side.
func expectation(n int, share, canaryRate, stableRate float64, e func(canary, stable Tally) float64) float64 {
	p := []float64{
		share * canaryRate, share * (1 - canaryRate), (1 - share) * stableRate, (1 - share) * (1 - stableRate),
	}
	sum := 0.0
	for a := 0; a <= n; a++ {
		for b := 0; a+b <= n; b++ {
			for c := 0; a+b+c <= n; c++ {
				k := []int{a, b, c, n - a - b - c}
				logP := logGamma(float64(n + 1))
				for i, ki := range k {
					logP += xlog(float64(ki), p[i]) - logGamma(float64(ki+1))
				}
				canary, stable := Tally{N: float64(a + b), K: float64(a)}, Tally{N: float64(c + k[3]), K: float64(c)}
				sum += math.Exp(logP + e(canary, stable))
			}
		}
	}
	return sum
}

// TestExcessExpectation checks the guarantee itself: on average at most 1 under the null hypothesis, exactly 1 on its
// border, more beyond.
func TestExcessExpectation(t *testing.T) {
	for _, tc := range []struct {
		name           string
		x              Excess
		canary, stable float64
		min, max       float64
	}{
		{"no difference", Excess{Share: 0.1}, 0.2, 0.2, 1, 1},
		{"no difference, half", Excess{Share: 0.5}, 0.01, 0.01, 1, 1},
		{"border of the ratio", Excess{Share: 0.3, Ratio: 1.5}, 0.3, 0.2, 1, 1},
		{"border of the margin", Excess{Share: 0.3, Margin: 0.1}, 0.3, 0.2, 1, 1},
		{"border of both", Excess{Share: 0.1, Ratio: 1.5, Margin: 0.1}, 0.45, 0.2, 1, 1},
		{"border, stable without events", Excess{Share: 0.1, Margin: 0.05}, 0.05, 0, 1, 1},
		{"better", Excess{Share: 0.5}, 0.1, 0.3, 0, 0.9},
		{"inside the margin", Excess{Share: 0.5, Margin: 0.2}, 0.25, 0.2, 0, 0.9},
		{"worse", Excess{Share: 0.3, Ratio: 1.5, Margin: 0.01}, 0.9, 0.1, 3, math.Inf(1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := expectation(16, tc.x.Share, tc.canary, tc.stable, tc.x.LogE)
			if got < tc.min-1e-9 || got > tc.max+1e-9 {
				t.Errorf("mean e-value %.12f, want from %g to %g", got, tc.min, tc.max)
			}
		})
	}
}

// TestExcessIsALikelihoodRatio holds the test, at margin 0, against the closed form of Lindon and Malek for each θ.
func TestExcessIsALikelihoodRatio(t *testing.T) {
	x, canary, stable := Excess{Share: 0.1, Ratio: 2}, Tally{N: 80, K: 9}, Tally{N: 900, K: 14}
	odds := 2 * 0.1 / 0.9
	zero, want := odds/(1+odds), 0.0
	for _, p := range prior {
		theta := odds * p.ratio / (1 + odds*p.ratio)
		want += math.Exp(p.logWeight) * math.Pow(theta/zero, canary.K) * math.Pow((1-theta)/(1-zero), stable.K)
	}
	if got := math.Exp(x.LogE(canary, stable)); math.Abs(got-want) > 1e-6*want {
		t.Errorf("e-value %.9g, want %.9g", got, want)
	}
}

func TestExcessMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := Excess{
			Share: rapid.Float64Range(0.01, 0.99).Draw(t, "share"), Ratio: rapid.Float64Range(1, 3).Draw(t, "ratio"),
			Margin: rapid.Float64Range(0, 0.9).Draw(t, "margin"),
		}
		n, m := rapid.IntRange(1, 1e6).Draw(t, "n"), rapid.IntRange(1, 1e6).Draw(t, "m")
		c := Tally{N: float64(n), K: float64(rapid.IntRange(0, n-1).Draw(t, "k"))}
		s := Tally{N: float64(m), K: float64(rapid.IntRange(0, m-1).Draw(t, "l"))}
		base := x.LogE(c, s)
		if math.IsNaN(base) || math.IsInf(base, 1) {
			t.Fatalf("log e-value %g", base)
		}
		c.K++
		if up := x.LogE(c, s); up <= base {
			t.Errorf("one more event on the canary: from %g to %g", base, up)
		}
		c.K--
		s.K++
		if down := x.LogE(c, s); down > base {
			t.Errorf("one more event on stable: from %g to %g", base, down)
		}
	})
}

// TestExcessShrinksWithShare: taking the share too high can only make an e-value smaller.
func TestExcessShrinksWithShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := Excess{
			Share: rapid.Float64Range(0.01, 0.98).Draw(t, "share"), Ratio: rapid.Float64Range(1, 3).Draw(t, "ratio"),
			Margin: rapid.Float64Range(0, 0.9).Draw(t, "margin"),
		}
		n, m := rapid.IntRange(0, 1e5).Draw(t, "n"), rapid.IntRange(0, 1e5).Draw(t, "m")
		c := Tally{N: float64(n), K: float64(rapid.IntRange(0, n).Draw(t, "k"))}
		s := Tally{N: float64(m), K: float64(rapid.IntRange(0, m).Draw(t, "l"))}
		small := x.LogE(c, s)
		x.Share = rapid.Float64Range(x.Share, 0.99).Draw(t, "larger share")
		if large := x.LogE(c, s); large > small+1e-9*(1+math.Abs(small)) {
			t.Errorf("a larger share makes %g of %g", large, small)
		}
	})
}

func TestAbove(t *testing.T) {
	// One stream with rate p: the mean over all outcomes of n requests.
	mean := func(limit, p float64) float64 {
		const n = 40
		sum := 0.0
		for k := 0.0; k <= n; k++ {
			logP := logGamma(n+1) - logGamma(k+1) - logGamma(n-k+1) + xlog(k, p) + xlog(n-k, 1-p)
			sum += math.Exp(logP + above(limit, Tally{N: n, K: k}))
		}
		return sum
	}
	if got := mean(0.05, 0.05); math.Abs(got-1) > 1e-9 {
		t.Errorf("mean e-value at the limit: %.12f, want 1", got)
	}
	if got := mean(0.05, 0.01); got >= 1 {
		t.Errorf("mean e-value below the limit: %g, want below 1", got)
	}
	if got := mean(0.05, 0.5); got < 1e6 {
		t.Errorf("mean e-value far above the limit: %g, want a large one", got)
	}
}

func TestPValue(t *testing.T) {
	for logE, want := range map[float64]float64{0: 1, -5: 1, math.Log(20): 0.05, 1e9: 0} {
		if got := PValue(logE); math.Abs(got-want) > 1e-12 {
			t.Errorf("PValue(%g) = %g, want %g", logE, got, want)
		}
	}
}

func BenchmarkExcess(b *testing.B) {
	x := Excess{Share: 0.1, Margin: 0.01}
	for b.Loop() {
		x.LogE(Tally{N: 100, K: 3}, Tally{N: 900, K: 9})
	}
}

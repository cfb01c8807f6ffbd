package analysis

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// TestAnyDifferenceExpectation checks, over all outcomes, that the e-value is 1 on average where the bin of a request
// has nothing to do with its side.
func TestAnyDifferenceExpectation(t *testing.T) {
	mean := func(canaryRate, stableRate float64) float64 {
		return expectation(18, 0.3, canaryRate, stableRate, func(c, s Tally) float64 {
			return anyDifference(0.3, []float64{c.K, c.N - c.K}, []float64{s.K, s.N - s.K})
		})
	}
	for _, rate := range []float64{0, 0.1, 0.5} {
		if got := mean(rate, rate); math.Abs(got-1) > 1e-9 {
			t.Errorf("rate %g on both sides: mean e-value %.12f, want 1", rate, got)
		}
	}
	if got := mean(0.9, 0.1); got < 2 {
		t.Errorf("different rates: mean e-value %g, want a larger one", got)
	}
}

// TestShiftExpectation does the same for the tests with a tolerance, on its border.
func TestShiftExpectation(t *testing.T) {
	test := func(c, s Tally) shiftTest {
		return shiftTest{
			share: 0.3, tolerance: 0.1, canary: []float64{c.K, c.N - c.K}, stable: []float64{s.K, s.N - s.K},
		}
	}
	for name, e := range map[string]func(c, s Tally) float64{
		"classes": func(c, s Tally) float64 { return test(c, s).classLogE() },
		"scores":  func(c, s Tally) float64 { return test(c, s).scoreLogE() },
	} {
		if got := expectation(16, 0.3, 0.4, 0.3, e); got > 1 {
			t.Errorf("%s: mean e-value %g on the border, want at most 1", name, got)
		}
		if got := expectation(16, 0.3, 1, 0, e); got < 10 {
			t.Errorf("%s: mean e-value %g far beyond it, want a large one", name, got)
		}
	}
}

func TestEffectSizes(t *testing.T) {
	c, s := []float64{50, 30, 20}, []float64{200, 300, 500}
	if got := variation(c, s); math.Abs(got-0.3) > 1e-12 {
		t.Errorf("variation %g, want 0.3", got)
	}
	if got := ksDistance(c, s); math.Abs(got-0.3) > 1e-12 {
		t.Errorf("Kolmogorov–Smirnov distance %g, want 0.3", got)
	}
	want := 0.3*math.Log(0.5/0.2) + 0 - 0.3*math.Log(0.2/0.5)
	if got := PSI([]float64{50000, 30000, 20000}, []float64{20000, 30000, 50000}); math.Abs(got-want) > 1e-3 {
		t.Errorf("PSI %g, want about %g", got, want)
	}
	if got := PSI([]float64{0, 10}, []float64{10, 0}); math.IsInf(got, 0) || got < 1 {
		t.Errorf("PSI of empty bins: %g", got)
	}
	none := []float64{0, 0}
	if variation(none, none) != 0 || ksDistance(none, none) != 0 || PSI(none, none) != 0 {
		t.Error("without data there is no effect")
	}
}

func TestBinsAreLinedUp(t *testing.T) {
	names, c, s := classBins(map[string]uint64{"b": 2}, map[string]uint64{"a": 1, "b": 3})
	got := []any{names, c, s}
	if want := []any{[]string{"a", "b"}, []float64{0, 2}, []float64{1, 3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v %v", names, c, s)
	}
	edges, c, s := scoreBins(
		Histogram{Edges: []float64{1, 2, 3}, Counts: []uint64{1, 2, 3, 4}},
		Histogram{Edges: []float64{1, 3}, Counts: []uint64{5, 6, 7}})
	got = []any{edges, c, s}
	if want := []any{[]float64{1, 3}, []float64{1, 5, 4}, []float64{5, 6, 7}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v %v", edges, c, s)
	}
}

// TestSlowerPairsEdges checks which edges are held against one another.
func TestSlowerPairsEdges(t *testing.T) {
	stable := Histogram{Edges: []float64{0.1, 0.2, 0.4}, Counts: []uint64{1000, 0, 0, 0}}
	canary := Histogram{Edges: []float64{0.1, 0.15, 0.3, 0.7}, Counts: []uint64{0, 100, 0, 0, 0}}
	l := Latency{Ratio: 1.5}
	if logE, pairs := l.slower(0.1, 1, canary, stable); pairs != 3 || logE > 0 {
		t.Errorf("slower by the tolerated ratio: log e-value %g of %d pairs, want none above 0 of 3", logE, pairs)
	}
	canary.Counts = []uint64{0, 0, 100, 0, 0}
	if logE, _ := l.slower(0.1, 1, canary, stable); logE < 50 {
		t.Errorf("slower beyond it: log e-value %g", logE)
	}
	l.Slack = rollout.Duration(200 * time.Millisecond)
	if logE, pairs := l.slower(0.1, 1, canary, stable); pairs != 2 || logE > 0 {
		t.Errorf("with slack: log e-value %g of %d pairs, want none above 0 of 2", logE, pairs)
	}
}

package analysis

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestHistogram(t *testing.T) {
	h := Histogram{Edges: []float64{1, 2, 4}, Counts: []uint64{10, 20, 30, 40}}
	if got := h.above(1); got != (Tally{N: 100, K: 70}) {
		t.Errorf("above 2: %+v", got)
	}
	for _, tc := range []struct {
		at   float64
		want int
		ok   bool
	}{{0.5, 0, true}, {1, 0, true}, {1.5, 1, true}, {4, 2, true}, {4.1, 3, false}} {
		if i, ok := h.edge(tc.at); i != tc.want || ok != tc.ok {
			t.Errorf("edge from %g: %d, %t", tc.at, i, ok)
		}
	}
	for q, want := range map[float64]float64{0.05: 0.5, 0.1: 1, 0.2: 1.5, 0.6: 4, 0.99: 4} {
		if got := h.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("Quantile(%g) = %g, want %g", q, got, want)
		}
	}
}

func TestHistogramOfOtherEdges(t *testing.T) {
	a := Histogram{Edges: []float64{1, 2, 4}, Counts: []uint64{1, 2, 3, 4}}
	b := Histogram{Edges: []float64{1, 3, 4}, Counts: []uint64{10, 20, 30, 40}}
	want := Histogram{Edges: []float64{1, 4}, Counts: []uint64{11, 55, 44}}
	if got := a.plus(b); !reflect.DeepEqual(got, want) {
		t.Errorf("sum %+v, want %+v", got, want)
	}
	if _, ok := a.minus(b); ok {
		t.Error("a difference of histograms with other edges")
	}
	if got := (Histogram{}).plus(a); !reflect.DeepEqual(got, a) {
		t.Errorf("nothing + a = %+v", got)
	}
}

func TestQuantileIntervalCovers(t *testing.T) {
	const runs, alpha, q = 300, 0.1, 0.9
	got := misses(runs, 3, func(r *rand.Rand) bool {
		h := Histogram{Edges: []float64{0.5, 0.8, 0.85, 0.88, 0.92, 0.95}, Counts: make([]uint64, 7)}
		for n := range 1000 {
			i, _ := h.edge(r.Float64())
			h.Counts[i]++
			if n%10 != 0 {
				continue
			}
			if in := h.QuantileInterval(q, alpha); in.Low >= q || in.High >= 0 && in.High < q {
				return true
			}
		}
		return false
	})
	if got > atMost(runs, alpha) {
		t.Errorf("%d of %d runs leave the interval", got, runs)
	}
	h := Histogram{Edges: []float64{0.5, 0.8, 0.85, 0.95}, Counts: []uint64{50000, 30000, 5000, 10000, 5000}}
	if in := h.QuantileInterval(q, alpha); in != (Interval{Low: 0.85, High: 0.95}) {
		t.Errorf("interval of the 90 %% quantile: %+v", in)
	}
}

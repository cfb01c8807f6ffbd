package analysis

import "slices"

// Histogram counts values by bucket, as Prometheus does: bucket i holds those above Edges[i-1] and up to Edges[i], the
// last one those above all edges.
type Histogram struct {
	Edges  []float64 `json:"edges,omitempty"`  // ascending, finite
	Counts []uint64  `json:"counts,omitempty"` // one more than edges
}

// Total is the number of values.
func (h Histogram) Total() float64 {
	var sum uint64
	for _, c := range h.Counts {
		sum += c
	}
	return float64(sum)
}

// above counts the values above edge i.
func (h Histogram) above(i int) Tally {
	var sum uint64
	for _, c := range h.Counts[i+1:] {
		sum += c
	}
	return Tally{N: h.Total(), K: float64(sum)}
}

// edge finds the first edge of at least x; false where there is none.
func (h Histogram) edge(x float64) (int, bool) {
	const rounding = 1 - 1e-9 // so that 1.5 · 0.1 finds 0.15
	i, _ := slices.BinarySearch(h.Edges, x*rounding)
	return i, i < len(h.Edges)
}

// QuantileInterval is the confidence sequence of a quantile, 0 < q < 1, from bucket edges: the true quantile lies above
// Low (0 where nothing is known) and is at most High (negative where it is beyond the last edge).
//
// For each edge the rate of values above it is bounded at alpha/2. These bounds are monotone in the edge, so only the
// two edges beside the true quantile can be wrong, each on one side. Compare Howard and Ramdas 2022, arXiv 1906.09712,
// section 3, for values that are not in buckets.
func (h Histogram) QuantileInterval(q, alpha float64) Interval {
	out := Interval{Low: 0, High: -1}
	for i, edge := range h.Edges {
		over := h.above(i)
		switch {
		case !rejector(over, alpha/2)(1 - q):
		case over.Rate() > 1-q: // surely more than 1-q lie above this edge
			out.Low = edge
		case out.High < 0: // surely less
			out.High = edge
		}
	}
	return out
}

// Quantile estimates a quantile by straight lines within buckets; the last edge where it lies beyond.
func (h Histogram) Quantile(q float64) float64 {
	rank, below, low := q*h.Total(), 0.0, 0.0
	for i, edge := range h.Edges {
		in := float64(h.Counts[i])
		if in > 0 && below+in >= rank {
			return low + (edge-low)*(rank-below)/in
		}
		below, low = below+in, edge
	}
	return low
}

// plus adds counts of another histogram; where the edges differ, only edges that both have are kept.
func (h Histogram) plus(o Histogram) Histogram {
	switch {
	case len(h.Counts) == 0:
		return o.clone()
	case len(o.Counts) == 0:
		return h.clone()
	case !slices.Equal(h.Edges, o.Edges):
		both := shared(h.Edges, o.Edges)
		h, o = h.onto(both), o.onto(both)
	}
	out := h.clone()
	for i, c := range o.Counts {
		out.Counts[i] += c
	}
	return out
}

// shared is the values of a that are in b, too.
func shared(a, b []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(a), func(x float64) bool { return !slices.Contains(b, x) })
}

// onto merges buckets so that only the given edges, all of which h has, remain.
func (h Histogram) onto(edges []float64) Histogram {
	out := Histogram{Edges: edges, Counts: make([]uint64, len(edges)+1)}
	to := 0
	for i, c := range h.Counts {
		out.Counts[to] += c
		if to < len(edges) && h.Edges[i] == edges[to] {
			to++
		}
	}
	return out
}

// minus takes an earlier count off; false where that is not possible: the counters began anew.
func (h Histogram) minus(o Histogram) (Histogram, bool) {
	if len(o.Counts) == 0 {
		return h.clone(), true
	}
	if !slices.Equal(h.Edges, o.Edges) || len(h.Counts) != len(o.Counts) {
		return Histogram{}, false
	}
	out := h.clone()
	for i, c := range o.Counts {
		if c > out.Counts[i] {
			return Histogram{}, false
		}
		out.Counts[i] -= c
	}
	return out, true
}

func (h Histogram) clone() Histogram {
	return Histogram{Edges: slices.Clone(h.Edges), Counts: slices.Clone(h.Counts)}
}

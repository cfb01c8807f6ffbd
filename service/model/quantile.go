package model

import (
	"math"
	"sort"
)

// quantileTransform maps each column to its quantiles in the training data, and those to a normal distribution if that
// was asked for.
type quantileTransform struct {
	columns    [][]float64 // the quantiles of each column
	references []float64
	normal     bool
}

// quantileBound is how close to the ends scikit-learn keeps a normal distribution.
const quantileBound = 1e-7

func (q *quantileTransform) row(x, out []float64) {
	for j, v := range x {
		out[j] = q.value(v, q.columns[j])
	}
}

func (q *quantileTransform) value(v float64, quantiles []float64) float64 {
	if v != v {
		return v
	}
	low, high := quantiles[0], quantiles[len(quantiles)-1]
	margin := 0.0
	if q.normal {
		margin = quantileBound
	}
	var p float64
	switch {
	case q.normal && v-margin < low, !q.normal && v == low:
		p = 0
	case q.normal && v+margin > high, !q.normal && v == high:
		p = 1
	default:
		p = (interpolate(v, quantiles, q.references) + interpolateDown(v, quantiles, q.references)) / 2
	}
	if !q.normal {
		return p
	}
	bound := quantileBound - 2.220446049250313e-16
	return min(normalQuantile(1-bound), max(normalQuantile(bound), normalQuantile(p)))
}

// normalQuantile is the inverse of the normal distribution's cumulative function.
func normalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

// interpolate is numpy.interp: among equal quantiles the last one counts.
func interpolate(v float64, xs, ys []float64) float64 {
	i := sort.Search(len(xs), func(i int) bool { return xs[i] > v })
	switch {
	case i == 0:
		return ys[0]
	case i == len(xs):
		return ys[i-1]
	}
	return ys[i-1] + (ys[i]-ys[i-1])/(xs[i]-xs[i-1])*(v-xs[i-1])
}

// interpolateDown is numpy.interp from the other side: among equal quantiles the first one counts.
func interpolateDown(v float64, xs, ys []float64) float64 {
	i := sort.SearchFloat64s(xs, v)
	switch {
	case i == len(xs):
		return ys[i-1]
	case i == 0 || xs[i] == v:
		return ys[i]
	}
	return ys[i] + (ys[i]-ys[i-1])/(xs[i]-xs[i-1])*(v-xs[i])
}

func buildQuantileTransformer(a attrs) (*estimator, error) {
	values, shape, err := a.floats("quantiles_")
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 {
		return nil, a.errorf("quantiles_", "want quantiles × columns")
	}
	q := &quantileTransform{columns: make([][]float64, shape[1]), normal: a.text("output_distribution") == "normal"}
	if q.references, err = a.vector("references_", shape[0]); err != nil {
		return nil, err
	}
	for j := range q.columns {
		q.columns[j] = make([]float64, shape[0])
		for i := range shape[0] {
			q.columns[j][i] = values[i*shape[1]+j]
		}
		if !sort.Float64sAreSorted(q.columns[j]) {
			return nil, a.errorf("quantiles_", "those of column %d don't rise", j)
		}
	}
	return a.numeric(shape[1], q.row)
}

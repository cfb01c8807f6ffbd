package model

import (
	"math"
	"sort"
)

// selecting makes a transformer that keeps the columns of a mask.
func (a attrs) selecting(mask []bool) (*estimator, error) {
	c := &selection{places: make([]int32, len(mask))}
	for j, keep := range mask {
		if c.places[j] = -1; keep {
			c.places[j] = int32(len(c.columns))
			c.columns = append(c.columns, j)
		}
	}
	e, err := a.transformer(len(mask), len(c.columns), c.apply)
	if err != nil {
		return nil, err
	}
	e.sparse, e.sparseIfGiven = c.sparse, true
	return e.takesSparse(), nil
}

// selection keeps some columns.
type selection struct {
	columns []int
	places  []int32 // of each column among those that are kept, or -1
}

func (c *selection) apply(x []float64, rows int, out []float64, s *Scratch) error {
	if x == nil {
		return dense(c.sparse, len(c.columns))(nil, rows, out, s)
	}
	in, n := len(c.places), len(c.columns)
	for r := range rows {
		row, to := x[r*in:(r+1)*in], out[r*n:(r+1)*n]
		for i, j := range c.columns {
			to[i] = row[j]
		}
	}
	return nil
}

func (c *selection) sparse(x []float64, rows int, to *sparse, s *Scratch) error {
	from := s.in
	if x != nil {
		defer s.releaseSparse(s.sparseUsed)
		from = s.takeSparse()
		from.addDense(x, rows)
	}
	for r := range rows {
		at, values := from.row(r)
		for i, column := range at {
			if place := c.places[column]; place >= 0 {
				to.add(int(place), values[i])
			}
		}
		to.end()
	}
	return nil
}

func (a attrs) scoresOf(name string) ([]float64, error) {
	v, shape, err := a.floats(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != 1 || len(v) == 0 {
		return nil, a.errorf(name, "want a number for each column")
	}
	return v, nil
}

// buildSelector keeps columns by their scores_ or pvalues_.
func buildSelector(a attrs) (*estimator, error) {
	class := a.class()
	if class == "SelectKBest" || class == "SelectPercentile" {
		scores, err := a.scoresOf("scores_")
		if err != nil {
			return nil, err
		}
		for j, v := range scores {
			if v != v {
				scores[j] = -math.MaxFloat64
			}
		}
		if class == "SelectKBest" {
			return a.kBest(scores)
		}
		return a.topPercentile(scores)
	}
	p, err := a.scoresOf("pvalues_")
	if err != nil {
		return nil, err
	}
	alpha, _, err := a.floats("alpha")
	if err != nil {
		return nil, err
	}
	return a.selecting(significant(class, p, alpha[0]))
}

func (a attrs) kBest(scores []float64) (*estimator, error) {
	k := len(scores)
	if a.text("k") != "all" {
		n, err := a.integer("k")
		if err != nil {
			return nil, err
		}
		k = min(k, max(0, n))
	}
	order := make([]int, len(scores))
	for j := range order {
		order[j] = j
	}
	sort.SliceStable(order, func(i, j int) bool { return scores[order[i]] < scores[order[j]] })
	mask := make([]bool, len(scores))
	for _, j := range order[len(order)-k:] {
		mask[j] = true
	}
	return a.selecting(mask)
}

func (a attrs) topPercentile(scores []float64) (*estimator, error) {
	percentile, _, err := a.floats("percentile")
	if err != nil {
		return nil, err
	}
	p, mask, kept := percentile[0], make([]bool, len(scores)), 0
	switch p {
	case 100:
		for j := range mask {
			mask[j] = true
		}
		return a.selecting(mask)
	case 0:
		return a.selecting(mask)
	}
	sorted := append([]float64(nil), scores...)
	sort.Float64s(sorted)
	at := (1 - p/100) * float64(len(sorted)-1)
	low := min(len(sorted)-1, max(0, int(at)))
	high := min(len(sorted)-1, low+1)
	threshold := sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
	for j, v := range scores {
		if v > threshold {
			mask[j] = true
			kept++
		}
	}
	for j, v := range scores {
		if v == threshold && kept < int(float64(len(scores))*p/100) {
			mask[j] = true
			kept++
		}
	}
	return a.selecting(mask)
}

// significant are the columns whose p-value is small enough: by itself, by false discovery rate, or by family-wise
// error.
func significant(class string, p []float64, alpha float64) []bool {
	mask, n := make([]bool, len(p)), float64(len(p))
	limit, inclusive := alpha, false
	switch class {
	case "SelectFwe":
		limit = alpha / n
	case "SelectFdr":
		sorted := append([]float64(nil), p...)
		sort.Float64s(sorted)
		limit, inclusive = -1, true
		for i, v := range sorted {
			if v <= alpha/n*float64(i+1) {
				limit = max(limit, v)
			}
		}
	}
	for j, v := range p {
		mask[j] = v < limit || inclusive && v == limit
	}
	return mask
}

// buildVarianceThreshold keeps the columns that varied enough.
func buildVarianceThreshold(a attrs) (*estimator, error) {
	variances, err := a.scoresOf("variances_")
	if err != nil {
		return nil, err
	}
	threshold, _, err := a.floats("threshold")
	if err != nil {
		return nil, err
	}
	mask := make([]bool, len(variances))
	for j, v := range variances {
		mask[j] = v > threshold[0]
	}
	e, err := a.selecting(mask)
	if err != nil {
		return nil, err
	}
	e.Missing = true
	return e, nil
}

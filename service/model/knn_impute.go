package model

import (
	"math"
)

// nearImputer puts in the place of a missing number the mean of what the nearest rows of training have there.
type nearImputer struct {
	rows    []float64 // missing numbers are NaN
	in, n   int
	k       int
	inverse bool      // weights are 1 / distance
	means   []float64 // of a column: for rows that share no column with any other
	mark    missingMark
	columns []int // those that are kept
	empty   []bool
}

// buildKNNImputer follows Troyanskaya et al., "Missing value estimation methods for DNA microarrays".
func buildKNNImputer(a attrs) (*estimator, error) {
	p, err := a.nearImputer()
	if err != nil {
		return nil, err
	}
	flags, err := a.indicated(p.in)
	if err != nil {
		return nil, err
	}
	out := len(p.columns) + len(flags)
	e, err := a.transformer(p.in, out, func(x []float64, rows int, to []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		distances := s.floats(p.n)
		for r := range rows {
			row, filled := x[r*p.in:(r+1)*p.in], to[r*out:(r+1)*out]
			p.fill(row, filled, distances, s)
			setFlags(row, filled[len(p.columns):], flags, p.mark, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing = p.mark.value != p.mark.value
	return e, nil
}

func (a attrs) nearImputer() (*nearImputer, error) {
	p := &nearImputer{}
	var err error
	if p.mark, err = a.missingMark(); err != nil {
		return nil, err
	}
	if a.text("metric") != "nan_euclidean" {
		return nil, a.errorf("metric", "want nan_euclidean")
	}
	if p.rows, p.in, err = a.matrix("_fit_X", -1, -1); err != nil {
		return nil, err
	}
	p.n = len(p.rows) / p.in
	if p.k, err = a.integer("n_neighbors"); err != nil {
		return nil, err
	}
	if p.k < 1 {
		return nil, a.errorf("n_neighbors", "it is %d", p.k)
	}
	if p.inverse, err = a.inverseWeights(); err != nil {
		return nil, err
	}
	keep, _ := a.flag("keep_empty_features")
	p.readColumns(keep)
	return p, nil
}

// readColumns makes missing numbers NaN, and finds the columns that had any numbers.
func (p *nearImputer) readColumns(keep bool) {
	counts := make([]int, p.in)
	p.means, p.empty = make([]float64, p.in), make([]bool, p.in)
	for i, v := range p.rows {
		if p.mark.is(v) {
			p.rows[i] = nan
			continue
		}
		counts[i%p.in]++
		p.means[i%p.in] += v
	}
	for j, c := range counts {
		p.means[j] /= float64(c)
		if p.empty[j] = c == 0; !p.empty[j] || keep {
			p.columns = append(p.columns, j)
		}
	}
}

// fill writes the row without holes. Columns that had no numbers get 0.
func (p *nearImputer) fill(row, out, distances []float64, s *Scratch) {
	measured := false
	for i, j := range p.columns {
		switch {
		case p.empty[j]:
			out[i] = 0
		case !p.mark.is(row[j]):
			out[i] = row[j]
		default:
			if !measured {
				p.measure(row, distances)
				measured = true
			}
			out[i] = p.guess(j, distances, s)
		}
	}
}

// measure computes the distance of each training row over the columns that both have; NaN where there are none.
func (p *nearImputer) measure(row, distances []float64) {
	for i := range distances {
		sum, shared := 0.0, 0
		for j, v := range p.rows[i*p.in : (i+1)*p.in] {
			if v == v && !p.mark.is(row[j]) {
				sum += (row[j] - v) * (row[j] - v)
				shared++
			}
		}
		distances[i] = nan
		if shared > 0 {
			distances[i] = math.Sqrt(sum / float64(shared) * float64(p.in))
		}
	}
}

// guess is the mean of column j over the nearest rows that have it.
func (p *nearImputer) guess(j int, distances []float64, s *Scratch) float64 {
	best := s.near[:0]
	for i, d := range distances {
		if d == d && p.rows[i*p.in+j] == p.rows[i*p.in+j] {
			best = insertNear(best, near{i, d, 1}, p.k)
		}
	}
	s.near = best
	if len(best) == 0 {
		return p.means[j]
	}
	if p.inverse {
		weigh(best)
	}
	sum, weights := 0.0, 0.0
	for _, b := range best {
		sum += b.weight * p.rows[b.row*p.in+j]
		weights += b.weight
	}
	return sum / weights
}

// inverseWeights reports whether weights says that neighbours count by 1 / distance.
func (a attrs) inverseWeights() (bool, error) {
	switch a.o.Attrs["weights"] {
	case nil, "uniform":
		return false, nil
	case "distance":
		return true, nil
	}
	return false, a.errorf("weights", "functions are not run: want uniform or distance")
}

package model

// sparse are rows of which only the numbers that may differ from 0 are kept.
type sparse struct {
	ends   []int   // where each row ends in the following
	at     []int32 // columns
	values []float64
}

// row returns the columns and values of row r.
func (t *sparse) row(r int) ([]int32, []float64) {
	from := 0
	if r > 0 {
		from = t.ends[r-1]
	}
	return t.at[from:t.ends[r]], t.values[from:t.ends[r]]
}

func (t *sparse) add(column int, v float64) {
	t.at, t.values = append(t.at, int32(column)), append(t.values, v)
}

// addDense adds rows that are not sparse.
func (t *sparse) addDense(x []float64, rows int) {
	width := len(x) / rows
	for r := range rows {
		for column, v := range x[r*width : (r+1)*width] {
			if v != 0 {
				t.add(column, v)
			}
		}
		t.end()
	}
}

// end ends a row.
func (t *sparse) end() { t.ends = append(t.ends, len(t.at)) }

// sparseFunc is a rowsFunc that gives sparse rows.
type sparseFunc func(x []float64, rows int, to *sparse, s *Scratch) error

// takesSparse makes an estimator take sparse rows too. Its functions then get x as nil and find the rows in s.in.
//
// A copy of the estimator doesn't take them: it may have got functions that read x.
func (e *estimator) takesSparse() *estimator {
	e.sparseSelf = e
	return e
}

func (e *estimator) canSparse() bool { return e.sparseSelf == e }

// allSparse makes the estimator take sparse rows if the others do, which it hands its rows to as they are.
func (e *estimator) allSparse(others []*estimator) *estimator {
	for _, o := range others {
		if !o.canSparse() {
			return e
		}
	}
	return e.takesSparse()
}

// dense makes a rowsFunc of width numbers a row of one that gives sparse rows.
func dense(f sparseFunc, width int) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		defer s.releaseSparse(s.sparseUsed)
		t := s.takeSparse()
		if err := f(x, rows, t, s); err != nil {
			return err
		}
		clear(out)
		for r := range rows {
			at, values := t.row(r)
			for i, column := range at {
				out[r*width+int(column)] = values[i]
			}
		}
		return nil
	}
}

// takeSparse takes sparse rows that are empty.
func (s *Scratch) takeSparse() *sparse {
	if s.sparseUsed == len(s.sparses) {
		s.sparses = append(s.sparses, &sparse{})
	}
	t := s.sparses[s.sparseUsed]
	s.sparseUsed++
	t.ends, t.at, t.values = t.ends[:0], t.at[:0], t.values[:0]
	return t
}

// releaseSparse gives back all that was taken since s.sparseUsed was used.
func (s *Scratch) releaseSparse(used int) { s.sparseUsed = used }

// sparseValues computes all functions of each sparse row.
func (l *linear) sparseValues(in *sparse, rows int, out []float64) {
	for r := range rows {
		at, values := in.row(r)
		for k := range l.out {
			coef, sum := l.coef[k*l.in:(k+1)*l.in], 0.0
			for i, column := range at {
				sum += values[i] * coef[column]
			}
			out[r*l.out+k] = sum + l.intercept[k]
		}
	}
}

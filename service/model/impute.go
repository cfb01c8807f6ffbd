package model

import (
	"github.com/weirhq/weir/service/pickle"
)

// missingMark is what stands for a missing cell: NaN and None, which are the same here, a number or a text.
type missingMark struct {
	value float64
	text  string
	kind  Takes // which of the two it is, or Nulls, with NaN as value
}

// is reports whether a number is missing.
func (m missingMark) is(v float64) bool { return v == m.value || v != v && m.value != m.value }

// isCell reports whether a cell, which may be text, is missing.
func (m missingMark) isCell(v float64, s *Scratch) bool {
	if v == v {
		return m.kind == Numbers && v == m.value
	}
	text, isText := s.text(v)
	return isText && m.kind == Texts && string(text) == m.text || !isText && m.kind == Nulls
}

func (a attrs) missingMark() (missingMark, error) {
	v, ok := a.o.Attrs["missing_values"]
	if ok && v == nil {
		return missingMark{value: nan, kind: Nulls}, nil
	}
	if text, ok := v.(string); ok && text != "NaN" { // as NaN was written before 0.20
		return missingMark{text: text, kind: Texts}, nil
	} else if ok {
		return missingMark{value: nan, kind: Nulls}, nil
	}
	n, err := pickle.Float(v)
	if err != nil {
		return missingMark{}, a.errorf("missing_values", "want NaN, None, a number or text: %w", err)
	}
	if n != n {
		return missingMark{value: nan, kind: Nulls}, nil
	}
	return missingMark{value: n, kind: Numbers}, nil
}

// filler is what an imputer puts in the place of a missing cell.
type filler struct {
	value  float64
	text   []byte
	isText bool
}

func (f *filler) cell(s *Scratch) float64 {
	if f.isText {
		return s.addText(f.text)
	}
	return f.value
}

func (f *filler) empty() bool { return !f.isText && f.value != f.value }

// buildSimpleImputer puts statistics_ in the place of missing cells. Columns without a statistic are left out.
func buildSimpleImputer(a attrs) (*estimator, error) {
	mark, err := a.missingMark()
	if err != nil {
		return nil, err
	}
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	statistics, err := a.statistics(n)
	if err != nil {
		return nil, err
	}
	keep, _ := a.flag("keep_empty_features")
	keep = keep || a.text("strategy") == "constant"
	var columns []int
	for j := range statistics {
		if keep || !statistics[j].empty() {
			columns = append(columns, j)
		}
	}
	flags, err := a.indicated(n)
	if err != nil {
		return nil, err
	}
	out := len(columns) + len(flags)
	e, err := a.transformer(n, out, func(x []float64, rows int, out []float64, s *Scratch) error {
		for r := range rows {
			row := x[r*n : (r+1)*n]
			for i, j := range columns {
				if out[i] = row[j]; mark.isCell(row[j], s) {
					out[i] = statistics[j].cell(s)
				}
			}
			out = out[len(columns):]
			setFlags(row, out[:len(flags)], flags, mark, s)
			out = out[len(flags):]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, j := range columns {
		e.origins = append(e.origins, origin{j, anything &^ mark.kind})
	}
	return e.imputing(statistics, mark), nil
}

// imputing says what an imputer takes: in each column what it fills in there, and its mark.
func (e *estimator) imputing(statistics []filler, mark missingMark) *estimator {
	takes := make([]Takes, len(statistics))
	for j := range statistics {
		switch {
		case statistics[j].isText:
			takes[j] = Texts | mark.kind
			e.texts = true
		case statistics[j].empty() && mark.kind != Numbers:
			takes[j] = Numbers | Texts | mark.kind // all was missing in training
		default:
			takes[j] = Numbers | mark.kind
		}
	}
	e.texts = e.texts || mark.kind == Texts
	return e.taking(takes)
}

// statistics reads statistics_, which may be an array of objects.
func (a attrs) statistics(n int) ([]filler, error) {
	v, err := a.get("statistics_")
	if err != nil {
		return nil, err
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil || arr.Len() != n || len(arr.Shape) != 1 {
		return nil, a.errorf("statistics_", "want %d of them", n)
	}
	values, err := a.values("statistics_", arr)
	if err != nil {
		return nil, err
	}
	out := make([]filler, n)
	for j, v := range values {
		if v == nil {
			out[j].value = nan
			continue
		}
		scalar, err := pickle.Scalar(v)
		if err != nil {
			return nil, a.errorf("statistics_", "column %d: %w", j, err)
		}
		if text, ok := scalar.(string); ok {
			out[j] = filler{text: []byte(text), isText: true}
		} else {
			out[j].value = labelNumber(scalar)
		}
	}
	return out, nil
}

// indicated returns the columns of indicator_, for which the imputer says whether they were missing.
func (a attrs) indicated(n int) ([]int, error) {
	if a.o.Attrs["indicator_"] == nil {
		return nil, nil
	}
	indicator, err := a.object("indicator_", "MissingIndicator")
	if err != nil {
		return nil, err
	}
	return indicator.features(n)
}

func (a attrs) features(n int) ([]int, error) {
	v, shape, err := a.floats("features_")
	if err != nil {
		return nil, err
	}
	out := make([]int, len(v))
	for i, f := range v {
		if out[i] = int(f); len(shape) != 1 || out[i] < 0 || out[i] >= n {
			return nil, a.errorf("features_", "want columns from 0 to %d", n-1)
		}
	}
	return out, nil
}

// setFlags says of columns whether they are missing.
func setFlags(x, out []float64, columns []int, mark missingMark, s *Scratch) {
	for i, j := range columns {
		out[i] = 0
		if mark.isCell(x[j], s) {
			out[i] = 1
		}
	}
}

// buildMissingIndicator gives 1 for missing cells in features_, else 0.
func buildMissingIndicator(a attrs) (*estimator, error) {
	mark, err := a.missingMark()
	if err != nil {
		return nil, err
	}
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	columns, err := a.features(n)
	if err != nil {
		return nil, err
	}
	refuse := make([]bool, n)
	if strict, err := a.flag("error_on_new"); err == nil && strict && a.text("features") == "missing-only" {
		for j := range refuse {
			refuse[j] = true
		}
		for _, j := range columns {
			refuse[j] = false
		}
	}
	e, err := a.transformer(n, len(columns), func(x []float64, rows int, out []float64, s *Scratch) error {
		for i, v := range x {
			if refuse[i%n] && mark.isCell(v, s) {
				return &RangeError{Row: i / n, Column: i % n, Reason: "nothing was missing here when the model was fitted"}
			}
		}
		for r := range rows {
			setFlags(x[r*n:(r+1)*n], out[r*len(columns):(r+1)*len(columns)], columns, mark, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	takes := make([]Takes, n)
	for j := range takes {
		takes[j] = Numbers | Texts | mark.kind
	}
	return e.taking(takes), nil
}

package model

import (
	"github.com/weirhq/weir/service/pickle"
)

// missingMark is what stands for a missing number: NaN or a number.
type missingMark struct{ value float64 }

func (m missingMark) is(v float64) bool { return v == m.value || v != v && m.value != m.value }

func (a attrs) missingMark() (missingMark, error) {
	v, err := pickle.Float(a.o.Attrs["missing_values"])
	if err != nil {
		return missingMark{}, a.errorf("missing_values", "want NaN or a number: %w", err)
	}
	return missingMark{v}, nil
}

// buildSimpleImputer puts statistics_ in the place of missing numbers. Columns without a statistic are left out.
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
	for j, v := range statistics {
		if keep || v == v {
			columns = append(columns, j)
		}
	}
	flags, err := a.indicated(n)
	if err != nil {
		return nil, err
	}
	out := len(columns) + len(flags)
	e, err := a.transformer(n, out, eachRow(n, out, func(x, out []float64) {
		for i, j := range columns {
			if out[i] = x[j]; mark.is(x[j]) {
				out[i] = statistics[j]
			}
		}
		setFlags(x, out[len(columns):], flags, mark)
	}))
	if err != nil {
		return nil, err
	}
	e.Missing = mark.value != mark.value
	return e, nil
}

// statistics reads statistics_, which may be an array of objects.
func (a attrs) statistics(n int) ([]float64, error) {
	v, err := a.get("statistics_")
	if err != nil {
		return nil, err
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil || arr.Len() != n || len(arr.Shape) != 1 {
		return nil, a.errorf("statistics_", "want %d numbers", n)
	}
	values, err := a.values("statistics_", arr)
	if err != nil {
		return nil, err
	}
	out := make([]float64, n)
	for j, v := range values {
		if out[j], err = pickle.Float(v); err != nil {
			return nil, a.errorf("statistics_", "%w", err)
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

func setFlags(x, out []float64, columns []int, mark missingMark) {
	for i, j := range columns {
		out[i] = 0
		if mark.is(x[j]) {
			out[i] = 1
		}
	}
}

// buildMissingIndicator gives 1 for missing numbers in features_, else 0.
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
	e, err := a.transformer(n, len(columns), func(x []float64, rows int, out []float64, _ *Scratch) error {
		for i, v := range x {
			if refuse[i%n] && mark.is(v) {
				return &RangeError{Row: i / n, Column: i % n, Reason: "nothing was missing here when the model was fitted"}
			}
		}
		for r := range rows {
			setFlags(x[r*n:(r+1)*n], out[r*len(columns):(r+1)*len(columns)], columns, mark)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing = mark.value != mark.value
	return e, nil
}

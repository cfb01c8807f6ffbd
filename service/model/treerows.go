package model

import "math"

// use is a column of the rows, with a rule for what is missing.
type use struct {
	column  int
	missing missingRule
}

// treeRows are rows prepared for a forest. It is working memory, kept between calls.
type treeRows[T number] struct {
	row    []T        // one row: its uses
	leaves []uint32   // of each row of a block: the number of its leaf
	groups [][lanes]T // 8 rows at a time: the uses of the first 8, those of the next 8, …
}

// reserve makes room for groups of rows, and for one row. Of 8-byte nodes the last group has 256 columns too.
func (w *treeRows[T]) reserve(uses, groups int) {
	w.leaves = grow(&w.leaves, groups*lanes)
	w.row = grow(&w.row, uses+narrowColumns)
	w.groups = grow(&w.groups, uses*max(groups, 1)+narrowColumns)
}

// reset lets go of memory that is too large to keep.
func (w *treeRows[T]) reset() {
	if len(w.row) > maxKept || len(w.groups) > maxKept/lanes {
		*w = treeRows[T]{}
	}
}

// group are the rows of one group and what follows them.
func (w *treeRows[T]) group(f *forest, g int) [][lanes]T { return w.groups[g*len(f.uses):] }

// prepare8 prepares 8 rows as group g.
func (w *treeRows[T]) prepare8(f *forest, x []float64, g int) {
	to := w.group(f, g)
	for i, u := range f.uses {
		values, column := &to[i], x[u.column:]
		switch {
		case u.missing != nanRight:
			for lane := range values {
				values[lane] = prepared[T](f, u.missing, column[lane*f.columns])
			}
		case f.round32:
			for lane := range values {
				values[lane] = T(float32(column[lane*f.columns]))
			}
		default:
			for lane := range values {
				values[lane] = T(column[lane*f.columns])
			}
		}
	}
}

// prepare1 prepares a single row, where there are sets as the first of group 0 too.
func (w *treeRows[T]) prepare1(f *forest, x []float64) {
	for i, u := range f.uses {
		w.row[i] = prepared[T](f, u.missing, x[u.column])
		if f.hasSets {
			w.groups[i][0] = w.row[i]
		}
	}
}

// zeroThreshold is up to where a number is zero to LightGBM.
const zeroThreshold = float64(float32(1e-35))

// prepared rounds a number and applies a rule: comparisons send -Inf left and NaN right.
func prepared[T number](f *forest, m missingRule, v float64) T {
	if f.round32 {
		v = float64(float32(v))
	}
	if m == nanRight {
		return T(v)
	}
	nan := v != v
	switch {
	case m == nanLeft && nan, m == zeroLeft && (nan || math.Abs(v) <= zeroThreshold):
		v = math.Inf(-1)
	case m == nanZero && nan:
		v = 0
	case m == zeroRight && math.Abs(v) <= zeroThreshold:
		v = math.NaN()
	}
	return T(v)
}

// errFloat32 is what scikit-learn says of such a number too: trees compare in float32.
const errFloat32 = "the number is too large for this model, which computes in 32-bit floats"

// check looks for a number that the model doesn't take.
func (f *forest) check(x []float64, from, to int) error {
	if f.nan && f.infinite {
		return nil
	}
	x = x[from*f.columns : to*f.columns]
	for i, v := range x {
		if f.round32 {
			v = float64(float32(v))
		}
		if v-v != 0 && !(f.nan && v != v) && !(f.infinite && v == v) { // infinite or NaN
			return &RangeError{Row: from + i/f.columns, Column: i % f.columns, Reason: errFloat32}
		}
	}
	return nil
}

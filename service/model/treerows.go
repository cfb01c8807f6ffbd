package model

import "math"

// use is a column of the rows, with a rule for what is missing.
type use struct {
	column  int
	missing missingRule
}

// treeRows are rows prepared for a forest, as keys. It is working memory, kept between calls.
type treeRows[W word] struct {
	at     []uint32   // where the walks are
	open   []uint32   // which of them go on
	groups [][lanes]W // 8 rows at a time: the uses of the first 8, those of the next 8, …
}

// reserve makes room for so many walks, and for groups of rows, or a single one.
func (w *treeRows[W]) reserve(uses, walks, groups int) {
	w.at, w.open = grow(&w.at, walks), grow(&w.open, 2*walks)
	w.groups = grow(&w.groups, max(1, uses*max(groups, 1)))
}

// reset lets go of memory that is too large to keep.
func (w *treeRows[W]) reset() {
	if len(w.groups) > maxKept/lanes {
		*w = treeRows[W]{}
	}
}

// group are the rows of one group and what follows them.
func (w *treeRows[W]) group(f *forest, g int) [][lanes]W { return w.groups[g*len(f.uses):] }

// prepare prepares up to 8 rows as group g.
func (w *treeRows[W]) prepare(f *forest, x []float64, g int) {
	to, rows, round := w.group(f, g), len(x)/f.columns, f.round32
	for i, u := range f.uses {
		keys, column, forNaN := to[i][:rows], x[u.column:], u.missing.forNaN()
		for lane := range keys {
			v := column[lane*f.columns]
			if round {
				v = float64(float32(v))
			}
			if v != v {
				v = forNaN
			}
			keys[lane] = keyOf[W](v)
		}
		if u.missing == zeroLeft || u.missing == zeroRight {
			for lane := range keys {
				if math.Abs(column[lane*f.columns]) <= zeroThreshold {
					keys[lane] = keyOf[W](forNaN)
				}
			}
		}
	}
}

// zeroThreshold is up to where a number is zero to LightGBM.
const zeroThreshold = float64(float32(1e-35))

// forNaN is what a comparison sends where NaN is to go.
func (m missingRule) forNaN() float64 {
	switch m {
	case nanLeft, zeroLeft:
		return math.Inf(-1)
	case nanZero:
		return 0
	default:
		return math.NaN()
	}
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

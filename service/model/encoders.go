package model

import (
	"slices"
	"sort"

	"github.com/weirhq/weir/service/pickle"
)

func transformerEntries() []entry {
	const p = "sklearn.preprocessing."
	return slices.Concat(
		in(p+"_discretization", buildKBinsDiscretizer, "KBinsDiscretizer"),
		in(p+"_encoders", buildOrdinalEncoder, "OrdinalEncoder"),
		in(p+"_encoders", buildOneHotEncoder, "OneHotEncoder"),
		in(p+"_function_transformer", buildFunctionTransformer, "FunctionTransformer"),
		in("sklearn.impute._base", buildSimpleImputer, "SimpleImputer"),
		in("sklearn.impute._base", buildMissingIndicator, "MissingIndicator"),
	)
}

// categories are the numbers that one column had in training, in rising order. A last NaN is a category too.
type categories []float64

// index finds a number, or -1.
func (c categories) index(v float64) int {
	if last := len(c) - 1; v != v {
		if last >= 0 && c[last] != c[last] {
			return last
		}
		return -1
	}
	if i := sort.Search(len(c), func(i int) bool { return !(c[i] < v) }); i < len(c) && c[i] == v {
		return i
	}
	return -1
}

// readCategories reads categories_ of columns that are numbers.
func (a attrs) readCategories() ([]categories, error) {
	if on, err := a.flag("_infrequent_enabled"); err == nil && on {
		return nil, a.errorf("min_frequency", "grouping rare categories is not supported: leave min_frequency and "+
			"max_categories out")
	}
	items, err := a.sequence("categories_")
	if err != nil {
		return nil, err
	}
	out := make([]categories, len(items))
	for j, item := range items {
		arr, err := pickle.ArrayOf(item)
		if err != nil {
			return nil, a.errorf("categories_", "%w", err)
		}
		values, err := a.values("categories_", arr)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			f, err := pickle.Float(v)
			if err != nil {
				return nil, a.errorf("categories_", "column %d has categories that are not numbers: only numbers are supported", j)
			}
			if n := len(out[j]); n > 0 && !(out[j][n-1] < f) && f == f {
				return nil, a.errorf("categories_", "those of column %d don't rise", j)
			}
			out[j] = append(out[j], f)
		}
		if len(out[j]) == 0 || len(out[j]) > maxWidth {
			return nil, a.errorf("categories_", "column %d has none, or far too many", j)
		}
	}
	return out, nil
}

// errUnknown is about a category that there was not in training.
const errUnknown = "the model doesn't know this category"

// buildOrdinalEncoder gives the index of the category.
func buildOrdinalEncoder(a attrs) (*estimator, error) {
	columns, err := a.readCategories()
	if err != nil {
		return nil, err
	}
	n := len(columns)
	unknown, refuse, missing := nan, a.text("handle_unknown") != "use_encoded_value", nan
	if !refuse {
		if unknown, err = pickle.Float(a.o.Attrs["unknown_value"]); err != nil {
			return nil, a.errorf("unknown_value", "%w", err)
		}
	}
	if v, ok := a.o.Attrs["encoded_missing_value"]; ok {
		if missing, err = pickle.Float(v); err != nil {
			return nil, a.errorf("encoded_missing_value", "%w", err)
		}
	}
	e, err := a.transformer(n, n, func(x []float64, rows int, out []float64, _ *Scratch) error {
		for i, v := range x {
			k := columns[i%n].index(v)
			switch {
			case k >= 0 && v != v:
				out[i] = missing
			case k >= 0:
				out[i] = float64(k)
			case refuse:
				return &RangeError{Row: i / n, Column: i % n, Reason: errUnknown}
			default:
				out[i] = unknown
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing = a.version() >= 100
	return e, nil
}

// oneHot gives a column for each category, but for a dropped one.
type oneHot struct {
	columns []categories
	drop    []int // -1: none
	from    []int // where a column's places begin
	width   int
	ignore  bool
}

func (h *oneHot) apply(x []float64, rows int, out []float64, _ *Scratch) error {
	clear(out)
	n := len(h.columns)
	for i, v := range x {
		j := i % n
		k := h.columns[j].index(v)
		if k < 0 {
			if h.ignore {
				continue
			}
			return &RangeError{Row: i / n, Column: j, Reason: errUnknown}
		}
		if k == h.drop[j] {
			continue
		}
		if h.drop[j] >= 0 && k > h.drop[j] {
			k--
		}
		out[i/n*h.width+h.from[j]+k] = 1
	}
	return nil
}

func buildOneHotEncoder(a attrs) (*estimator, error) {
	h := &oneHot{ignore: a.text("handle_unknown") != "error"}
	var err error
	if h.columns, err = a.readCategories(); err != nil {
		return nil, err
	}
	dropped := make([]any, len(h.columns))
	if v := a.o.Attrs["drop_idx_"]; v != nil {
		arr, err := pickle.ArrayOf(v)
		if err != nil || arr.Len() != len(dropped) {
			return nil, a.errorf("drop_idx_", "want one for each column")
		}
		if dropped, err = a.values("drop_idx_", arr); err != nil {
			return nil, err
		}
	}
	for j, c := range h.columns {
		drop := -1
		if dropped[j] != nil {
			if drop, err = pickle.Int(dropped[j]); err != nil || drop < 0 || drop >= len(c) {
				return nil, a.errorf("drop_idx_", "want an index of column %d's categories", j)
			}
		}
		h.drop, h.from = append(h.drop, drop), append(h.from, h.width)
		if h.width += len(c); drop >= 0 {
			h.width--
		}
	}
	e, err := a.transformer(len(h.columns), h.width, h.apply)
	if err != nil {
		return nil, err
	}
	e.Missing = a.version() >= 100
	return e, nil
}

package model

import (
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func transformerEntries() []entry {
	const p = "sklearn.preprocessing."
	return slices.Concat(
		in(p+"_discretization", buildKBinsDiscretizer, "KBinsDiscretizer"),
		in(p+"_encoders", buildOrdinalEncoder, "OrdinalEncoder"),
		in(p+"_encoders", buildOneHotEncoder, "OneHotEncoder"),
		in(p+"_target_encoder", buildTargetEncoder, "TargetEncoder"),
		in(p+"_function_transformer", buildFunctionTransformer, "FunctionTransformer"),
		in("sklearn.impute._base", buildSimpleImputer, "SimpleImputer"),
		in("sklearn.impute._base", buildMissingIndicator, "MissingIndicator"),
	)
}

// errUnknown is about a category that there was not in training.
const errUnknown = "the model doesn't know this category"

// table gives, for each column, numbers that are looked up by its category.
type table struct {
	columns []*categories
	width   int         // numbers for each column
	values  [][]float64 // of each column: categories × width
	unknown []float64   // for a column whose category is not known: width, or columns × width; nil: refused
}

func (t *table) apply(x []float64, rows int, out []float64, s *Scratch) error {
	n, w := len(t.columns), t.width
	for i, v := range x {
		j := i % n
		to := out[i*w : (i+1)*w]
		switch k := t.columns[j].index(v, s); {
		case k >= 0:
			copy(to, t.values[j][k*w:(k+1)*w])
		case t.unknown == nil:
			return &RangeError{Row: i / n, Column: j, Reason: errUnknown}
		default:
			copy(to, t.unknown)
		}
	}
	return nil
}

// transformer makes an estimator of the table. Open: missing cells are taken although they may be no category.
func (t *table) transformer(a attrs, open bool) (*estimator, error) {
	e, err := a.transformer(len(t.columns), len(t.columns)*t.width, t.apply)
	if err != nil {
		return nil, err
	}
	return e.taking(takesOf(t.columns, open)), nil
}

func takesOf(columns []*categories, open bool) []Takes {
	takes := make([]Takes, len(columns))
	for j, c := range columns {
		takes[j] = c.takes(open)
	}
	return takes
}

// buildOrdinalEncoder gives the place of the category.
func buildOrdinalEncoder(a attrs) (*estimator, error) {
	columns, err := a.readCategories()
	if err != nil {
		return nil, err
	}
	grouped, err := a.readGroups(columns)
	if err != nil {
		return nil, err
	}
	t := &table{columns: columns, width: 1}
	if a.text("handle_unknown") == "use_encoded_value" {
		v, err := pickle.Float(a.o.Attrs["unknown_value"])
		if err != nil {
			return nil, a.errorf("unknown_value", "%w", err)
		}
		t.unknown = []float64{v}
	}
	missing := nan
	if v, ok := a.o.Attrs["encoded_missing_value"]; ok {
		if missing, err = pickle.Float(v); err != nil {
			return nil, a.errorf("encoded_missing_value", "%w", err)
		}
	}
	for j, c := range columns {
		codes := make([]float64, c.size)
		for k := range codes {
			if codes[k] = float64(grouped[j].of(k)); k == c.nan {
				codes[k] = missing
			}
		}
		t.values = append(t.values, codes)
	}
	return t.transformer(a, t.unknown != nil && a.version() >= 100)
}

// buildTargetEncoder gives the mean of the target that a category had, or one for each class.
func buildTargetEncoder(a attrs) (*estimator, error) {
	columns, err := a.readCategories()
	if err != nil {
		return nil, err
	}
	t := &table{columns: columns, width: 1}
	if t.unknown, _, err = a.floats("target_mean_"); err != nil {
		return nil, err
	}
	if a.text("target_type_") == "multiclass" {
		t.width = len(t.unknown)
	}
	items, err := a.sequence("encodings_")
	if err != nil {
		return nil, err
	}
	if len(t.unknown) != t.width || t.width < 1 || len(items) != len(columns)*t.width {
		return nil, a.errorf("encodings_", "want %d for each of %d columns, not %d", t.width, len(columns), len(items))
	}
	for j, c := range columns {
		if err := a.l.spend(8 * c.size * t.width); err != nil {
			return nil, a.errorf("encodings_", "%w", err)
		}
		values := make([]float64, c.size*t.width)
		for class := range t.width {
			arr, err := pickle.ArrayOf(items[j*t.width+class])
			if err != nil || arr.Len() != c.size {
				return nil, a.errorf("encodings_", "want a number for each category of column %d", j)
			}
			means, err := arr.Floats()
			if err != nil {
				return nil, a.errorf("encodings_", "%w", err)
			}
			for k, mean := range means {
				values[k*t.width+class] = mean
			}
		}
		t.values = append(t.values, values)
	}
	return t.transformer(a, true)
}

package model

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/weirhq/weir/service/document"
	"github.com/weirhq/weir/service/pickle"
)

// recoder puts in place of the categories of a table the codes that a booster was trained on: XGBoost and LightGBM keep
// with a model the categories that the columns of pandas had.
type recoder struct {
	columns []*categories // nil for a column of numbers
	strict  bool          // what is no category is an error, and not missing
}

// recoded puts the categories of some columns in front of a booster. Without any, it stays as it is.
func (a attrs) recoded(e *estimator, r *recoder) (*estimator, error) {
	if r == nil {
		return e, nil
	}
	first, err := a.transformer(e.In, e.In, r.codes)
	if err != nil {
		return nil, err
	}
	takes := make([]Takes, e.In)
	for j, c := range r.columns {
		if takes[j] = Numbers | Nulls; c != nil {
			takes[j] = c.takes(true)
		}
	}
	first.taking(takes).Names = e.Names
	return a.chain([]*estimator{first, e})
}

func (r *recoder) codes(x []float64, _ int, out []float64, s *Scratch) error {
	for i, v := range x {
		out[i] = v
		c := r.columns[i%len(r.columns)]
		if c == nil {
			continue
		}
		k := c.index(v, s)
		if out[i] = float64(k); k >= 0 {
			continue
		}
		_, isText := s.text(v)
		if out[i] = math.NaN(); r.strict && (v == v || isText) {
			return &RangeError{
				Row: i / len(r.columns), Column: i % len(r.columns),
				Reason: "this is none of the categories that the model was trained with",
			}
		}
	}
	return nil
}

// lgbRecoder reads pandas_categorical: a list of categories for each column of that kind. Which columns that are is in
// the model text: their feature_infos are codes, as in "0:2:1", and those of others an interval.
func (a attrs) lgbRecoder(infos string) (*recoder, error) {
	const name = "pandas_categorical"
	v := a.o.Attrs[name]
	if v == nil {
		return nil, nil
	}
	lists, err := pickle.Sequence(v)
	if err != nil || len(lists) == 0 {
		return nil, err
	}
	r, n := &recoder{}, 0
	for info := range strings.SplitSeq(infos, " ") {
		r.columns = append(r.columns, nil)
		if strings.HasPrefix(info, "[") || info == "none" {
			continue
		}
		if n == len(lists) {
			n++
			break
		}
		values, err := pickle.Sequence(lists[n])
		if err == nil {
			err = a.l.spend(64 * len(values))
		}
		if err == nil {
			r.columns[len(r.columns)-1], err = newCategories(values)
		}
		if err != nil {
			return nil, a.errorf(name, "list %d: %w", n, err)
		}
		n++
	}
	if n != len(lists) {
		return nil, a.errorf(name, "there are %d lists of categories, and the model has another number of such columns: "+
			"leave out those of a single category, and let all be of pandas' type", len(lists))
	}
	return r, nil
}

// xgbRecoder reads what XGBoost since 3.1 keeps of the categories of each column: numbers, or texts that follow one another.
func (a attrs) xgbRecoder(model document.Object, columns int) (*recoder, error) {
	cats, err := model.Inner("cats")
	if err != nil {
		return nil, nil //nolint:nilerr // before 3.1
	}
	list, _ := cats.Get("enc").([]any)
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) != columns {
		return nil, fmt.Errorf("cats: there are categories for %d columns: want %d", len(list), columns)
	}
	r := &recoder{columns: make([]*categories, columns), strict: true}
	for j, v := range list {
		o, _ := v.(document.Object)
		values, err := xgbCategories(o)
		if err == nil {
			err = a.l.spend(64 * len(values))
		}
		if err == nil && len(values) > 0 {
			r.columns[j], err = newCategories(values)
		}
		if err != nil {
			return nil, fmt.Errorf("cats: column %d: %w", j, err)
		}
	}
	return r, nil
}

func xgbCategories(o document.Object) ([]any, error) {
	values, err := o.Numbers("values", -1)
	if err != nil {
		return nil, err
	}
	ends, err := o.Numbers("offsets", -1)
	if err != nil {
		out := make([]any, values.Len())
		for i := range out {
			out[i] = values.Float(i)
		}
		return out, nil
	}
	text := make([]byte, values.Len())
	for i := range text {
		text[i] = byte(values.Int(i))
	}
	var out []any
	for i := range max(ends.Len()-1, 0) {
		from, to := ends.Int(i), ends.Int(i+1)
		if from < 0 || from > to || to > len(text) {
			return nil, errors.New("its texts are outside of the bytes that there are")
		}
		out = append(out, string(text[from:to]))
	}
	return out, nil
}

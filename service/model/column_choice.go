package model

import (
	"errors"
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// columnsOf reads which columns a transformer gets: indices, a mask, a slice, or names; or a single one.
func (a attrs) columnsOf(v any, width int) ([]int, error) {
	if o, ok := v.(*pickle.Object); ok && o.Class.Name == "_RemainderColsList" {
		v = o.Attrs["data"]
	}
	if s, ok := v.(*pickle.Slice); ok {
		return a.sliceColumns(s, width)
	}
	var items []any
	if arr, err := pickle.ArrayOf(v); err == nil {
		if items, err = a.values("transformers_", arr); err != nil {
			return nil, err
		}
	} else if items, err = pickle.Sequence(v); err != nil {
		items = []any{v}
	}
	if len(items) > maxWidth {
		return nil, errors.New("there are far too many")
	}
	var out []int
	places := a.namePlaces(width)
	for i, item := range items {
		scalar, err := pickle.Scalar(item)
		if err != nil {
			return nil, errors.New("want indices, a mask, a slice or names")
		}
		if chosen, isMask := scalar.(bool); isMask {
			if len(items) != width {
				return nil, fmt.Errorf("a mask has %d places for %d columns", len(items), width)
			}
			if chosen {
				out = append(out, i)
			}
			continue
		}
		column, err := oneColumn(scalar, width, places)
		if err != nil {
			return nil, err
		}
		out = append(out, column)
	}
	return out, nil
}

// oneColumn finds a column by its index or name.
func oneColumn(v any, width int, places func(string) (int, bool)) (int, error) {
	switch c := v.(type) {
	case int64:
		if c < 0 {
			c += int64(width)
		}
		if c >= 0 && c < int64(width) {
			return int(c), nil
		}
	case string:
		if column, ok := places(c); ok {
			return column, nil
		}
		return 0, fmt.Errorf("there is no column %.60q", c)
	default:
		return 0, errors.New("a column is neither an index nor a name")
	}
	return 0, fmt.Errorf("there is no column %v", v)
}

// namePlaces finds columns by their names. It looks at the file when it is first asked.
func (a attrs) namePlaces(width int) func(string) (int, bool) {
	var byName map[string]int
	return func(name string) (int, bool) {
		if byName == nil {
			byName = map[string]int{}
			names, err := a.columnNames(width)
			if err != nil {
				return 0, false
			}
			for i, n := range names {
				byName[n] = i
			}
		}
		i, ok := byName[name]
		return i, ok
	}
}

// columnNames returns the names of the columns of a ColumnTransformer, or nil.
func (a attrs) columnNames(width int) ([]string, error) {
	if names, err := a.names(width); names != nil || err != nil {
		return names, err
	}
	if a.o.Attrs["_feature_names_in"] == nil { // before 1.0
		return nil, nil
	}
	names, err := a.namesIn("_feature_names_in", width)
	if err != nil {
		return nil, nil //nolint:nilerr // they may be numbers, which are no names
	}
	return names, nil
}

func (a attrs) sliceColumns(s *pickle.Slice, width int) ([]int, error) {
	step, err := 1, error(nil)
	if s.Step != nil {
		if step, err = pickle.Int(s.Step); err != nil || step < 1 {
			return nil, errors.New("a slice has a step that is not a positive number")
		}
	}
	places := a.namePlaces(width)
	bound := func(v any, otherwise, after int) (int, error) {
		if v == nil {
			return otherwise, nil
		}
		if name, ok := v.(string); ok { // a slice by names has its last one in it
			column, err := oneColumn(name, width, places)
			return column + after, err
		}
		n, err := pickle.Int(v)
		if err != nil {
			return 0, errors.New("a slice has an end that is neither an index nor a name")
		}
		if n < 0 {
			n += width
		}
		return min(width, max(0, n)), nil
	}
	from, err := bound(s.Start, 0, 0)
	if err != nil {
		return nil, err
	}
	to, err := bound(s.Stop, width, 1)
	if err != nil {
		return nil, err
	}
	if err := a.l.spend(8 * max(0, to-from) / step); err != nil {
		return nil, err
	}
	var out []int
	for c := from; c < to; c += step {
		out = append(out, c)
	}
	return out, nil
}

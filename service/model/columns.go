package model

import (
	"fmt"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func compositionEntries() []entry {
	const c = "sklearn.compose."
	return slices.Concat(
		in("sklearn.pipeline", buildPipeline, "Pipeline"),
		in("sklearn.pipeline", buildFeatureUnion, "FeatureUnion"),
		in(c+"_column_transformer", buildColumnTransformer, "ColumnTransformer"),
		in(c+"_column_transformer", nil, "_RemainderColsList"),
		in(c+"_target", buildTransformedTarget, "TransformedTargetRegressor"),
		in("sklearn.model_selection._search", buildSearch, "GridSearchCV", "RandomizedSearchCV"),
	)
}

// sidePart is one of several transformers that work side by side: their rows are put one after the other.
type sidePart struct {
	*estimator
	weight float64
}

// sideBySide makes a transformer of parts that take the same columns.
func (a attrs) sideBySide(in int, parts []sidePart) (*estimator, error) {
	width, takes := 0, true
	for _, p := range parts {
		if p.Kind != Transformer || p.Out < 1 || p.In != in {
			return nil, fmt.Errorf("%s: it consists of something that is no transformer of %d columns", a.class(), in)
		}
		width += p.Out
		takes = takes && p.Missing
	}
	e, err := a.transformer(in, width, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		at := 0
		for _, p := range parts {
			v := s.floats(rows * p.Out)
			if err := p.apply(x, rows, v, s); err != nil {
				return err
			}
			for i, f := range v {
				out[i/p.Out*width+at+i%p.Out] = f * p.weight
			}
			at += p.Out
			s.release(mark)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing = takes
	return e, nil
}

// weightOf reads a part's weight from transformer_weights.
func (a attrs) weightOf(name any) (float64, error) {
	entries, _ := pickle.Entries(a.o.Attrs["transformer_weights"])
	for _, e := range entries {
		if e.Key == name {
			w, err := pickle.Float(e.Value)
			if err != nil {
				return 0, a.errorf("transformer_weights", "%w", err)
			}
			return w, nil
		}
	}
	return 1, nil
}

// buildColumnTransformer reads transformers_: (name, transformer, columns).
func buildColumnTransformer(a attrs) (*estimator, error) {
	width, err := a.width()
	if err != nil {
		return nil, err
	}
	items, err := a.sequence("transformers_")
	if err != nil {
		return nil, err
	}
	var parts []sidePart
	for i, item := range items {
		triple, err := pickle.Sequence(item)
		if err != nil || len(triple) != 3 {
			return nil, a.errorf("transformers_", "place %d holds no name, transformer and columns", i)
		}
		columns, err := a.columnsOf(triple[2], width)
		if err != nil {
			return nil, a.errorf("transformers_", "columns at place %d: %w", i, err)
		}
		if triple[1] == "drop" || len(columns) == 0 {
			continue
		}
		p, err := a.columnPart(triple[1], columns, width)
		if err != nil {
			return nil, a.errorf("transformers_", "transformer at place %d: %w", i, err)
		}
		if p.weight, err = a.weightOf(triple[0]); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return a.sideBySide(width, parts)
}

func (a attrs) columnPart(v any, columns []int, width int) (sidePart, error) {
	e := identity(len(columns))
	if v != "passthrough" {
		var err error
		if e, err = a.l.build(v); err != nil {
			return sidePart{}, err
		}
	}
	e, err := onColumns(e.widened(len(columns)), columns, width)
	return sidePart{estimator: e}, err
}

// identity hands rows on.
func identity(n int) *estimator {
	return &estimator{
		Signature: Signature{Kind: Transformer, In: n, Out: n, Vector: true, Missing: true},
		apply: func(x []float64, _ int, out []float64, _ *Scratch) error {
			copy(out, x)
			return nil
		},
	}
}

// columnsOf reads which columns a transformer gets: indices, a mask, a slice, or names.
func (a attrs) columnsOf(v any, width int) ([]int, error) {
	if o, ok := v.(*pickle.Object); ok && o.Class.Name == "_RemainderColsList" {
		v = o.Attrs["data"]
	}
	if s, ok := v.(*pickle.Slice); ok {
		return sliceColumns(s, width)
	}
	var items []any
	if arr, err := pickle.ArrayOf(v); err == nil {
		if items, err = a.values("transformers_", arr); err != nil {
			return nil, err
		}
	} else if items, err = pickle.Sequence(v); err != nil {
		return nil, fmt.Errorf("want a list, an array, a mask or a slice: a single column is not supported")
	}
	var names []string
	var out []int
	for i, item := range items {
		scalar, err := pickle.Scalar(item)
		if err != nil {
			return nil, err
		}
		column := 0
		switch c := scalar.(type) {
		case bool:
			if len(items) != width {
				return nil, fmt.Errorf("a mask has %d places for %d columns", len(items), width)
			}
			if !c {
				continue
			}
			column = i
		case int64:
			column = int(c)
		case string:
			if names == nil {
				if names, err = a.names(width); err != nil {
					return nil, err
				}
			}
			column = indexOf(names, c)
		default:
			return nil, fmt.Errorf("a column is neither an index nor a name")
		}
		if column < 0 {
			column += width
		}
		if column < 0 || column >= width {
			return nil, fmt.Errorf("there is no column %v", scalar)
		}
		out = append(out, column)
	}
	return out, nil
}

// indexOf returns the place of a name, or a number that is no column.
func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return len(names) + maxWidth
}

func sliceColumns(s *pickle.Slice, width int) ([]int, error) {
	bound := func(v any, otherwise int) int {
		n, err := pickle.Int(v)
		if err != nil {
			return otherwise
		}
		if n < 0 {
			n += width
		}
		return min(width, max(0, n))
	}
	for _, v := range []any{s.Start, s.Stop} {
		if _, err := pickle.Int(v); v != nil && err != nil {
			return nil, fmt.Errorf("a slice by names is not supported: use a list of them")
		}
	}
	step := 1
	if s.Step != nil {
		var err error
		if step, err = pickle.Int(s.Step); err != nil || step < 1 {
			return nil, fmt.Errorf("a slice has a step that is not a positive number")
		}
	}
	var out []int
	for c := bound(s.Start, 0); c < bound(s.Stop, width); c += step {
		out = append(out, c)
	}
	return out, nil
}

// buildFeatureUnion reads transformer_list: (name, transformer).
func buildFeatureUnion(a attrs) (*estimator, error) {
	items, err := a.sequence("transformer_list")
	if err != nil {
		return nil, err
	}
	var parts []sidePart
	width := anyWidth
	for i, item := range items {
		pair, err := pickle.Sequence(item)
		if err != nil || len(pair) != 2 {
			return nil, a.errorf("transformer_list", "place %d holds no name and transformer", i)
		}
		if pair[1] == nil || pair[1] == "drop" {
			continue
		}
		e := identity(anyWidth)
		if pair[1] != "passthrough" {
			if e, err = a.l.build(pair[1]); err != nil {
				return nil, a.errorf("transformer_list", "place %d: %w", i, err)
			}
		}
		w, err := a.weightOf(pair[0])
		if err != nil {
			return nil, err
		}
		width = max(width, e.In)
		parts = append(parts, sidePart{e, w})
	}
	for i := range parts {
		parts[i].estimator = parts[i].widened(width)
	}
	return a.sideBySide(width, parts)
}

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
		in(c+"_column_transformer", nil, "_RemainderColsList", "make_column_selector"),
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
	u := &union{parts: parts}
	var members []*estimator
	texts, sparse, traced := false, false, false
	for _, p := range parts {
		if p.Kind != Transformer || p.Out < 1 || p.In != in {
			return nil, fmt.Errorf("%s: it consists of something that is no transformer of %d columns", a.class(), in)
		}
		if u.width += p.Out; u.width > maxWidth {
			break // which the signature refuses
		}
		members = append(members, p.estimator)
		texts, sparse, traced = texts || p.texts, sparse || p.sparse != nil, traced || p.traced()
	}
	if err := a.l.spend(len(parts) * in); err != nil {
		return nil, a.errorf("n_features_in_", "%w", err)
	}
	e, err := a.transformer(in, u.width, u.apply)
	if err != nil {
		return nil, err
	}
	if e.takingAs(members); sparse {
		e.sparse = u.sparse
	}
	if e.texts = texts; traced {
		if err := a.l.spend(originSize * u.width); err != nil {
			return nil, a.errorf("n_features_in_", "%w", err)
		}
		e.origins = u.origins()
	}
	return e.allSparse(members), nil
}

// origins returns where each column is from.
func (u *union) origins() []origin {
	out := make([]origin, 0, u.width)
	for _, p := range u.parts {
		for k := range p.Out {
			from := p.origin(k)
			if p.weight != 1 {
				from.kept &= Nulls
			}
			out = append(out, from)
		}
	}
	return out
}

// union puts the rows of its parts one after the other.
type union struct {
	parts []sidePart
	width int
}

func (u *union) apply(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	at := 0
	for _, p := range u.parts {
		v := s.floats(rows * p.Out)
		if err := p.apply(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			to := out[r*u.width+at:][:p.Out]
			if copy(to, v[r*p.Out:]); p.weight != 1 {
				for i := range to {
					to[i] *= p.weight
				}
			}
		}
		at += p.Out
		s.release(mark)
	}
	return nil
}

// sparse is apply for sparse rows: first all parts, then row by row what they gave.
func (u *union) sparse(x []float64, rows int, to *sparse, s *Scratch) error {
	mark, from := s.mark(), s.sparseUsed
	defer func() {
		s.release(mark)
		s.releaseSparse(from)
	}()
	for _, p := range u.parts {
		t := s.takeSparse()
		if p.sparse != nil {
			if err := p.sparse(x, rows, t, s); err != nil {
				return err
			}
			continue
		}
		inner := s.mark()
		v := s.floats(rows * p.Out)
		if err := p.apply(x, rows, v, s); err != nil {
			return err
		}
		t.addDense(v, rows)
		s.release(inner)
	}
	for r := range rows {
		at := 0
		for i, p := range u.parts {
			columns, values := s.sparses[from+i].row(r)
			for i, c := range columns {
				to.add(at+int(c), values[i]*p.weight)
			}
			at += p.Out
		}
		to.end()
	}
	return nil
}

// byName returns the entries of an attribute that is a dict with names as keys.
func (a attrs) byName(name string) map[string]any {
	out := map[string]any{}
	entries, _ := pickle.Entries(a.o.Attrs[name])
	for _, e := range entries {
		if key, ok := e.Key.(string); ok {
			out[key] = e.Value
		}
	}
	return out
}

// weightOf returns a part's weight of transformer_weights.
func (a attrs) weightOf(weights map[string]any, name string) (float64, error) {
	v, ok := weights[name]
	if !ok {
		return 1, nil
	}
	w, err := pickle.Float(v)
	if err != nil {
		return 0, a.errorf("transformer_weights", "%w", err)
	}
	return w, nil
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
	resolved := a.byName("_transformer_to_input_indices") // since 1.0
	weights := a.byName("transformer_weights")
	var parts []sidePart
	for i, item := range items {
		triple, err := pickle.Sequence(item)
		if err != nil || len(triple) != 3 {
			return nil, a.errorf("transformers_", "place %d holds no name, transformer and columns", i)
		}
		name, _ := triple[0].(string)
		chosen, ok := resolved[name]
		if !ok {
			chosen = triple[2]
		}
		columns, err := a.columnsOf(chosen, width)
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
		if p.weight, err = a.weightOf(weights, name); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	e, err := a.sideBySide(width, parts)
	if err != nil {
		return nil, err
	}
	if e.Names == nil {
		e.Names, err = a.columnNames(width)
	}
	return e, err
}

func (a attrs) columnPart(v any, columns []int, width int) (sidePart, error) {
	inner := identity(len(columns))
	if v != "passthrough" {
		e, err := a.l.build(v)
		if err != nil {
			return sidePart{}, err
		}
		inner = e.transforming().widened(len(columns))
	}
	if err := a.l.spend(width + originSize*inner.Out); err != nil {
		return sidePart{}, err
	}
	e, err := onColumns(inner, columns, width)
	if err != nil {
		return sidePart{}, err
	}
	takes := make([]Takes, width)
	for j := range takes {
		takes[j] = anything
	}
	for i, column := range columns {
		takes[column] &= inner.takesAt(i)
	}
	e.taking(takes).Documents = false
	return sidePart{estimator: e}, nil
}

// identity hands rows on.
func identity(n int) *estimator {
	return &estimator{
		Signature: Signature{Kind: Transformer, In: n, Out: n, Vector: true, Missing: true}, takesAny: true, texts: true,
		apply: func(x []float64, _ int, out []float64, _ *Scratch) error {
			copy(out, x)
			return nil
		},
	}
}

// buildFeatureUnion reads transformer_list: (name, transformer).
func buildFeatureUnion(a attrs) (*estimator, error) {
	items, err := a.sequence("transformer_list")
	if err != nil {
		return nil, err
	}
	weights := a.byName("transformer_weights")
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
		e = e.transforming()
		name, _ := pair[0].(string)
		w, err := a.weightOf(weights, name)
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

package model

import (
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func textEntries() []entry {
	const t = "sklearn.feature_extraction.text"
	return slices.Concat(
		in(t, buildCountVectorizer, "CountVectorizer", "TfidfVectorizer"),
		in(t, buildHashingVectorizer, "HashingVectorizer"),
		in(t, buildTfidfTransformer, "TfidfTransformer"),
	)
}

// vectorizer counts the terms of a text.
type vectorizer struct {
	analyzer   *analyzer
	vocabulary map[string]int32 // columns of terms
	buckets    uint32           // or, where there is none, the number of columns that terms are hashed into
	signed     bool             // a hashed term may count as -1
	binary     bool             // a term counts once
	weights    *tfidf           // nil: counts as they are
	width      int
}

// count counts a term. A count lies in w as the column in the upper half, and the number, which may be below 0, in the
// lower: many of a column until they are put together.
func (v *vectorizer) count(term []byte, w *words) {
	one := uint32(1)
	var column uint32
	if v.vocabulary != nil {
		i, ok := v.vocabulary[string(term)]
		if !ok {
			return
		}
		column = uint32(i)
	} else {
		h := int32(murmur(term))
		if column = uint32(h); h < 0 {
			column = -column
			if v.signed {
				one = ^uint32(0)
			}
		}
		column %= v.buckets
	}
	if w.counts = append(w.counts, uint64(column)<<32|uint64(one)); len(w.counts) >= w.compactAt {
		w.compact()
		w.compactAt = max(minCompact, 2*len(w.counts))
	}
}

// minCompact is the number of counts from which on those of a column are put together while counting goes on.
const minCompact = 1 << 16

// compact puts counts of the same column together.
func (w *words) compact() {
	slices.Sort(w.counts)
	kept := w.counts[:0]
	for _, c := range w.counts {
		if last := len(kept) - 1; last >= 0 && kept[last]>>32 == c>>32 {
			kept[last] = c>>32<<32 | uint64(uint32(kept[last])+uint32(c))
		} else {
			kept = append(kept, c)
		}
	}
	w.counts = kept
}

func (v *vectorizer) sparse(x []float64, _ int, to *sparse, s *Scratch) error {
	w := &s.words
	for r, cell := range x {
		text, ok := s.text(cell)
		if !ok {
			return &RangeError{Row: r, Reason: "want text"}
		}
		w.counts, w.compactAt = w.counts[:0], minCompact
		v.analyzer.terms(text, v, w)
		w.compact()
		from := len(to.at)
		for _, c := range w.counts {
			n := float64(int32(uint32(c)))
			if v.binary {
				n = 1
			}
			to.add(int(c>>32), n)
		}
		if v.weights != nil {
			v.weights.apply(to.at[from:], to.values[from:])
		}
		to.end()
	}
	return nil
}

// transformer makes an estimator of a vectorizer.
func (v *vectorizer) transformer(a attrs) (*estimator, error) {
	if v.width < 1 || v.width > maxWidth {
		return nil, a.errorf("vocabulary_", "there are %d terms: want 1 to %d", v.width, maxWidth)
	}
	return &estimator{
		Signature: Signature{Kind: Transformer, In: 1, Out: v.width, Vector: true, Documents: true},
		apply:     dense(v.sparse, v.width), sparse: v.sparse, takes: []Takes{Texts},
	}, nil
}

// buildCountVectorizer counts the terms of vocabulary_. A TfidfVectorizer has a TfidfTransformer that follows.
func buildCountVectorizer(a attrs) (*estimator, error) {
	v := &vectorizer{}
	var err error
	if v.analyzer, err = a.analyzer(); err != nil {
		return nil, err
	}
	if v.binary, err = a.flag("binary"); err != nil {
		return nil, err
	}
	if v.vocabulary, err = a.vocabulary(); err != nil {
		return nil, err
	}
	v.width = len(v.vocabulary)
	if a.class() == "TfidfVectorizer" {
		transformer, err := a.object("_tfidf", "TfidfTransformer")
		if err != nil {
			return nil, err
		}
		if v.weights, err = transformer.tfidf(v.width); err != nil {
			return nil, err
		}
	}
	return v.transformer(a)
}

// vocabulary reads vocabulary_: the columns 0 to n-1 of n terms.
func (a attrs) vocabulary() (map[string]int32, error) {
	v, err := a.get("vocabulary_")
	if err != nil {
		return nil, err
	}
	entries, ok := pickle.Entries(v)
	if !ok {
		return nil, a.errorf("vocabulary_", "want a dict")
	}
	if err := a.l.spend(64 * len(entries)); err != nil {
		return nil, a.errorf("vocabulary_", "%w", err)
	}
	out, seen := make(map[string]int32, len(entries)), make([]bool, len(entries))
	for _, e := range entries {
		key, err := pickle.Scalar(e.Key)
		term, isText := key.(string)
		column, err2 := pickle.Int(e.Value)
		if err != nil || !isText || err2 != nil || column < 0 || column >= len(entries) {
			return nil, a.errorf("vocabulary_", "want a column from 0 to %d for each term", len(entries)-1)
		}
		if _, twice := out[term]; twice || seen[column] {
			return nil, a.errorf("vocabulary_", "the term %.40q or its column %d is in it twice", term, column)
		}
		out[term], seen[column] = int32(column), true
	}
	return out, nil
}

// buildHashingVectorizer hashes terms into n_features columns.
func buildHashingVectorizer(a attrs) (*estimator, error) {
	v := &vectorizer{}
	var err error
	if v.analyzer, err = a.analyzer(); err != nil {
		return nil, err
	}
	if v.width, err = a.integer("n_features"); err != nil {
		return nil, err
	}
	if v.buckets = uint32(v.width); v.width < 1 || v.width > maxWidth {
		return nil, a.errorf("n_features", "it is %d: want 1 to %d", v.width, maxWidth)
	}
	if v.signed, err = a.flag("alternate_sign"); err != nil {
		return nil, err
	}
	if v.binary, err = a.flag("binary"); err != nil {
		return nil, err
	}
	if v.weights, err = a.normOnly(); err != nil {
		return nil, err
	}
	return v.transformer(a)
}

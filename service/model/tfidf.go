package model

import (
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// tfidf weighs the counts of terms: a term counts the less, the more texts had it in training.
type tfidf struct {
	sublinear bool
	idf       []float64 // nil: all are 1
	norm      string    // "", "l1" or "l2"
}

// apply weighs the numbers of one row that are not 0.
func (t *tfidf) apply(at []int32, values []float64) {
	sum := 0.0
	for i, v := range values {
		if t.sublinear {
			v = math.Log(v) + 1
		}
		if t.idf != nil {
			v *= t.idf[at[i]]
		}
		values[i] = v
		if t.norm == "l1" {
			sum += math.Abs(v)
		} else {
			sum += v * v
		}
	}
	if t.norm == "l2" {
		sum = math.Sqrt(sum)
	}
	if t.norm == "" || sum == 0 {
		return
	}
	for i := range values {
		values[i] /= sum
	}
}

// normOnly reads norm.
func (a attrs) normOnly() (*tfidf, error) {
	t := &tfidf{norm: a.text("norm")}
	if t.norm != "l1" && t.norm != "l2" && a.o.Attrs["norm"] != nil {
		return nil, a.errorf("norm", "want None, l1 or l2")
	}
	return t, nil
}

// tfidf reads the attributes of a TfidfTransformer for n terms; -1: any number.
func (a attrs) tfidf(n int) (*tfidf, error) {
	t, err := a.normOnly()
	if err != nil {
		return nil, err
	}
	if t.sublinear, err = a.flag("sublinear_tf"); err != nil {
		return nil, err
	}
	use, err := a.flag("use_idf")
	if err != nil || !use {
		return t, err
	}
	if t.idf, err = a.idf(); err != nil {
		return nil, err
	}
	if n >= 0 && len(t.idf) != n {
		return nil, a.errorf("idf_", "it has %d numbers for %d terms", len(t.idf), n)
	}
	return t, nil
}

// idf reads idf_, which was the diagonal of a sparse matrix before 1.4.
func (a attrs) idf() ([]float64, error) {
	o, ok := a.o.Attrs["_idf_diag"].(*pickle.Object)
	if !ok {
		return a.scoresOf("idf_")
	}
	diagonal := attrs{o, a.l}
	v, err := diagonal.scoresOf("data")
	if err != nil {
		return nil, a.errorf("_idf_diag", "%w", err)
	}
	at, err := diagonal.vector("indices", len(v))
	if err != nil {
		return nil, a.errorf("_idf_diag", "%w", err)
	}
	for i := range at {
		if at[i] != float64(i) {
			return nil, a.errorf("_idf_diag", "want a diagonal")
		}
	}
	return v, nil
}

func buildTfidfTransformer(a attrs) (*estimator, error) {
	t, err := a.tfidf(-1)
	if err != nil {
		return nil, err
	}
	n := len(t.idf)
	if n == 0 {
		if n = anyWidth; a.o.Attrs["n_features_in_"] != nil {
			if n, err = a.width(); err != nil {
				return nil, err
			}
		}
	} else if err := a.checkWidth(n); err != nil {
		return nil, err
	}
	e := &estimator{Signature: Signature{Kind: Transformer, In: n, Out: n, Vector: true}, sparse: t.rows}
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		return dense(t.rows, len(out)/rows)(x, rows, out, s)
	}
	return e.takesSparse(), nil
}

// rows weighs rows, which may be sparse ones.
func (t *tfidf) rows(x []float64, rows int, to *sparse, s *Scratch) error {
	if x != nil {
		to.addDense(x, rows)
	} else {
		to.ends, to.at = append(to.ends, s.in.ends...), append(to.at, s.in.at...)
		to.values = append(to.values, s.in.values...)
	}
	for r := range rows {
		t.apply(to.row(r))
	}
	return nil
}

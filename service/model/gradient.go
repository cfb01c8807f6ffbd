package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// gradientBoosting adds learning_rate times the trees to what init_ says: K sums a row.
type gradientBoosting struct {
	in, k   int
	start   rowsFunc  // K numbers a row; nil: all 0
	forests []*forest // one for each of the sums
}

func (g *gradientBoosting) raw(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	x32, err := cast(x, g.in, false, s)
	if err != nil {
		return err
	}
	if g.start == nil {
		clear(out)
	} else {
		rounded := s.floats(len(x))
		for i, v := range x32 {
			rounded[i] = float64(v)
		}
		if err := g.start(rounded, rows, out, s); err != nil {
			return err
		}
		if x32, err = cast(x, g.in, false, s); err != nil { // init_ may have used the same memory
			return err
		}
	}
	v := s.floats(rows)
	for k, f := range g.forests {
		f.sum(x32, rows, v)
		for r := range rows {
			out[r*g.k+k] += v[r]
		}
	}
	return nil
}

// readGradientBoosting reads estimators_ (iterations × K trees), learning_rate and init_.
func readGradientBoosting(a attrs, classes int) (*gradientBoosting, error) {
	v, err := a.get("estimators_")
	if err != nil {
		return nil, err
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil || len(arr.Shape) != 2 || arr.Len() == 0 {
		return nil, a.errorf("estimators_", "want an array of iterations × outputs")
	}
	items, err := a.values("estimators_", arr)
	if err != nil {
		return nil, err
	}
	g := &gradientBoosting{k: arr.Shape[1]}
	if want := max(1, classes); g.k != want && (classes != 2 || g.k != 1) {
		return nil, a.errorf("estimators_", "want %d trees in each iteration, not %d", want, g.k)
	}
	for k := range g.k {
		f, err := a.boostedTrees(items, k, g.k)
		if err != nil {
			return nil, fmt.Errorf("%s.estimators_: %w", a.class(), err)
		}
		if k > 0 && f.features != g.in {
			return nil, a.errorf("estimators_", "the trees have different numbers of columns")
		}
		g.in, g.forests = f.features, append(g.forests, f)
	}
	g.start, err = a.boostingStart(g, classes)
	return g, err
}

// boostedTrees packs the k-th tree of each iteration, with its leaves multiplied by the learning rate.
func (a attrs) boostedTrees(items []any, k, n int) (*forest, error) {
	rate, _, err := a.floats("learning_rate")
	if err != nil {
		return nil, err
	}
	var trees []*rawTree
	for i := k; i < len(items); i += n {
		o, ok := items[i].(*pickle.Object)
		if !ok {
			return nil, errors.New("it holds something that is no tree")
		}
		tree, err := attrs{o, a.l}.object("tree_", "Tree")
		if err != nil {
			return nil, err
		}
		t, err := readTree(tree)
		if err != nil {
			return nil, err
		}
		if t.outputs != 1 {
			return nil, errors.New("its trees have several outputs")
		}
		trees = append(trees, t)
	}
	f, err := packForest(trees, false)
	if err != nil {
		return nil, err
	}
	for i := range f.values {
		f.values[i] *= rate[0]
	}
	return f, nil
}

// boostingStart makes what init_ adds: for classes the link of its probabilities.
func (a attrs) boostingStart(g *gradientBoosting, classes int) (rowsFunc, error) {
	if v, err := a.get("init_"); err != nil || v == "zero" {
		return nil, err
	}
	e, err := a.inner("init_")
	if err != nil {
		return nil, err
	}
	if e.In != g.in && e.In != anyWidth {
		return nil, a.errorf("init_", "it takes %d columns, and the trees %d", e.In, g.in)
	}
	if classes == 0 {
		if e.Kind != Regressor || e.Out != 1 {
			return nil, a.errorf("init_", "want a regressor of one output")
		}
		return e.apply, nil
	}
	if e.Proba != classes {
		return nil, a.errorf("init_", "want a classifier with %d probabilities", classes)
	}
	eps := 1.1920929e-07 // of float32; since 1.8 of float64
	if a.version() >= 108 {
		eps = 2.220446049250313e-16
	}
	half, centred := a.text("loss") == "exponential", a.version() >= 104
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		p := s.floats(rows * classes)
		if err := e.proba(x, rows, p, s); err != nil {
			return err
		}
		for r := range rows {
			boostingLink(p[r*classes:(r+1)*classes], out[r*g.k:(r+1)*g.k], eps, half, centred)
		}
		return nil
	}, nil
}

// boostingLink turns probabilities into a raw prediction: log-odds of the second class, or logarithms, from 1.4 on
// minus their mean.
func boostingLink(p, out []float64, eps float64, half, centred bool) {
	if len(out) == 1 {
		q := min(1-eps, max(eps, p[1]))
		out[0] = math.Log(q / (1 - q))
		if half {
			out[0] /= 2
		}
		return
	}
	mean := 0.0
	for k, q := range p {
		out[k] = math.Log(min(1-eps, max(eps, q)))
		mean += out[k]
	}
	for k := range out {
		if centred {
			out[k] -= mean / float64(len(out))
		}
	}
}

func buildGradientBoostingRegressor(a attrs) (*estimator, error) {
	g, err := readGradientBoosting(a, 0)
	if err != nil {
		return nil, err
	}
	return a.regressor(g.in, 1, false, g.raw)
}

func buildGradientBoostingClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	g, err := readGradientBoosting(a, len(labels))
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(g.in, labels)
	if err != nil {
		return nil, err
	}
	factor := 1.0
	if a.text("loss") == "exponential" {
		factor = 2
	}
	e.withDecision(g.k, g.raw).picks(g.k, g.raw)
	return e.withProba(len(labels), rawProba(g.raw, g.k, len(labels), factor)), nil
}

// rawProba turns raw predictions into probabilities: the logistic function of factor times a single one, or softmax.
func rawProba(raw rowsFunc, k, classes int, factor float64) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * k)
		if err := raw(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			v[r*k] *= factor
			logisticProba(v[r*k:(r+1)*k], out[r*classes:(r+1)*classes], k > 1)
		}
		return nil
	}
}

package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// gradientBoosting adds learning_rate times the trees to what init_ says: K sums a row.
type gradientBoosting struct {
	in, k  int
	start  rowsFunc // K numbers a row; nil: all 0
	forest *forest
}

func (g *gradientBoosting) raw(x []float64, rows int, out []float64, s *Scratch) error {
	if g.start == nil {
		clear(out)
		return g.forest.add(x, rows, out, s)
	}
	if err := g.forest.check(x, 0, rows); err != nil { // before init_ complains in its own words
		return err
	}
	mark := s.mark()
	defer s.release(mark)
	rounded := s.floats(len(x))
	for i, v := range x {
		rounded[i] = float64(float32(v))
	}
	if err := g.start(rounded, rows, out, s); err != nil {
		return err
	}
	return g.forest.add(x, rows, out, s)
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
	if g.forest, err = a.boostedTrees(items, g.k); err != nil {
		return nil, fmt.Errorf("%s.estimators_: %w", a.class(), err)
	}
	g.in = g.forest.columns
	g.start, err = a.boostingStart(g, classes)
	return g, err
}

// boostedTrees packs the trees of k outputs, with their leaves multiplied by the learning rate.
func (a attrs) boostedTrees(items []any, k int) (*forest, error) {
	rate, _, err := a.floats("learning_rate")
	if err != nil {
		return nil, err
	}
	trees, total := make([]*rawTree, len(items)), 0
	for i, item := range items {
		if trees[i], err = a.boostedTree(item); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		if trees[i].features != trees[0].features {
			return nil, fmt.Errorf("tree %d: it has other columns than tree 0", i)
		}
		total += trees[i].nodes
	}
	p := a.l.newPacker(forestSpec{columns: trees[0].features, outputs: k, width: 1, round32: true}, total)
	err = eachTree(trees, func(at int, t *rawTree) error {
		return p.tree(t.nodes, at%k, func(i int, n *rawNode) error {
			err := t.node(i, n, false)
			if n.leaf {
				n.value[0] *= rate[0]
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return p.forest(), nil
}

func (a attrs) boostedTree(item any) (*rawTree, error) {
	o, ok := item.(*pickle.Object)
	if !ok {
		return nil, errors.New("it is no tree")
	}
	tree, err := attrs{o, a.l}.object("tree_", "Tree")
	if err != nil {
		return nil, err
	}
	t, err := readTree(tree)
	if err == nil && t.outputs != 1 {
		return nil, errors.New("it has several outputs")
	}
	return t, err
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

package model

import (
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// treeClassifier picks the class with the largest sum over the trees.
type treeClassifier struct {
	sig    Signature
	forest *forest
}

// Signature describes the rows.
func (c *treeClassifier) Signature() Signature { return c.sig }

// Apply picks the class of each row.
func (c *treeClassifier) Apply(x []float64, rows int, out []float64, s *Scratch) error {
	x32, err := cast(x, c.sig.In, s)
	if err != nil {
		return err
	}
	k := c.forest.outputs
	s.sums = grow(&s.sums, rows*k)
	c.forest.sum(x32, rows, s.sums)
	trees := float64(len(c.forest.roots))
	for r := range rows {
		sums := s.sums[r*k : (r+1)*k]
		for j := range sums {
			sums[j] /= trees // as scikit-learn does: it can make two sums equal
		}
		out[r] = float64(argmax(sums))
	}
	return nil
}

// treeRegressor gives the mean over the trees.
type treeRegressor struct {
	sig    Signature
	forest *forest
}

// Signature describes the rows.
func (g *treeRegressor) Signature() Signature { return g.sig }

// Apply computes the values of each row.
func (g *treeRegressor) Apply(x []float64, rows int, out []float64, s *Scratch) error {
	x32, err := cast(x, g.sig.In, s)
	if err != nil {
		return err
	}
	g.forest.sum(x32, rows, out)
	trees := float64(len(g.forest.roots))
	for i := range out {
		out[i] /= trees
	}
	return nil
}

func buildTreeClassifier(a attrs) (Estimator, error) {
	return newTreeClassifier(a, []attrs{a}, false)
}

func buildTreeRegressor(a attrs) (Estimator, error) {
	return newTreeRegressor(a, []attrs{a})
}

func buildForestClassifier(a attrs) (Estimator, error) {
	members, err := a.members("DecisionTreeClassifier")
	if err != nil {
		return nil, err
	}
	return newTreeClassifier(a, members, true)
}

func buildForestRegressor(a attrs) (Estimator, error) {
	members, err := a.members("DecisionTreeRegressor")
	if err != nil {
		return nil, err
	}
	return newTreeRegressor(a, members)
}

// members returns the trees of a forest, which must differ from one another.
func (a attrs) members(class string) ([]attrs, error) {
	items, err := a.sequence("estimators_")
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, a.errorf("estimators_", "there are no trees in it")
	}
	out, seen := make([]attrs, len(items)), map[*pickle.Object]bool{}
	for i, v := range items {
		o, ok := v.(*pickle.Object)
		if !ok || o.Class.Name != class {
			return nil, a.errorf("estimators_", "want a %s at place %d", class, i)
		}
		tree, err := attrs{o, a.l}.object("tree_", "Tree")
		if err != nil {
			return nil, err
		}
		if seen[o] || seen[tree.o] {
			return nil, a.errorf("estimators_", "tree %d is in it twice", i)
		}
		seen[o], seen[tree.o] = true, true
		out[i] = attrs{o, a.l}
	}
	return out, nil
}

func packMembers(members []attrs, normalise bool) (*forest, error) {
	trees := make([]*rawTree, len(members))
	for i, m := range members {
		t, err := m.object("tree_", "Tree")
		if err != nil {
			return nil, err
		}
		if trees[i], err = readTree(t); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	return packForest(trees, normalise)
}

func newTreeClassifier(a attrs, members []attrs, normalise bool) (Estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	f, err := packMembers(members, normalise)
	if err != nil {
		return nil, err
	}
	if f.outputs != len(labels) {
		return nil, a.errorf("classes_", "there are %d classes, but the leaves hold %d numbers", len(labels), f.outputs)
	}
	sig, err := a.signature(Classifier, f.features, 1)
	sig.Labels = labels
	return &treeClassifier{sig, f}, err
}

func newTreeRegressor(a attrs, members []attrs) (Estimator, error) {
	f, err := packMembers(members, false)
	if err != nil {
		return nil, err
	}
	sig, err := a.signature(Regressor, f.features, f.outputs)
	sig.Vector = f.outputs > 1
	return &treeRegressor{sig, f}, err
}

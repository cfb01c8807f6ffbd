package model

import (
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// treeImportances computes feature_importances_ of trees, forests and boosted trees, which is not in their file: how
// much the splits on each column lowered the impurity.
func (a attrs) treeImportances() ([]float64, error) {
	if a.o.Attrs["tree_"] != nil {
		return a.ownImportance(true)
	}
	if class := a.class(); class == "AdaBoostClassifier" || class == "AdaBoostRegressor" {
		return a.weightedImportances()
	}
	members, boosted, err := a.treeMembers()
	if err != nil {
		return nil, err
	}
	var sum []float64
	for i, m := range members {
		o, ok := m.(*pickle.Object)
		if !ok {
			return nil, a.errorf("estimators_", "want trees")
		}
		v, err := attrs{o, a.l}.ownImportance(!boosted)
		if err != nil {
			return nil, a.errorf("estimators_", "tree %d: %w", i, err)
		}
		if sum, err = addTo(sum, v, 1); err != nil {
			return nil, a.errorf("estimators_", "tree %d: %w", i, err)
		}
	}
	return shares(sum), nil
}

// treeMembers are the trees of a forest, or of boosting: an array of iterations × classes.
func (a attrs) treeMembers() (members []any, boosted bool, err error) {
	arr, err := pickle.ArrayOf(a.o.Attrs["estimators_"])
	if err == nil && len(arr.Shape) == 2 {
		members, err = a.values("estimators_", arr)
		return members, true, err
	}
	if members, err = a.sequence("estimators_"); err != nil {
		err = fmt.Errorf("%s has no coef_ and no trees to find important columns by", a.class())
	}
	return members, false, err
}

// weightedImportances adds up those of AdaBoost's members.
func (a attrs) weightedImportances() ([]float64, error) {
	members, err := a.sequence("estimators_")
	if err != nil {
		return nil, err
	}
	weights, err := a.scoresOf("estimator_weights_")
	if err != nil || len(weights) < len(members) {
		return nil, a.errorf("estimator_weights_", "want %d numbers", len(members))
	}
	var sum []float64
	for i, m := range members {
		o, ok := m.(*pickle.Object)
		if !ok {
			return nil, a.errorf("estimators_", "want trees")
		}
		v, err := attrs{o, a.l}.treeImportances()
		if err != nil {
			return nil, err
		}
		if sum, err = addTo(sum, v, weights[i]); err != nil {
			return nil, a.errorf("estimators_", "%w", err)
		}
	}
	for j := range sum {
		sum[j] /= total(weights)
	}
	return sum, nil
}

func addTo(sum, v []float64, weight float64) ([]float64, error) {
	if sum == nil {
		sum = make([]float64, len(v))
	}
	if len(v) != len(sum) {
		return nil, fmt.Errorf("it has %d columns: want %d", len(v), len(sum))
	}
	for j, f := range v {
		sum[j] += weight * f
	}
	return sum, nil
}

// ownImportance is that of one tree. Share makes it add up to 1.
func (a attrs) ownImportance(share bool) ([]float64, error) {
	t, err := a.object("tree_", "Tree")
	if err != nil {
		return nil, err
	}
	r, err := readTree(t)
	if err != nil {
		return nil, err
	}
	if !r.hasImpurity {
		return nil, fmt.Errorf("its nodes have no impurity")
	}
	out := make([]float64, r.features)
	worth := func(i int) float64 { return r.weight.Float(i) * r.impurity.Float(i) }
	for i := range r.nodes {
		left, right, column := int(r.left.Int(i)), int(r.right.Int(i)), int(r.feature.Int(i))
		if left == -1 {
			continue
		}
		if min(left, right, column) < 0 || max(left, right) >= r.nodes || column >= r.features {
			return nil, fmt.Errorf("node %d leads out of the tree", i)
		}
		out[column] += worth(i) - worth(left) - worth(right)
	}
	for j := range out {
		out[j] /= r.weight.Float(0)
	}
	if share {
		return shares(out), nil
	}
	return out, nil
}

// shares makes numbers add up to 1, if their sum is above 0.
func shares(v []float64) []float64 {
	if sum := total(v); sum > 0 {
		for j := range v {
			v[j] /= sum
		}
	}
	return v
}

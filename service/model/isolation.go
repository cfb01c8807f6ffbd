package model

import (
	"fmt"
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// buildIsolationForest scores a row by how deep it ends in random trees:
// https://scikit-learn.org/stable/modules/generated/sklearn.ensemble.IsolationForest.html
func buildIsolationForest(a attrs) (*estimator, error) {
	trees, width, err := a.isolationTrees()
	if err != nil {
		return nil, err
	}
	f, err := packForest(a.l, trees, false, a.version() >= 106)
	if err != nil {
		return nil, err
	}
	name := "_max_samples" // since 1.3; before, without the underscore in front
	if _, ok := a.o.Attrs[name]; !ok {
		name = "max_samples_"
	}
	samples, err := a.integer(name)
	if err != nil {
		return nil, err
	}
	offset, _, err := a.floats("offset_")
	if err != nil {
		return nil, err
	}
	scale := float64(len(trees)) * averagePath(float64(samples))
	e, err := a.outlierDetector(width, func(x []float64, rows int, out []float64, s *Scratch) error {
		clear(out)
		if err := f.add(x, rows, out, s); err != nil {
			return err
		}
		for r, depth := range out {
			score := 1.0
			if scale != 0 {
				score = math.Exp2(-depth / scale)
			}
			out[r] = -score - offset[0]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing = f.nan
	return e, nil
}

// averagePath is the mean depth of an unsuccessful search in a binary tree of n: leaves count as if they went on.
func averagePath(n float64) float64 {
	const euler = 0.57721566490153286060651209
	switch {
	case n <= 1:
		return 0
	case n <= 2:
		return 1
	}
	return 2*(math.Log(n-1)+euler) - 2*(n-1)/n
}

// isolationTrees reads the trees and the columns that each of them sees.
func (a attrs) isolationTrees() ([]*rawTree, int, error) {
	members, err := a.members("ExtraTreeRegressor")
	if err != nil {
		return nil, 0, err
	}
	width, err := a.width()
	if err != nil {
		return nil, 0, err
	}
	columns, err := a.columnSets("estimators_features_", len(members), width)
	if err != nil {
		return nil, 0, err
	}
	trees := make([]*rawTree, len(members))
	for i, m := range members {
		tree, err := m.object("tree_", "Tree")
		if err != nil {
			return nil, 0, err
		}
		if trees[i], err = readTree(tree); err != nil {
			return nil, 0, fmt.Errorf("tree %d: %w", i, err)
		}
		if err := trees[i].countDepths(width, columns[i]); err != nil {
			return nil, 0, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	return trees, width, nil
}

// columnSets reads, for each of n estimators, which of the columns it sees.
func (a attrs) columnSets(name string, n, width int) ([][]int, error) {
	items, err := a.sequence(name)
	if err != nil {
		return nil, err
	}
	if len(items) != n {
		return nil, a.errorf(name, "want %d lists of columns", n)
	}
	out := make([][]int, n)
	for i, item := range items {
		arr, err := pickle.ArrayOf(item)
		if err != nil {
			return nil, a.errorf(name, "%w", err)
		}
		if err := a.l.spend(24 * arr.Len()); err != nil {
			return nil, err
		}
		v, err := arr.Floats()
		if err != nil || len(v) == 0 {
			return nil, a.errorf(name, "list %d holds no columns", i)
		}
		for _, f := range v {
			c := int(f)
			if c < 0 || c >= width {
				return nil, a.errorf(name, "column %d: want 0 to %d", c, width-1)
			}
			out[i] = append(out[i], c)
		}
	}
	return out, nil
}

package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

func treeEntries() []entry {
	const classes, forest = "sklearn.tree._classes sklearn.tree.tree", "sklearn.ensemble._forest sklearn.ensemble.forest"
	var out []entry
	for _, list := range [][]entry{
		in(classes, buildTreeClassifier, "DecisionTreeClassifier", "ExtraTreeClassifier"),
		in(classes, buildTreeRegressor, "DecisionTreeRegressor", "ExtraTreeRegressor"),
		in(forest, buildForestClassifier, "RandomForestClassifier", "ExtraTreesClassifier"),
		in(forest, buildForestRegressor, "RandomForestRegressor", "ExtraTreesRegressor"),
		in("sklearn.tree._tree", nil, "Tree"),
	} {
		out = append(out, list...)
	}
	return out
}

// mean computes the mean over the trees: rows*outputs numbers.
func (f *forest) mean(x []float64, rows int, out []float64, s *Scratch) error {
	clear(out)
	if err := f.add(x, rows, out, s); err != nil {
		return err
	}
	trees := float64(len(f.trees))
	for i := range out {
		out[i] /= trees // as scikit-learn does: it can make two sums equal
	}
	return nil
}

func buildTreeClassifier(a attrs) (*estimator, error) {
	return newTreeClassifier(a, []attrs{a}, false)
}

func buildTreeRegressor(a attrs) (*estimator, error) {
	return newTreeRegressor(a, []attrs{a}, false)
}

func buildForestClassifier(a attrs) (*estimator, error) {
	members, err := a.members("DecisionTreeClassifier", "ExtraTreeClassifier")
	if err != nil {
		return nil, err
	}
	return newTreeClassifier(a, members, true)
}

func buildForestRegressor(a attrs) (*estimator, error) {
	members, err := a.members("DecisionTreeRegressor", "ExtraTreeRegressor")
	if err != nil {
		return nil, err
	}
	return newTreeRegressor(a, members, true)
}

// members returns the trees of a forest, which must differ from one another.
func (a attrs) members(classes ...string) ([]attrs, error) {
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
		if !ok || !slices.Contains(classes, o.Class.Name) {
			return nil, a.errorf("estimators_", "want one of %q at place %d", classes, i)
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

func packMembers(members []attrs, normalise, missing bool) (*forest, int, error) {
	trees := make([]*rawTree, len(members))
	for i, m := range members {
		t, err := m.object("tree_", "Tree")
		if err != nil {
			return nil, 0, err
		}
		if trees[i], err = readTree(t); err != nil {
			return nil, 0, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	f, err := packForest(members[0].l, trees, normalise, missing)
	return f, trees[0].groups, err
}

func newTreeClassifier(a attrs, members []attrs, isForest bool) (*estimator, error) {
	outputs, err := a.outputLabels()
	if err != nil {
		return nil, err
	}
	f, groups, err := packMembers(members, true, a.treesTakeMissing(members[0], isForest))
	if err != nil {
		return nil, err
	}
	widest, total := 0, 0
	for _, labels := range outputs {
		widest, total = max(widest, len(labels)), total+len(labels)
	}
	if groups != len(outputs) || f.outputs != groups*widest {
		return nil, a.errorf("classes_", "there are %d classes, but the leaves hold %d numbers", widest, f.outputs/groups)
	}
	e, err := a.classifier(f.columns, outputs[0])
	if err != nil {
		return nil, err
	}
	e.Missing = f.nan
	if len(outputs) == 1 {
		return e.withProba(widest, f.mean).picks(widest, f.mean), nil
	}
	return e.severalOutputs(outputs, f.padded(outputs, total)), nil
}

// padded computes the probabilities of several outputs. In the leaves all outputs have as many as the largest.
func (f *forest) padded(outputs [][]any, total int) rowsFunc {
	size := f.outputs / len(outputs)
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * f.outputs)
		if err := f.mean(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			to := out[r*total : (r+1)*total]
			for g, labels := range outputs {
				to = to[copy(to, v[r*f.outputs+g*size:][:len(labels)]):]
			}
		}
		return nil
	}
}

func newTreeRegressor(a attrs, members []attrs, isForest bool) (*estimator, error) {
	f, groups, err := packMembers(members, false, a.treesTakeMissing(members[0], isForest))
	if err != nil {
		return nil, err
	}
	if f.outputs != groups {
		return nil, a.errorf("estimators_", "the leaves of a regressor hold several numbers for an output")
	}
	e, err := a.regressor(f.columns, f.outputs, f.outputs > 1, f.mean)
	if err != nil {
		return nil, err
	}
	e.Missing = f.nan
	return e, nil
}

// treesTakeMissing reports whether this version of scikit-learn lets NaN through to trees like this one.
func (a attrs) treesTakeMissing(tree attrs, isForest bool) bool {
	since, random := 103, strings.HasPrefix(tree.class(), "Extra") || tree.text("splitter") == "random"
	if isForest {
		since = 104
	}
	if random {
		since = 106
	}
	v, ok := tree.o.Attrs["monotonic_cst"]
	if a.version() < since || ok && v != nil {
		return false
	}
	switch tree.text("criterion") {
	case "gini", "entropy", "log_loss", "squared_error", "friedman_mse", "poisson":
		return true
	}
	return false
}

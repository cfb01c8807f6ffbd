package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// rawTree is a tree as scikit-learn writes it, with access to its nodes by field name.
type rawTree struct {
	nodes                           int
	features                        int
	outputs                         int // numbers that a leaf holds
	groups                          int // outputs of a classifier or regressor
	left, right, feature, threshold pickle.Column
	missing                         pickle.Column // where NaN goes left; since 1.3
	hasMissing                      bool
	samples                         pickle.Column
	hasSamples                      bool
	impurity, weight                pickle.Column
	hasImpurity                     bool
	columnMap                       []int         // of an isolation tree: the column that each of its features is
	byDepth                         bool          // of an isolation tree: a leaf's number is its depth
	values                          pickle.Column // nodes × outputs
	at                              *nodeColumns  // the nodes after unpack
}

// nodeFields are the fields of a node that are understood. A further field could change what a node means, so
// it is refused.
var nodeFields = map[string]bool{
	"left_child": true, "right_child": true, "feature": true, "threshold": true, "impurity": true,
	"n_node_samples": true, "weighted_n_node_samples": true, "missing_go_to_left": true,
}

// readTree reads sklearn.tree._tree.Tree: its constructor's (n_features, n_classes, n_outputs) and its state
// {max_depth, node_count, nodes, values}. All but the links between the nodes is checked here.
func readTree(t attrs) (*rawTree, error) {
	if len(t.o.Args) != 3 {
		return nil, errors.New("tree: want its constructor's 3 arguments")
	}
	features, err := pickle.Int(t.o.Args[0])
	if err != nil || features < 1 || features > maxWidth {
		return nil, errors.New("tree: its number of columns is missing or out of range")
	}
	v, err := t.get("nodes")
	if err != nil {
		return nil, err
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		return nil, t.errorf("nodes", "%w", err)
	}
	records, err := arr.Records()
	if err != nil {
		return nil, t.errorf("nodes", "%w", err)
	}
	if err := t.l.spend(32 * records.Len); err != nil {
		return nil, t.errorf("nodes", "%w", err)
	}
	r := &rawTree{nodes: records.Len, features: features}
	if err := r.columns(records); err != nil {
		return nil, t.errorf("nodes", "%w", err)
	}
	return r, r.readValues(t)
}

func (r *rawTree) columns(records pickle.Records) error {
	for _, f := range records.Fields {
		if !nodeFields[f.Name] {
			return fmt.Errorf("the nodes have a field %.40q, which this server doesn't understand: "+
				"the file is of a newer scikit-learn than it knows", f.Name)
		}
	}
	if c, err := records.Column("n_node_samples"); err == nil {
		r.samples, r.hasSamples = c, true
	}
	if c, err := records.Column("missing_go_to_left"); err == nil {
		r.missing, r.hasMissing = c, true
	}
	if c, err := records.Column("impurity"); err == nil {
		if r.weight, err = records.Column("weighted_n_node_samples"); err == nil {
			r.impurity, r.hasImpurity = c, true
		}
	}
	for name, c := range map[string]*pickle.Column{
		"left_child": &r.left, "right_child": &r.right, "feature": &r.feature, "threshold": &r.threshold,
	} {
		var err error
		if *c, err = records.Column(name); err != nil {
			return err
		}
	}
	return nil
}

func (r *rawTree) readValues(t attrs) error {
	count, err := t.integer("node_count")
	if err != nil {
		return err
	}
	v, err := t.get("values")
	if err != nil {
		return err
	}
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		return t.errorf("values", "%w", err)
	}
	if r.values, err = arr.Numbers(); err != nil {
		return t.errorf("values", "%w", err)
	}
	shape := arr.Shape
	if r.nodes < 1 || count != r.nodes || len(shape) != 3 || shape[0] != r.nodes || shape[1] < 1 || shape[2] < 1 {
		return fmt.Errorf("tree: %d nodes, a node_count of %d and values of shape %v don't fit", r.nodes, count, shape)
	}
	r.outputs, r.groups = shape[1]*shape[2], shape[1]
	return nil
}

// packForest packs trees. Normalise makes the numbers of each leaf add up to 1; missing lets NaN through.
func packForest(l *loader, trees []*rawTree, normalise, missing bool) (*forest, error) {
	first, total := trees[0], 0
	for i, t := range trees {
		if t.features != first.features || t.outputs != first.outputs || t.groups != first.groups {
			return nil, fmt.Errorf("tree %d: it has other columns or classes than tree 0", i)
		}
		missing = missing && t.hasMissing
		total += t.nodes
	}
	p := l.newPacker(forestSpec{
		columns: first.features, outputs: first.outputs, width: first.outputs, round32: true, nan: missing,
	}, total)
	err := eachTree(trees, func(_ int, t *rawTree) error {
		return p.tree(t.nodes, 0, func(i int, n *rawNode) error { return t.node(i, n, normalise) })
	})
	if err != nil {
		return nil, err
	}
	return p.forest(), nil
}

// split returns the children of node i, or leaf.
func (r *rawTree) split(i int) (left, right int, leaf bool, err error) {
	l, rt := r.at.left[i], r.at.right[i]
	if l == -1 && rt == -1 {
		return 0, 0, true, nil
	}
	n := int32(min(r.nodes, math.MaxInt32))
	if l < 0 || l >= n || rt < 0 || rt >= n {
		return 0, 0, false, fmt.Errorf("tree: node %d has the children %d and %d: want 0 to %d", i, l, rt, n-1)
	}
	features := r.features
	if r.columnMap != nil {
		features = len(r.columnMap)
	}
	if f := int(r.at.feature[i]); f < 0 || f >= features {
		return 0, 0, false, fmt.Errorf("tree: node %d splits on column %d: want 0 to %d", i, f, features-1)
	}
	return int(l), int(rt), false, nil
}

// column is the column that node i splits on.
func (r *rawTree) column(i int) int {
	f := int(r.at.feature[i])
	if r.columnMap != nil {
		return r.columnMap[f]
	}
	return f
}

// node describes node i to a packer.
func (r *rawTree) node(i int, n *rawNode, normalise bool) (err error) {
	if n.left, n.right, n.leaf, err = r.split(i); err != nil {
		return err
	}
	if n.leaf {
		n.value = r.leafValue(i, n.depth, n.value, normalise)
		return nil
	}
	n.column, n.threshold = r.column(i), r.at.threshold[i]
	if r.hasMissing && r.at.missing[i] != 0 {
		n.missing = nanLeft
	}
	return nil
}

func (r *rawTree) leafValue(i, depth int, out []float64, normalise bool) []float64 {
	if r.byDepth {
		return append(out, float64(depth)+averagePath(r.samples.Float(i)))
	}
	out = append(out, r.at.values[i*r.outputs:(i+1)*r.outputs]...)
	if normalise {
		for size, from := r.outputs/r.groups, 0; from < len(out); from += size {
			fractions(out[from : from+size])
		}
	}
	return out
}

// fractions makes numbers add up to 1. Since 1.3 the file holds fractions; dividing them again would only add rounding.
func fractions(values []float64) {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	if sum == 0 || math.Abs(sum-1) < 1e-9 {
		return
	}
	for k := range values {
		values[k] /= sum
	}
}

// countDepths makes it an isolation tree over width columns: its features are the given ones of them.
func (r *rawTree) countDepths(width int, columns []int) error {
	if len(columns) != r.features || !r.hasSamples {
		return fmt.Errorf("it splits on %d columns, but sees %d", r.features, len(columns))
	}
	r.columnMap, r.byDepth, r.outputs, r.groups = columns, true, 1, 1
	r.features = width
	return nil
}

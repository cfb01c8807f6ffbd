package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/weirhq/weir/service/document"
)

// readBooster reads the trees or the linear function. Rounds: how many iterations count, 0 for all.
func (m *xgbModel) readBooster(a attrs, learner, config document.Object, rounds int) error {
	outer, err := learner.Inner("gradient_booster")
	if err != nil {
		return err
	}
	booster, name := outer, outer.Text("name")
	switch name {
	case "gbtree", "gblinear":
	case "dart": // before 3.4
		if booster, err = outer.Inner("gbtree"); err != nil {
			return err
		}
	default:
		return fmt.Errorf("the booster %.60q is not supported: want gbtree, dart or gblinear", name)
	}
	model, err := booster.Inner("model")
	if err != nil {
		return err
	}
	if name == "gblinear" {
		return m.readLinear(a, model)
	}
	if m.recoder, err = a.xgbRecoder(model, m.in); err != nil {
		return err
	}
	rates, err := outer.Numbers("weight_drop", -1)
	if err != nil {
		rates, _ = model.Numbers("weight_drop", -1) // since 3.4
	}
	return m.readTrees(a, model, config, rates, rounds)
}

func (m *xgbModel) readLinear(a attrs, model document.Object) error {
	w, err := model.Numbers("weights", (m.in+1)*m.margins)
	if err != nil {
		return err
	}
	if err := a.l.spend(4 * w.Len()); err != nil {
		return err
	}
	m.weights = make([]float32, w.Len())
	for i := range m.weights {
		m.weights[i] = float32(w.Float(i))
	}
	for k := range m.base {
		m.base[k] = m.base[0] // XGBoost takes the first for all
	}
	return nil
}

func (m *xgbModel) readTrees(a attrs, model, config document.Object, rates document.Numbers, rounds int) error {
	trees, _ := model.Get("trees").([]any)
	groups, err := model.Numbers("tree_info", len(trees))
	if err != nil {
		return err
	}
	if rates.Len() > 0 && rates.Len() != len(trees) {
		return fmt.Errorf("weight_drop: want %d numbers, not %d", len(trees), rates.Len())
	}
	readers := make([]*xgbTree, len(trees))
	for i, v := range trees {
		o, _ := v.(document.Object)
		if readers[i], err = newXGBTree(o); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		readers[i].rate = 1
		if rates.Len() > 0 {
			readers[i].rate = float32(rates.Float(i))
		}
		if readers[i].width != readers[0].width {
			return fmt.Errorf("tree %d: it has %d numbers in a leaf, and tree 0 has %d", i, readers[i].width, readers[0].width)
		}
	}
	if rounds > 0 {
		n, err := xgbTreesOf(model, config, rounds, m.margins, len(trees))
		if err != nil {
			return err
		}
		readers = readers[:n]
	}
	return m.pack(a, readers, groups)
}

// xgbTreesOf is how many trees there are in the first rounds.
func xgbTreesOf(model, config document.Object, rounds, margins, trees int) (int, error) {
	if ends, err := model.Numbers("iteration_indptr", -1); err == nil && ends.Len() > 0 {
		n := ends.Int(min(rounds, ends.Len()-1))
		if n < 0 || n > trees {
			return 0, fmt.Errorf("iteration_indptr: %d is no number of trees", n)
		}
		return n, nil
	}
	parallel := 1
	params, err := model.Inner("gbtree_model_param")
	if err != nil || params.Text("num_parallel_tree") == "" { // before 1.6
		params, _ = config.Inner("learner", "gradient_booster", "gbtree_train_param")
		if inner, err := config.Inner("learner", "gradient_booster", "gbtree", "gbtree_train_param"); err == nil {
			params = inner // of dart
		}
	}
	if params.Text("num_parallel_tree") != "" {
		if parallel, err = xgbCount(params, "num_parallel_tree"); err != nil {
			return 0, err
		}
	}
	return min(trees, rounds*max(parallel, 1)*margins), nil
}

func (m *xgbModel) pack(a attrs, trees []*xgbTree, groups document.Numbers) error {
	width := 1
	if len(trees) > 0 {
		width = trees[0].width
	}
	if width != 1 && width != m.margins {
		return fmt.Errorf("its leaves hold %d numbers: want 1 or %d", width, m.margins)
	}
	nodes := 0
	for _, t := range trees {
		nodes += t.nodes
	}
	if err := a.l.spend(40 * nodes); err != nil {
		return err
	}
	p := a.l.newPacker(forestSpec{
		columns: m.in, outputs: m.margins, width: width, round32: true, sums32: true, nan: true,
	}, nodes)
	for i, t := range trees {
		to := groups.Int(i)
		if width > 1 {
			to = 0
		}
		if to < 0 || to >= m.margins {
			return fmt.Errorf("tree %d: it is for output %d: want 0 to %d", i, to, m.margins-1)
		}
		if err := p.tree(t.nodes, to, t.node); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	m.trees = p.forest()
	return nil
}

// xgbTree reads the nodes of a tree.
type xgbTree struct {
	nodes       int
	width       int // numbers in a leaf
	rate        float32
	left, right document.Numbers
	column      document.Numbers
	condition   document.Numbers // the threshold, or the number of a leaf
	defaultLeft document.Numbers
	vectors     document.Numbers // of leaves with several numbers
	ownList     bool             // vectors holds those of leaves only
	sets        map[int]*categorySet
}

func newXGBTree(o document.Object) (*xgbTree, error) {
	t := &xgbTree{width: 1}
	var err error
	if t.left, err = o.Numbers("left_children", -1); err != nil {
		return nil, err
	}
	if t.nodes = t.left.Len(); t.nodes < 1 || t.nodes > math.MaxInt32 {
		return nil, errors.New("it has no nodes")
	}
	for name, to := range map[string]*document.Numbers{
		"right_children": &t.right, "split_indices": &t.column, "split_conditions": &t.condition,
		"default_left": &t.defaultLeft,
	} {
		if *to, err = o.Numbers(name, t.nodes); err != nil {
			return nil, err
		}
	}
	if params, err := o.Inner("tree_param"); err == nil && params.Text("size_leaf_vector") != "" {
		n, err := xgbCount(params, "size_leaf_vector")
		if err != nil {
			return nil, err
		}
		t.width = max(n, 1)
	}
	if t.width > 1 {
		if err := t.readVectors(o); err != nil {
			return nil, err
		}
	}
	return t, t.readSets(o)
}

// readVectors finds the numbers of the leaves: since 3.2 in a list of their own, before that among those of all nodes.
func (t *xgbTree) readVectors(o document.Object) (err error) {
	if t.vectors, err = o.Numbers("leaf_weights", -1); err == nil {
		t.ownList = true
		return nil
	}
	t.vectors, err = o.Numbers("base_weights", t.nodes*t.width)
	return err
}

// readSets reads the categories of nodes that split on them; those in a set go right.
func (t *xgbTree) readSets(o document.Object) error {
	nodes, ok := o.Get("categories_nodes").(document.Numbers)
	if !ok || nodes.Len() == 0 {
		return nil
	}
	starts, err := o.Numbers("categories_segments", nodes.Len())
	if err != nil {
		return err
	}
	sizes, err := o.Numbers("categories_sizes", nodes.Len())
	if err != nil {
		return err
	}
	all, err := o.Numbers("categories", -1)
	if err != nil {
		return err
	}
	t.sets = make(map[int]*categorySet, nodes.Len())
	for i := range nodes.Len() {
		start, size := starts.Int(i), sizes.Int(i)
		if start < 0 || size < 1 || size > all.Len() || start > all.Len()-size {
			return fmt.Errorf("the categories of node %d are outside of the %d that there are", nodes.Int(i), all.Len())
		}
		set, err := xgbSet(all, start, start+size)
		if err != nil {
			return err
		}
		if node := nodes.Int(i); node >= 0 && node < t.nodes {
			set.nan, t.sets[node] = t.defaultLeft.Float(node) != 0, set
		}
	}
	return nil
}

// maxCategory is the largest category that XGBoost accepts.
const maxCategory = 1 << 24

// xgbSet is the set of the categories that go left: all but the given ones.
func xgbSet(all document.Numbers, from, to int) (*categorySet, error) {
	top := 0
	for i := from; i < to; i++ {
		c := all.Int(i)
		if c < 0 || c >= maxCategory || c > 64*all.Len()+(1<<16) {
			return nil, fmt.Errorf("there is a category %d", c)
		}
		top = max(top, c)
	}
	bits := make([]uint64, top/64+1)
	for i := range bits {
		bits[i] = math.MaxUint64
	}
	for i := from; i < to; i++ {
		bits[all.Int(i)/64] &^= 1 << (all.Int(i) % 64)
	}
	return &categorySet{bits: bits, outside: true}, nil
}

// node describes node i to the packer.
func (t *xgbTree) node(i int, n *rawNode) error {
	n.left, n.right = t.left.Int(i), t.right.Int(i)
	if n.left == -1 {
		n.leaf = true
		return t.leaf(i, n)
	}
	n.column = t.column.Int(i)
	if n.set = t.sets[i]; n.set != nil {
		return nil
	}
	if t.defaultLeft.Float(i) != 0 {
		n.missing = nanLeft
	}
	n.threshold = float64(math.Nextafter32(float32(t.condition.Float(i)), float32(math.Inf(-1)))) // x < t goes left
	return nil
}

func (t *xgbTree) leaf(i int, n *rawNode) error {
	if t.width == 1 {
		n.value = append(n.value, float64(float32(t.condition.Float(i))*t.rate))
		return nil
	}
	at := i
	if t.ownList {
		at = n.right // the place in it
	}
	if at < 0 || at >= t.vectors.Len()/t.width {
		return fmt.Errorf("the numbers of leaf %d are outside of those that there are", i)
	}
	for k := range t.width {
		n.value = append(n.value, float64(float32(t.vectors.Float(at*t.width+k))*t.rate))
	}
	return nil
}

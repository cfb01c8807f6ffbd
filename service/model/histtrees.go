package model

import (
	"fmt"
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// readCategories reads the categories seen in training: the bin thresholds of category columns.
func (h *histBoosting) readCategories(a attrs) error {
	mapper, err := a.object("_bin_mapper", "_BinMapper")
	if err != nil {
		return err
	}
	if v, ok := mapper.o.Attrs["is_categorical_"]; !ok || v == nil {
		return nil // before categories
	}
	is, err := mapper.vector("is_categorical_", h.in)
	if err != nil {
		return err
	}
	thresholds, err := mapper.sequence("bin_thresholds_")
	if err != nil || len(thresholds) != h.in {
		return mapper.errorf("bin_thresholds_", "want a list of %d", h.in)
	}
	for f, yes := range is {
		if yes == 0 {
			continue
		}
		arr, err := pickle.ArrayOf(thresholds[f])
		if err != nil || arr.Len() > 256 {
			return mapper.errorf("bin_thresholds_", "column %d has no list of categories", f)
		}
		values, err := arr.Floats()
		if err != nil {
			return mapper.errorf("bin_thresholds_", "%w", err)
		}
		var set [4]uint64
		for _, v := range values {
			if v >= 0 && v < 256 {
				set[uint(v)/64] |= 1 << (uint(v) % 64)
			}
		}
		h.known[f] = set
	}
	return nil
}

// readTree adds a TreePredictor to the sums of output k.
func (h *histBoosting) readTree(a attrs, v any, p *packer, k int) error {
	o, ok := v.(*pickle.Object)
	if !ok || o.Class.Name != "TreePredictor" {
		return fmt.Errorf("want a TreePredictor")
	}
	tree := attrs{o, a.l}
	value, err := tree.get("nodes")
	if err != nil {
		return err
	}
	arr, err := pickle.ArrayOf(value)
	if err != nil {
		return err
	}
	records, err := arr.Records()
	if err != nil {
		return err
	}
	if err := a.l.spend(64 * records.Len); err != nil {
		return err
	}
	bitsets, err := readBitsets(tree)
	if err != nil {
		return err
	}
	c, err := newHistColumns(records)
	if err != nil {
		return err
	}
	return p.tree(records.Len, k, func(i int, n *rawNode) error { return h.node(&c, bitsets, i, n) })
}

// readBitsets reads the categories that go left, 256 bits for each split on them.
func readBitsets(tree attrs) ([][4]uint64, error) {
	if _, ok := tree.o.Attrs["raw_left_cat_bitsets"]; !ok {
		return nil, nil
	}
	v, shape, err := tree.floats("raw_left_cat_bitsets")
	if err != nil || len(v) == 0 {
		return nil, err
	}
	if len(shape) != 2 || shape[1] != 8 {
		return nil, tree.errorf("raw_left_cat_bitsets", "it has the shape %v", shape)
	}
	bitsets := make([][4]uint64, shape[0])
	for i, f := range v {
		if f < 0 || f > math.MaxUint32 {
			return nil, tree.errorf("raw_left_cat_bitsets", "it holds no sets of bits")
		}
		bitsets[i/8][i%8/2] |= uint64(f) << (32 * (i % 2))
	}
	return bitsets, nil
}

// node describes node i to a packer.
func (h *histBoosting) node(c *histColumns, bitsets [][4]uint64, i int, n *rawNode) error {
	if n.leaf = c.leaf.Int(i) != 0; n.leaf {
		n.value = append(n.value, c.value.Float(i))
		return nil
	}
	n.left, n.right, n.column = int(c.left.Int(i)), int(c.right.Int(i)), int(c.feature.Int(i))
	missingLeft := c.missing.Int(i) != 0
	if c.categorical == nil || c.categorical.Int(i) == 0 {
		n.threshold = c.threshold.Float(i)
		if missingLeft {
			n.missing = nanLeft
		}
		return nil
	}
	set := c.bitset.Int(i)
	known, ok := h.known[n.column]
	if set < 0 || set >= int64(len(bitsets)) || !ok {
		return fmt.Errorf("node %d splits on categories that there are not", i)
	}
	bits := bitsets[set]
	if missingLeft { // unknown categories count as missing
		for w := range bits {
			bits[w] |= ^known[w]
		}
	}
	n.set = &categorySet{bits: bits[:], outside: missingLeft, nan: missingLeft}
	return nil
}

// histColumns are the fields of the nodes. Threshold was called so before 0.24.
type histColumns struct {
	value, feature, threshold, missing, left, right, leaf pickle.Column
	categorical, bitset                                   *pickle.Column
}

func newHistColumns(r pickle.Records) (c histColumns, err error) {
	for name, to := range map[string]*pickle.Column{
		"value": &c.value, "feature_idx": &c.feature, "missing_go_to_left": &c.missing, "left": &c.left, "right": &c.right,
		"is_leaf": &c.leaf,
	} {
		if *to, err = r.Column(name); err != nil {
			return c, err
		}
	}
	if c.threshold, err = r.Column("num_threshold"); err != nil {
		if c.threshold, err = r.Column("threshold"); err != nil {
			return c, err
		}
	}
	categorical, err := r.Column("is_categorical")
	if err != nil {
		return c, nil // before categories
	}
	bitset, err := r.Column("bitset_idx")
	c.categorical, c.bitset = &categorical, &bitset
	return c, err
}

package model

import (
	"fmt"
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// readCategories reads the categories seen in training: the bin thresholds of category columns.
func (h *histBoosting) readCategories(a attrs) error {
	h.categories = make([]bool, h.in)
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
		var set [8]uint32
		for _, v := range values {
			if v >= 0 && v < 256 {
				set[uint(v)/32] |= 1 << (uint(v) % 32)
			}
		}
		h.known[int32(f)], h.categories[f] = set, true
	}
	return nil
}

func (h *histBoosting) readTree(a attrs, v any) (histTree, error) {
	var t histTree
	o, ok := v.(*pickle.Object)
	if !ok || o.Class.Name != "TreePredictor" {
		return t, fmt.Errorf("want a TreePredictor")
	}
	p := attrs{o, a.l}
	value, err := p.get("nodes")
	if err != nil {
		return t, err
	}
	arr, err := pickle.ArrayOf(value)
	if err != nil {
		return t, err
	}
	records, err := arr.Records()
	if err != nil {
		return t, err
	}
	if err := a.l.spend(64 * records.Len); err != nil {
		return t, err
	}
	if err := t.readBitsets(p); err != nil {
		return t, err
	}
	t.nodes = make([]histNode, records.Len)
	return t, t.readNodes(h, records)
}

func (t *histTree) readBitsets(p attrs) error {
	if _, ok := p.o.Attrs["raw_left_cat_bitsets"]; !ok {
		return nil
	}
	v, shape, err := p.floats("raw_left_cat_bitsets")
	if err != nil {
		return err
	}
	if len(v) == 0 {
		return nil
	}
	if len(shape) != 2 || shape[1] != 8 {
		return p.errorf("raw_left_cat_bitsets", "it has the shape %v", shape)
	}
	t.bitsets = make([][8]uint32, shape[0])
	for i, f := range v {
		if f < 0 || f > math.MaxUint32 {
			return p.errorf("raw_left_cat_bitsets", "it holds no sets of bits")
		}
		t.bitsets[i/8][i%8] = uint32(f)
	}
	return nil
}

func (t *histTree) readNodes(h *histBoosting, records pickle.Records) error {
	c, err := newHistColumns(records)
	if err != nil {
		return err
	}
	if records.Len == 0 {
		return fmt.Errorf("it has no nodes")
	}
	for i := range t.nodes {
		n := &t.nodes[i]
		if c.leaf.Int(i) != 0 {
			n.threshold = c.value.Float(i)
			continue
		}
		left, right, feature := c.left.Int(i), c.right.Int(i), c.feature.Int(i)
		if left <= int64(i) || right <= int64(i) || left >= int64(records.Len) || right >= int64(records.Len) {
			return fmt.Errorf("node %d has the children %d and %d: want them after it, up to %d", i, left, right, records.Len-1)
		}
		if feature < 0 || feature >= int64(h.in) {
			return fmt.Errorf("node %d splits on column %d: want 0 to %d", i, feature, h.in-1)
		}
		*n = histNode{
			threshold: c.threshold.Float(i), feature: int32(feature), left: int32(left), right: int32(right), bitset: -1,
			missingLeft: c.missing.Int(i) != 0,
		}
		if c.categorical != nil && c.categorical.Int(i) != 0 {
			set := c.bitset.Int(i)
			if set < 0 || set >= int64(len(t.bitsets)) || !h.categories[feature] {
				return fmt.Errorf("node %d splits on categories that there are not", i)
			}
			n.bitset = int32(set)
		}
	}
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

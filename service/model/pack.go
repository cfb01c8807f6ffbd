package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// rawNode is a node of a tree as a file has it.
type rawNode struct {
	depth       int  // set by the packer: of the root 0
	leaf        bool // then only value counts
	value       []float64
	left, right int // places in the tree
	column      int
	threshold   float64 // x <= threshold goes left
	missing     missingRule
	set         *categorySet // in place of a threshold
}

// missingRule says what a node does with NaN.
type missingRule uint8

// The rules for NaN. In LightGBM, zero can count as missing too.
const (
	nanRight missingRule = iota
	nanLeft
	nanZero   // it counts as 0
	zeroLeft  // it and zero go left
	zeroRight // it and zero go right
	missingKinds
)

// categorySet are the categories that go left, as bits.
type categorySet struct {
	bits     []uint64
	outside  bool // numbers that have no bit go left
	nan      bool // NaN goes left
	truncate bool // numbers between -1 and 0 are category 0
}

func (s *categorySet) has(v float64) bool {
	if v != v {
		return s.nan
	}
	if s.truncate && v > -1 {
		v = max(v, 0)
	}
	if v < 0 || v >= float64(64*len(s.bits)) {
		return s.outside
	}
	return s.bits[uint(v)/64]>>(uint(v)%64)&1 != 0
}

// packer builds a forest tree by tree.
type packer struct {
	loader *loader
	f      forest
	nodes  packed[float64, uint64]
	small  packed[float32, uint32] // in place of nodes, as long as all fit
	index  [missingKinds][]int32   // of a rule and a column: where a prepared row has it, plus 1
	seen   []bool                  // of one tree, by place
	order  []int                   // the places of one tree's nodes as they are packed
}

// newPacker starts a forest; nodes is about how many nodes it will have.
func (l *loader) newPacker(spec forestSpec, nodes int) *packer {
	p := &packer{loader: l, f: forest{forestSpec: spec, values: make([]float64, 0, (nodes/2+nodes/64+64)*spec.width)}}
	if spec.round32 {
		p.small = make(packed[float32, uint32], 0, nodes)
	} else {
		p.nodes = make(packed[float64, uint64], 0, nodes)
	}
	return p
}

// tree adds a tree of n nodes; 0 is its root. Its leaves add to the output numbered to and those behind it. At fills in
// a rawNode, which is zero but for its depth, and whose value is an empty slice to append to.
//
// Each node may be reached once, so that there are neither cycles nor shared branches.
func (p *packer) tree(n, to int, at func(i int, node *rawNode) error) error {
	if n < 1 || p.len()+n > math.MaxInt32 {
		return fmt.Errorf("it has %d nodes: want at least 1, and in all trees less than 2^31", n)
	}
	base, t := p.len(), tree{root: uint32(p.len()), leaf: len(p.f.values), to: to}
	seen, order, levelEnd := grow(&p.seen, n), append(grow(&p.order, n)[:0], 0), 1
	clear(seen)
	depths, leaves := 0, 0
	var raw rawNode
	for k := 0; k < len(order); k++ {
		if k == levelEnd {
			t.depth, levelEnd = t.depth+1, len(order)
		}
		i := order[k]
		if seen[i] {
			return fmt.Errorf("node %d is reached in two ways", i)
		}
		seen[i] = true
		raw = rawNode{depth: t.depth, value: raw.value[:0]}
		if err := at(i, &raw); err != nil {
			return err
		}
		if raw.leaf {
			p.leaf(&t, raw.value)
			depths, leaves = depths+t.depth, leaves+1
			continue
		}
		if err := p.check(i, n, &raw); err != nil {
			return err
		}
		order = append(order, raw.left, raw.right)
		if len(order) > n {
			return errors.New("a node is reached in two ways")
		}
		p.split(&t, &raw, base+len(order)-1)
	}
	if t.sure = t.depth; t.depth > depths/leaves+6 {
		t.sure = depths/leaves + 2
	}
	p.f.trees = append(p.f.trees, t)
	p.f.steps += t.depth + 1
	return nil
}

func (p *packer) leaf(t *tree, value []float64) {
	p.f.values = append(p.f.values, value...)
	number := (len(p.f.values)-t.leaf)/p.f.width - 1
	p.push(nan64(number), number, p.len(), 0)
}

func (p *packer) check(i, n int, raw *rawNode) error {
	if raw.left < 0 || raw.left >= n || raw.right < 0 || raw.right >= n {
		return fmt.Errorf("node %d has the children %d and %d: want 0 to %d", i, raw.left, raw.right, n-1)
	}
	if raw.column < 0 || raw.column >= p.f.columns {
		return fmt.Errorf("node %d splits on column %d: want 0 to %d", i, raw.column, p.f.columns-1)
	}
	if raw.set == nil && math.IsNaN(raw.threshold) {
		return fmt.Errorf("node %d has no threshold", i)
	}
	return nil
}

func (p *packer) split(t *tree, raw *rawNode, right int) {
	threshold, payload := raw.threshold, 0
	switch {
	case raw.set != nil:
		payload, t.sets, p.f.hasSets = len(p.f.sets), true, true
		threshold = nan64(payload)
		p.f.sets = append(p.f.sets, *raw.set)
	case p.f.round32:
		threshold = floorFloat32(threshold)
	}
	p.push(threshold, payload, right, p.use(raw.column, raw.missing))
}

// len is the number of nodes so far.
func (p *packer) len() int { return len(p.small) + len(p.nodes) }

// push adds a node to the small ones, or from the first on that doesn't fit to the large ones. A threshold that is NaN
// has a payload.
func (p *packer) push(threshold float64, payload, child, column int) {
	if p.small != nil {
		if child < narrowNodes && column < narrowColumns && payload < narrowPayload {
			small := float32(threshold)
			if threshold != threshold {
				small = math.Float32frombits(0x7fc0<<16 | uint32(payload))
			}
			p.small = append(p.small, makeNode[float32, uint32](small, child, column))
			return
		}
		p.nodes, p.small = widened(p.small), nil
	}
	p.nodes = append(p.nodes, makeNode[float64, uint64](threshold, child, column))
}

// floorFloat32 rounds down to a float32: for every float32 x, x <= floorFloat32(t) exactly if x <= t.
func floorFloat32(t float64) float64 {
	f := float32(t)
	if float64(f) > t {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return float64(f)
}

// use returns where a prepared row has a column with NaN and zero replaced so that a comparison sends them their way.
func (p *packer) use(column int, m missingRule) int {
	if !p.f.nan {
		m = nanRight
	}
	if p.index[m] == nil {
		p.index[m] = make([]int32, p.f.columns)
	}
	if p.index[m][column] == 0 {
		p.f.uses = append(p.f.uses, use{column, m})
		p.index[m][column] = int32(len(p.f.uses))
	}
	return int(p.index[m][column]) - 1
}

// forest returns the finished forest, in the smaller kind of nodes if they fit.
func (p *packer) forest() *forest {
	f := p.f // not a pointer into the packer, which knows the whole file
	p.loader.trees += len(f.trees)
	p.loader.nodes += p.len()
	f.values, f.trees, f.uses = fitting(f.values), fitting(f.trees), fitting(f.uses)
	f.narrow, f.wide = fitting(p.small), fitting(p.nodes)
	return &f
}

// fitting returns a slice that has not much more memory than it needs.
func fitting[S ~[]E, E any](s S) S {
	if cap(s) > len(s)+len(s)/8 {
		return slices.Clone(s)
	}
	return s
}

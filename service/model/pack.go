package model

import (
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
	nodes  packed[uint64]
	small  packed[uint32]        // in place of nodes, as long as all fit
	index  [missingKinds][]int32 // of a rule and a column: where a prepared row has it, plus 1
	leaves int

	// Of the tree that is being packed:
	t             tree
	at            func(i int, node *rawNode) error
	raw           rawNode
	seen          []bool // by place
	open          []pair // that begin the next blocks
	block         []pair
	depths, first int // the sum of its leaves' depths, and the number of the first
}

// newPacker starts a forest; nodes is about how many nodes it will have.
func (l *loader) newPacker(spec forestSpec, nodes int) *packer {
	p := &packer{loader: l, f: forest{forestSpec: spec}}
	if numbers := (nodes/2 + nodes/64 + 64) * spec.width; spec.sums32 {
		p.f.values32 = make([]float32, 0, numbers)
	} else {
		p.f.values = make([]float64, 0, numbers)
	}
	if spec.round32 {
		p.small = make(packed[uint32], 0, nodes+nodes/64+64)
	} else {
		p.nodes = make(packed[uint64], 0, nodes+nodes/64+64)
	}
	return p
}

// tree adds a tree of n nodes; 0 is its root. Its leaves add to the output numbered to and those behind it. At fills in
// a rawNode, which is zero but for its depth, and whose value is an empty slice to append to.
//
// Each node may be reached once, so that there are neither cycles nor shared branches.
func (p *packer) tree(n, to int, at func(i int, node *rawNode) error) error {
	if n < 1 || p.len()+n+1 > math.MaxInt32 {
		return fmt.Errorf("it has %d nodes: want at least 1, and in all trees less than 2^31", n)
	}
	if p.len()%2 == 0 { // pairs are not to be in two lines of the cache
		p.push(math.NaN(), 0, 0)
	}
	p.t, p.at, p.depths, p.first = tree{root: uint32(p.len()), to: to}, at, 0, p.leaves
	p.seen = grow(&p.seen, n)
	clear(p.seen)
	p.block, p.open = p.block[:0], p.open[:0]
	if err := p.add(0, 0); err != nil {
		return err
	}
	p.open = append(p.open, p.block...)
	for k := 0; k < len(p.open); k++ {
		if err := p.addBlock(p.open[k]); err != nil {
			return err
		}
	}
	t := &p.t
	mean := p.depths / (p.leaves - p.first) // depth of a leaf
	t.walk.sure = t.walk.depth
	if t.walk.depth > mean+6 {
		t.walk.sure = mean + 2
	}
	p.f.trees = append(p.f.trees, *t)
	p.f.walk = walkLength{max(p.f.walk.sure, mean), max(p.f.walk.depth, t.walk.depth)}
	p.f.steps += t.walk.depth + 1
	return nil
}

// pair are the children of a node that was packed.
type pair struct{ left, right, parent, depth int }

// lineBytes is what the cache loads at once.
const lineBytes = 64

// addBlock packs a pair, and of those below it the nearest, as far as they fit into a line of the cache. The others
// begin blocks of their own, later.
func (p *packer) addBlock(top pair) error {
	line := lineBytes / 8
	if p.small == nil {
		line = lineBytes / 16
	}
	room := line - p.len()%line
	p.block = append(p.block[:0], top)
	for k := 0; k < len(p.block); k++ {
		b := p.block[k]
		if 2*k >= room {
			p.open = append(p.open, b)
			continue
		}
		p.link(b.parent, p.len()+1-b.parent)
		if err := p.add(b.left, b.depth); err != nil {
			return err
		}
		if err := p.add(b.right, b.depth); err != nil {
			return err
		}
	}
	return nil
}

// add packs node i; its children are to follow.
func (p *packer) add(i, depth int) error {
	if p.seen[i] {
		return fmt.Errorf("node %d is reached in two ways", i)
	}
	p.seen[i] = true
	raw := &p.raw
	*raw = rawNode{depth: depth, value: raw.value[:0]}
	if err := p.at(i, raw); err != nil {
		return err
	}
	if raw.leaf {
		p.t.walk.depth = max(p.t.walk.depth, depth)
		p.depths += depth
		p.leaf(raw.value)
		return nil
	}
	if err := p.check(i, raw); err != nil {
		return err
	}
	p.block = append(p.block, pair{raw.left, raw.right, p.len(), depth + 1})
	p.split(raw)
	return nil
}

// leaf adds a leaf, and its numbers to those of the leaves so far.
func (p *packer) leaf(value []float64) {
	p.push(math.NaN(), p.leaves, 0)
	p.leaves++
	if !p.f.sums32 {
		p.f.values = append(p.f.values, value...)
		return
	}
	for _, v := range value {
		p.f.values32 = append(p.f.values32, float32(v))
	}
}

func (p *packer) check(i int, raw *rawNode) error {
	n := len(p.seen)
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

func (p *packer) split(raw *rawNode) {
	column := p.use(raw.column, raw.missing)
	if raw.set != nil {
		p.t.sets, p.f.hasSets = true, true
		p.f.sets = append(p.f.sets, *raw.set)
		p.push(math.NaN(), len(p.f.sets)-1, column)
		return
	}
	threshold := raw.threshold
	if p.f.round32 {
		threshold = floorFloat32(threshold)
	}
	p.push(threshold, 0, column)
}

// len is the number of nodes so far.
func (p *packer) len() int { return len(p.small) + len(p.nodes) }

// push adds a node that leads to itself to the small ones, or from the first on that doesn't fit to the large ones. In
// place of a threshold it can be a number, of a leaf or a set.
func (p *packer) push(threshold float64, number, column int) {
	if p.small != nil && column < narrowColumns && number < narrowCut {
		p.small = append(p.small, node[uint32]{cutOf[uint32](threshold, number), refTo[uint32](0, column)})
		return
	}
	p.widen()
	p.nodes = append(p.nodes, node[uint64]{cutOf[uint64](threshold, number), refTo[uint64](0, column)})
}

// link makes node i lead to children.
func (p *packer) link(i, distance int) {
	if p.small != nil && distance < narrowDistance {
		p.small[i].ref += refTo[uint32](distance, 0)
		return
	}
	p.widen()
	p.nodes[i].ref += refTo[uint64](distance, 0)
}

// widen makes large nodes of the small ones.
func (p *packer) widen() {
	if p.small == nil {
		return
	}
	p.nodes = make(packed[uint64], len(p.small), 2*len(p.small))
	for i, n := range p.small {
		cut := uint64(n.cut)
		if n.cut >= lowest[uint32]() {
			cut = cutOf[uint64](valueOf(n.cut-1), 0)
		}
		p.nodes[i] = node[uint64]{cut, refTo[uint64](int(n.distance()), int(n.column()))}
	}
	p.small = nil
}

// cutOf is what the keys of numbers up to a threshold are below. Where that is NaN, it is the given number.
func cutOf[W word](threshold float64, number int) W {
	if threshold != threshold {
		return W(number)
	}
	return keyOf[W](threshold) + 1
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
	p.loader.nodes += 2*p.leaves - len(f.trees) // each split has two children
	if f.walk.depth <= f.walk.sure+3 {
		f.walk.sure = f.walk.depth
	}
	f.values, f.values32, f.trees, f.uses = fitting(f.values), fitting(f.values32), fitting(f.trees), fitting(f.uses)
	for i := range (len(f.trees) + lanes - 1) / lanes * lanes {
		f.roots = append(f.roots, f.trees[min(i, len(f.trees)-1)].root)
	}
	f.narrow, f.wide = fitting(p.small), fitting(p.nodes)
	if f.narrow != nil {
		for i := range f.trees {
			f.trees[i].crown = crownOf(f.narrow, f.trees[i].root)
		}
	}
	return &f
}

// fitting returns a slice that has not much more memory than it needs.
func fitting[S ~[]E, E any](s S) S {
	if cap(s) > len(s)+len(s)/8 {
		return slices.Clone(s)
	}
	return s
}

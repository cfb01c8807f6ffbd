package model

import (
	"math"
	"math/bits"
)

// word is what a forest compares in: the keys of float32 or of float64 numbers.
type word interface{ uint32 | uint64 }

// node is one node of a packed tree: which way to go for a number, and where that leads.
//
// Numbers are compared by their keys, which are integers. A key below cut goes left. The children of a node are
// neighbours, and ref has the distance to the right one, which is behind the left one. A leaf's distance is 0, and its
// cut is its number, which no key is below: a walk of fixed length ends in it without asking. A node that sends
// categories either way has the number of its set for a cut.
type node[W word] struct {
	cut W
	ref W // -distance<<distanceShift | column<<columnShift
}

// packed are the nodes of all trees, one tree after the other. A node and those nearest below it are in one line of the
// cache, as far as they fit.
//
// There are two kinds: of 8 bytes for float32, on up to 256 columns and with children not too far away, and of 16 bytes
// for the rest.
type packed[W word] []node[W]

// Bounds of the 8-byte node.
const (
	narrowColumns  = 1 << 8
	narrowDistance = 1 << 18
	narrowCut      = 1 << 22 // of leaves and sets
)

// wide is 0 for uint32 and 1 for uint64.
func wide[W word]() int { return int(^W(0) >> 16 >> 16 & 1) }

// columnShift makes of a column where it is in a group of prepared rows, in bytes.
func columnShift[W word]() int   { return 5 + wide[W]() }
func distanceShift[W word]() int { return 13 + 19*wide[W]() }

// refTo is what leads to children that are so far away, and to a column.
func refTo[W word](distance, column int) W {
	return -W(distance)<<distanceShift[W]() | W(column)<<columnShift[W]()
}

func (n node[W]) column() W { return n.ref % (1 << distanceShift[W]()) >> columnShift[W]() }

// distance is that to the right child.
func (n node[W]) distance() W {
	shift := distanceShift[W]()
	return -(n.ref >> shift << shift) >> shift
}

// keyOf is the place of a number in the order of all: from -Inf over 0 of either sign to +Inf and NaN.
func keyOf[W word](v float64) W {
	switch {
	case v != v:
		return ^W(0)
	case wide[W]() == 0:
		b := math.Float32bits(float32(v) + 0) // of -0 it makes 0
		return W(b ^ (uint32(int32(b)>>31) | 1<<31))
	}
	b := math.Float64bits(v + 0)
	return W(b ^ (uint64(int64(b)>>63) | 1<<63))
}

// lowest is the key of -Inf.
func lowest[W word]() W { return ^W(0) >> (9 + 3*wide[W]()) }

// valueOf is the number of a key.
func valueOf[W word](key W) float64 {
	if wide[W]() == 0 {
		b := uint32(key)
		return float64(math.Float32frombits(b ^ (uint32(int32(^b)>>31) | 1<<31)))
	}
	b := uint64(key)
	return math.Float64frombits(b ^ (uint64(int64(^b)>>63) | 1<<63))
}

// below is 1 for key < cut, else 0: what a subtraction borrows. It compiles to no branch.
func below[W word](key, cut W) W {
	_, borrow := bits.Sub64(uint64(key), uint64(cut), 0)
	return W(borrow)
}

// Walks go 8 at a time, because each step waits for memory: 8 rows through one tree, or one row through 8 trees.
const lanes = 8

// askEvery is how many steps are made at a time when many leaves are far above the deepest.
const askEvery = 4

// ended reports whether walks are in leaves. (A node with a set counts as one; such trees don't come here.)
func (p packed[W]) ended(at []uint32) bool {
	var most W
	for _, i := range at {
		most = max(most, p[i].cut)
	}
	return most < lowest[W]()
}

// toLeaves takes walks, a multiple of 8, from the roots that they are at to their leaves. X has the key of a column
// for 8 walks in each element, and those of the next 8 stride elements further. If stride is 0, all take the first of
// each.
func (p packed[W]) toLeaves(at []uint32, length walkLength, x [][lanes]W, stride int) {
	p.walk(at, length.sure, x, stride)
	if length.sure >= length.depth {
		return
	}
	for g := 0; g < len(at); g += lanes {
		group := at[g : g+lanes]
		for steps := length.sure; steps < length.depth && !p.ended(group); steps += askEvery {
			p.walk(group, askEvery, x[g/lanes*stride:], stride)
		}
	}
}

// rowToLeaves takes the walks of one row, a multiple of 8, to their leaves. Those that aren't there after the sure
// steps go on, as many at a time as there still are. Open has room for twice as many.
func (p packed[W]) rowToLeaves(at []uint32, length walkLength, x [][lanes]W, open []uint32) {
	p.walk(at, length.sure, x, 0)
	which, walks := open[:len(at)], open[len(at):]
	for steps := length.sure; steps < length.depth; steps += askEvery {
		n := 0
		for i, to := range at {
			which[n], walks[n] = uint32(i), to
			n += int(1 - below(p[to].cut, lowest[W]()))
		}
		if n == 0 {
			return
		}
		for i := range -n & (lanes - 1) {
			walks[n+i] = at[0]
		}
		p.walk(walks[:(n+lanes-1)/lanes*lanes], askEvery, x, 0)
		for i, from := range which[:n] {
			at[from] = walks[i]
		}
	}
}

// walkPortably is walk for processors that it isn't written for in assembly.
func (p packed[W]) walkPortably(at []uint32, steps int, x [][lanes]W, stride int) {
	one := uint(min(stride, 1))
	for ; len(at) >= lanes; at = at[lanes:] {
		a, b, c, d, e, f, g, h := at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]
		for range steps {
			na, nb, nc, nd := p[a], p[b], p[c], p[d]
			a += uint32(na.distance() - below(x[na.column()][0], na.cut))
			b += uint32(nb.distance() - below(x[nb.column()][one%lanes], nb.cut))
			c += uint32(nc.distance() - below(x[nc.column()][2*one%lanes], nc.cut))
			d += uint32(nd.distance() - below(x[nd.column()][3*one%lanes], nd.cut))
			ne, nf, ng, nh := p[e], p[f], p[g], p[h]
			e += uint32(ne.distance() - below(x[ne.column()][4*one%lanes], ne.cut))
			f += uint32(nf.distance() - below(x[nf.column()][5*one%lanes], nf.cut))
			g += uint32(ng.distance() - below(x[ng.column()][6*one%lanes], ng.cut))
			h += uint32(nh.distance() - below(x[nh.column()][7*one%lanes], nh.cut))
		}
		at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7] = a, b, c, d, e, f, g, h
		x = x[stride:]
	}
}

// ofRow finds the leaf of one tree for the row in one lane of x, also where nodes have sets.
func (p packed[W]) ofRow(root uint32, x [][lanes]W, lane int, sets []categorySet) uint32 {
	for i := root; ; {
		n := p[i]
		key := x[n.column()][lane%lanes]
		switch next := i + uint32(n.distance()); {
		case n.cut >= lowest[W]():
			i = next - uint32(below(key, n.cut))
		case next == i:
			return i
		case sets[n.cut].has(valueOf(key)):
			i = next - 1
		default:
			i = next
		}
	}
}

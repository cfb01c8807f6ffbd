package model

import "math"

// number is what a forest compares in, and word what a node's link fits in.
type (
	number interface{ float32 | float64 }
	word   interface{ uint32 | uint64 }
)

// node is one node of a packed tree: which way to go for a number, and where that leads.
//
// The children of a node are neighbours: ref is the right one, and the left one, for x <= threshold, is in front of
// it. A leaf refers to itself and has NaN for a threshold, which no number is below: a walk of fixed length ends in it
// without asking. The payload of that NaN is the leaf's number within its tree. A node that sends categories either
// way has NaN too, with the number of its set.
type node[T number, R word] struct {
	threshold T
	ref       R // right child<<shift | column
}

// packed are the nodes of all trees, one tree after the other, each in breadth-first order.
//
// There are two kinds: of 8 bytes (float32, uint32), for up to 2^24 nodes on 256 columns, and of 16 bytes (float64,
// uint64) for the rest. Shift and mask are constants in the code of either.
type packed[T number, R word] []node[T, R]

// Bounds of the 8-byte node. A leaf's number must fit the payload of a float32.
const (
	narrowColumns = 1 << 8
	narrowNodes   = 1 << 24
	narrowPayload = 1 << 22
)

func shiftOf[R word]() int { return 8 + 24*int(^R(0)>>16>>16&1) }

func makeNode[T number, R word](threshold T, child, column int) node[T, R] {
	return node[T, R]{threshold, R(child)<<shiftOf[R]() | R(column)}
}

// payload is the number in the NaN of a leaf or of a node with a set.
func (p packed[T, R]) payload(i R) uint32 {
	if shiftOf[R]() == 8 {
		return math.Float32bits(float32(p[i].threshold)) % narrowPayload
	}
	return uint32(math.Float64bits(float64(p[i].threshold)))
}

func nan64(payload int) float64 { return math.Float64frombits(0x7ff8<<48 | uint64(payload)) }

// widened makes 16-byte nodes of 8-byte ones.
func widened(p packed[float32, uint32]) packed[float64, uint64] {
	out := make(packed[float64, uint64], len(p), 2*len(p))
	for i, n := range p {
		threshold := float64(n.threshold)
		if n.threshold != n.threshold {
			threshold = nan64(int(p.payload(uint32(i))))
		}
		out[i] = makeNode[float64, uint64](threshold, int(n.ref>>8), int(n.ref&0xff))
	}
	return out
}

// below is 1 for x <= threshold, else 0. It compiles to no branch.
func below[T number, R word](x, threshold T) R {
	var r R
	if x <= threshold {
		r = 1
	}
	return r
}

// Walks go 8 at a time, because each step waits for memory: 8 rows through one tree, or one row through 8 trees.
const lanes = 8

// askEvery is how many steps are made at a time when many leaves are far above the deepest.
const askEvery = 4

// ended reports whether four walks are in their leaves. (A node with a set counts as one; such trees don't come here.)
func (p packed[T, R]) ended(a, b, c, d R) bool {
	ta, tb, tc, td := p[a].threshold, p[b].threshold, p[c].threshold, p[d].threshold
	return ta != ta && tb != tb && tc != tc && td != td
}

// ofRows finds the leaf of one tree for each of 8 rows. X holds a column in each element; of 8-byte nodes it has 256,
// so that no access to it needs a check. The first sure steps are made without asking whether all have ended.
func (p packed[T, R]) ofRows(root R, depth, sure int, x [][lanes]T, leaf *[lanes]uint32) {
	shift := shiftOf[R]()
	mask := R(1)<<shift - 1
	if mask == narrowColumns-1 {
		x = x[:narrowColumns]
	}
	a, b, c, d, e, f, g, h := root, root, root, root, root, root, root, root
	for steps := sure; depth > 0; steps = askEvery {
		for range steps {
			na, nb, nc, nd := p[a], p[b], p[c], p[d]
			a = na.ref>>shift - below[T, R](x[na.ref&mask][0], na.threshold)
			b = nb.ref>>shift - below[T, R](x[nb.ref&mask][1], nb.threshold)
			c = nc.ref>>shift - below[T, R](x[nc.ref&mask][2], nc.threshold)
			d = nd.ref>>shift - below[T, R](x[nd.ref&mask][3], nd.threshold)
			ne, nf, ng, nh := p[e], p[f], p[g], p[h]
			e = ne.ref>>shift - below[T, R](x[ne.ref&mask][4], ne.threshold)
			f = nf.ref>>shift - below[T, R](x[nf.ref&mask][5], nf.threshold)
			g = ng.ref>>shift - below[T, R](x[ng.ref&mask][6], ng.threshold)
			h = nh.ref>>shift - below[T, R](x[nh.ref&mask][7], nh.threshold)
		}
		if depth -= steps; depth > 0 && p.ended(a, b, c, d) && p.ended(e, f, g, h) {
			break
		}
	}
	leaf[0], leaf[1], leaf[2], leaf[3] = p.payload(a), p.payload(b), p.payload(c), p.payload(d)
	leaf[4], leaf[5], leaf[6], leaf[7] = p.payload(e), p.payload(f), p.payload(g), p.payload(h)
}

// ofTrees finds the leaf of one row in each of up to 8 trees.
func (p packed[T, R]) ofTrees(trees []tree, x []T, leaf *[lanes]uint32) {
	shift := shiftOf[R]()
	mask := R(1)<<shift - 1
	if mask == narrowColumns-1 {
		x = x[:narrowColumns]
	}
	var root [lanes]R
	depth, sure := 0, 0
	for i := range trees {
		root[i%lanes], depth, sure = R(trees[i].root), max(depth, trees[i].depth), max(sure, trees[i].sure)
	}
	a, b, c, d, e, f, g, h := root[0], root[1], root[2], root[3], root[4], root[5], root[6], root[7]
	for steps := sure; depth > 0; steps = askEvery {
		for range steps {
			na, nb, nc, nd := p[a], p[b], p[c], p[d]
			a = na.ref>>shift - below[T, R](x[na.ref&mask], na.threshold)
			b = nb.ref>>shift - below[T, R](x[nb.ref&mask], nb.threshold)
			c = nc.ref>>shift - below[T, R](x[nc.ref&mask], nc.threshold)
			d = nd.ref>>shift - below[T, R](x[nd.ref&mask], nd.threshold)
			ne, nf, ng, nh := p[e], p[f], p[g], p[h]
			e = ne.ref>>shift - below[T, R](x[ne.ref&mask], ne.threshold)
			f = nf.ref>>shift - below[T, R](x[nf.ref&mask], nf.threshold)
			g = ng.ref>>shift - below[T, R](x[ng.ref&mask], ng.threshold)
			h = nh.ref>>shift - below[T, R](x[nh.ref&mask], nh.threshold)
		}
		if depth -= steps; depth > 0 && p.ended(a, b, c, d) && p.ended(e, f, g, h) {
			break
		}
	}
	*leaf = [lanes]uint32{
		p.payload(a), p.payload(b), p.payload(c), p.payload(d), p.payload(e), p.payload(f), p.payload(g), p.payload(h),
	}
}

// ofRow finds the leaf of one tree for the row in one lane of x, also where nodes have sets.
func (p packed[T, R]) ofRow(root R, x [][lanes]T, lane int, sets []categorySet) R {
	shift := shiftOf[R]()
	for i := root; ; {
		n := p[i]
		v, next := x[n.ref&(1<<shift-1)][lane%lanes], n.ref>>shift
		switch {
		case n.threshold == n.threshold:
			i = next - below[T, R](v, n.threshold)
		case next == i:
			return i
		case sets[p.payload(i)].has(float64(v)):
			i = next - 1
		default:
			i = next
		}
	}
}

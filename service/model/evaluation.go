package model

// sum is what the numbers in leaves are added up in.
type sum interface{ float32 | float64 }

// evaluation is a forest at work, with the kinds of its nodes and sums.
type evaluation[W word, T sum] struct {
	f      *forest
	nodes  packed[W]
	values []T // leaf n has width of them from n*width on
	w      *treeRows[W]
}

// Bounds of a block, whose prepared rows should stay in the cache.
const (
	blockRows    = 1024
	blockNumbers = 1 << 16
)

// add takes blocks of rows through one tree before the next, and the few rows that are left one by one.
func (e *evaluation[W, T]) add(x []float64, rows int, acc []T) {
	f, columns, outputs := e.f, e.f.columns, e.f.outputs
	block := max(lanes, min(blockRows, blockNumbers/max(1, len(f.uses))/lanes*lanes))
	e.w.reserve(len(f.uses), max(min(block, rows/lanes*lanes), len(f.roots)), min(block, rows)/lanes)
	for rows >= lanes {
		n := min(block, rows/lanes*lanes)
		for r := 0; r < n; r += lanes {
			e.w.prepare(f, x[r*columns:(r+lanes)*columns], r/lanes)
		}
		for i := range f.trees {
			e.addBlock(&f.trees[i], n, acc[:n*outputs])
		}
		x, acc, rows = x[n*columns:], acc[n*outputs:], rows-n
	}
	for ; rows > 0; rows-- {
		e.w.prepare(f, x[:columns], 0)
		e.addRow(acc[:outputs])
		x, acc = x[columns:], acc[outputs:]
	}
}

// addBlock finds the leaves of all rows before it adds them up: these loads don't wait for one another.
func (e *evaluation[W, T]) addBlock(t *tree, rows int, acc []T) {
	at := e.w.at[:rows]
	if t.sets {
		for r := range at {
			at[r] = e.nodes.ofRow(t.root, e.w.group(e.f, r/lanes), r%lanes, e.f.sets)
		}
	} else {
		x, stride := e.w.groups, len(e.f.uses)
		e.nodes.toLeaves(at, t.walk.after(e.nodes.enter(t, at, x, stride)), x, stride)
	}
	e.addLeaves(t, at, acc)
}

// addLeaves adds the leaf of each row. The usual widths have loops of their own.
func (e *evaluation[W, T]) addLeaves(t *tree, at []uint32, acc []T) {
	nodes, values, k := e.nodes, e.values, e.f.outputs
	switch {
	case k == 1:
		acc = acc[:len(at)]
		for r, i := range at {
			acc[r] += values[nodes[i].cut]
		}
	case e.f.width == 2 && k == 2:
		for r, i := range at {
			v, to := values[2*nodes[i].cut:], acc[2*r:]
			to[0] += v[0]
			to[1] += v[1]
		}
	default:
		for r, i := range at {
			e.addLeaf(t, i, acc[r*k:(r+1)*k])
		}
	}
}

// addRow takes the row of group 0 through all trees.
func (e *evaluation[W, T]) addRow(acc []T) {
	f := e.f
	at := e.w.at[:len(f.roots)]
	copy(at, f.roots)
	e.nodes.rowToLeaves(at, f.walk, e.w.groups, e.w.open)
	if f.hasSets {
		for i := range f.trees {
			if f.trees[i].sets {
				at[i] = e.nodes.ofRow(f.trees[i].root, e.w.groups, 0, f.sets)
			}
		}
	}
	e.addTrees(at[:len(f.trees)], acc)
}

// addTrees adds the leaf of each tree to the sums of a row.
func (e *evaluation[W, T]) addTrees(at []uint32, acc []T) {
	nodes, values := e.nodes, e.values
	switch {
	case e.f.outputs == 1:
		sum := acc[0]
		for _, i := range at {
			sum += values[nodes[i].cut]
		}
		acc[0] = sum
	case e.f.width == 2 && e.f.outputs == 2:
		a, b := acc[0], acc[1]
		for _, i := range at {
			v := values[2*nodes[i].cut:]
			a, b = a+v[0], b+v[1]
		}
		acc[0], acc[1] = a, b
	default:
		for i := range e.f.trees {
			e.addLeaf(&e.f.trees[i], at[i], acc)
		}
	}
}

func (e *evaluation[W, T]) addLeaf(t *tree, at uint32, acc []T) {
	values := e.values[int(e.nodes[at].cut)*e.f.width:]
	for k := range e.f.width {
		acc[t.to+k] += values[k]
	}
}

package model

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// forestSpec says what the trees of a forest have in common.
type forestSpec struct {
	columns  int  // numbers in a row
	outputs  int  // sums for a row
	width    int  // numbers in a leaf
	round32  bool // rows are rounded to float32 first, as many libraries do
	sums32   bool // each sum is rounded to float32, leaf by leaf
	nan      bool // rows may hold NaN
	infinite bool // rows may hold infinities, or what rounding to float32 makes one
}

// forest adds up the leaves that a row reaches in many trees: the one evaluator of every kind of tree model.
//
// Its rows are prepared before the walks: only the columns that are split on, and each as often as there are rules for
// missing numbers in it, with NaN replaced by what a plain comparison sends the right way.
type forest struct {
	forestSpec
	uses    []use
	trees   []tree
	steps   int // of a walk through all trees
	values  []float64
	sets    []categorySet
	hasSets bool
	narrow  packed[float32, uint32]
	wide    packed[float64, uint64] // in place of narrow
}

type tree struct {
	root  uint32
	depth int
	sure  int // steps after which walks are asked whether they have ended: depth, if most leaves are near it
	leaf  int // where the numbers of its leaves begin in values
	to    int // first output that they add to
	sets  bool
}

// parallelSteps is the number of steps from which on another goroutine is worth its start.
const parallelSteps = 1 << 17

// add adds to acc (rows*outputs numbers) the leaves that each row of x reaches, in the trees' order. It returns a
// *RangeError for the first number that the model doesn't take.
func (f *forest) add(x []float64, rows int, acc []float64, s *Scratch) error {
	workers := 1
	if rows >= 2*lanes {
		workers = min(runtime.GOMAXPROCS(0), rows*f.steps/parallelSteps)
	}
	if workers > 1 {
		return f.addParallel(x, rows, acc, workers)
	}
	return f.addRows(x, 0, rows, acc, s)
}

// addParallel shares blocks of rows among goroutines. (It is a function of its own so that small batches don't pay
// for its closure.)
func (f *forest) addParallel(x []float64, rows int, acc []float64, workers int) error {
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	size := max(lanes, min(blockRows, (rows/workers+lanes-1)/lanes*lanes))
	errs := make([]error, (rows+size-1)/size)
	for range workers {
		wg.Go(func() {
			s := scratches.Get().(*Scratch)
			defer scratches.Put(s)
			for failed.Load() == 0 {
				b := int(next.Add(1)) - 1
				if b >= len(errs) {
					return
				}
				if errs[b] = f.addRows(x, b*size, min((b+1)*size, rows), acc, s); errs[b] != nil {
					failed.Store(1)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

var scratches = sync.Pool{New: func() any { return new(Scratch) }}

// addRows does the rows from one number to another.
func (f *forest) addRows(x []float64, from, to int, acc []float64, s *Scratch) error {
	if err := f.check(x, from, to); err != nil {
		return err
	}
	if f.narrow != nil {
		addAll(f, f.narrow, x, from, to, acc, &s.trees32)
	} else {
		addAll(f, f.wide, x, from, to, acc, &s.trees64)
	}
	return nil
}

// Bounds of a block, whose prepared rows should stay in the cache.
const (
	blockRows    = 1024
	blockNumbers = 1 << 16
)

// addAll takes blocks of rows through one tree before the next, and the few rows that are left one by one.
func addAll[T number, R word](f *forest, p packed[T, R], x []float64, from, to int, acc []float64, w *treeRows[T]) {
	block := max(lanes, min(blockRows, blockNumbers/max(1, len(f.uses))/lanes*lanes))
	w.reserve(len(f.uses), min(block, to-from)/lanes)
	for to-from >= lanes {
		rows := min(block, (to-from)/lanes*lanes)
		for r := 0; r < rows; r += lanes {
			w.prepare8(f, x[(from+r)*f.columns:(from+r+lanes)*f.columns], r/lanes)
		}
		for i := range f.trees {
			addBlock(f, p, &f.trees[i], w, rows, acc[from*f.outputs:(from+rows)*f.outputs])
		}
		from += rows
	}
	for ; from < to; from++ {
		w.prepare1(f, x[from*f.columns:(from+1)*f.columns])
		addRow(f, p, w, acc[from*f.outputs:(from+1)*f.outputs])
	}
}

// addBlock finds the leaves of all rows before it adds them up: these loads don't wait for one another.
func addBlock[T number, R word](f *forest, p packed[T, R], t *tree, w *treeRows[T], rows int, acc []float64) {
	leaves := w.leaves[:rows]
	if t.sets {
		for r := range leaves {
			leaves[r] = p.payload(p.ofRow(R(t.root), w.group(f, r/lanes), r%lanes, f.sets))
		}
	} else {
		for r := 0; r < rows; r += lanes {
			p.ofRows(R(t.root), t.depth, t.sure, w.group(f, r/lanes), (*[lanes]uint32)(leaves[r:]))
		}
	}
	f.addLeaves(t, leaves, acc)
}

// addLeaves adds the leaf of each row. The usual widths have loops of their own.
func (f *forest) addLeaves(t *tree, leaves []uint32, acc []float64) {
	values, k := f.values[t.leaf:], f.outputs
	switch {
	case f.width == 1 && !f.sums32:
		for r, n := range leaves {
			acc[r*k+t.to] += values[n]
		}
	case f.width == 1:
		for r, n := range leaves {
			acc[r*k+t.to] = float64(float32(acc[r*k+t.to]) + float32(values[n]))
		}
	case f.width == 2 && k == 2 && !f.sums32:
		for r, n := range leaves {
			v, to := values[2*n:], acc[2*r:]
			to[0] += v[0]
			to[1] += v[1]
		}
	default:
		for r, n := range leaves {
			f.addLeaf(t, int(n), acc[r*k:(r+1)*k])
		}
	}
}

func addRow[T number, R word](f *forest, p packed[T, R], w *treeRows[T], acc []float64) {
	var leaf [lanes]uint32
	for from := 0; from < len(f.trees); from += lanes {
		trees := f.trees[from:min(from+lanes, len(f.trees))]
		p.ofTrees(trees, w.row, &leaf)
		for i := range trees {
			if trees[i].sets {
				leaf[i] = p.payload(p.ofRow(R(trees[i].root), w.group(f, 0), 0, f.sets))
			}
			f.addLeaf(&trees[i], int(leaf[i]), acc)
		}
	}
}

func (f *forest) addLeaf(t *tree, n int, acc []float64) {
	values := f.values[t.leaf+n*f.width:]
	if f.sums32 {
		for k := range f.width {
			acc[t.to+k] = float64(float32(acc[t.to+k]) + float32(values[k]))
		}
		return
	}
	for k := range f.width {
		acc[t.to+k] += values[k]
	}
}

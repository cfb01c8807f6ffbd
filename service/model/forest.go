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
	uses     []use
	trees    []tree
	roots    []uint32   // of the trees, and the last one's again up to a multiple of 8
	walk     walkLength // of any tree
	steps    int        // of the walks through all trees
	values   []float64
	values32 []float32 // in place of values, for sums of 32 bits
	sets     []categorySet
	hasSets  bool
	narrow   packed[uint32]
	wide     packed[uint64] // in place of narrow
}

// tree is one tree, and how long the walks through it are.
type tree struct {
	root uint32
	walk walkLength
	to   int // first output that its leaves add to
	sets bool

	crown crown // where nodes have 8 bytes
}

// walkLength says how many steps lead to the leaves.
type walkLength struct {
	sure  int // steps after which walks are asked whether they have ended
	depth int // steps after which all have; no more than sure, if most leaves are near it
}

// after is what is left after some steps.
func (l walkLength) after(steps int) walkLength { return walkLength{l.sure - steps, l.depth - steps} }

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
	x, acc = x[from*f.columns:to*f.columns], acc[from*f.outputs:to*f.outputs]
	if !f.sums32 {
		addAll(f, f.values, x, to-from, acc, s)
		return nil
	}
	acc32 := grow(&s.sums32, len(acc))
	for i, v := range acc {
		acc32[i] = float32(v)
	}
	addAll(f, f.values32, x, to-from, acc32, s)
	for i, v := range acc32 {
		acc[i] = float64(v)
	}
	return nil
}

// addAll adds to acc, in the numbers that sums are in.
func addAll[T sum](f *forest, values []T, x []float64, rows int, acc []T, s *Scratch) {
	if f.narrow != nil {
		(&evaluation[uint32, T]{f, f.narrow, values, &s.trees32}).add(x, rows, acc)
	} else {
		(&evaluation[uint64, T]{f, f.wide, values, &s.trees64}).add(x, rows, acc)
	}
}

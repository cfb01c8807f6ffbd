package model

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
)

// node is one node of a packed tree, 8 bytes: which way to go for x, and where that leads.
//
// The children of a node are neighbours: the left one, for x <= threshold, at child, the right one behind it. A leaf
// has the threshold +Inf and itself as child, so that a walk of fixed length ends in it without asking.
type node struct {
	threshold float32
	ref       uint32 // child<<8 | feature
}

// wideNode is a node for trees of more than 256 columns, or forests of more than 2^24 nodes.
type wideNode struct {
	threshold float32
	feature   uint32
	child     uint32
}

// Limits of the 8-byte node.
const (
	narrowFeatures = 1 << 8
	narrowNodes    = 1 << 24
)

// forest is a set of trees over the same columns, packed in breadth-first order one after the other.
type forest struct {
	features int
	outputs  int // numbers in a leaf
	groups   int // that these are for: each group of a classifier adds up to 1
	missing  bool
	nanLeft  []uint64 // bits: the nodes where NaN goes left; nil: nowhere
	narrow   []node
	wide     []wideNode // in place of narrow
	leaf     []uint32   // of each node: where its numbers begin in values
	values   []float64
	roots    []uint32
	depths   []int
}

// packForest packs trees. normalise makes the numbers of each leaf add up to 1.
func packForest(trees []*rawTree, normalise bool) (*forest, error) {
	f := &forest{features: trees[0].features, outputs: trees[0].outputs, groups: trees[0].groups, missing: true}
	total := 0
	for i, t := range trees {
		if t.features != f.features || t.outputs != f.outputs || t.groups != f.groups {
			return nil, fmt.Errorf("tree %d: it has other columns or classes than tree 0", i)
		}
		total += t.nodes
		f.missing = f.missing && t.hasMissing
	}
	if total > math.MaxInt32 {
		return nil, errors.New("the trees have more than 2^31 nodes")
	}
	if f.features > narrowFeatures || total > narrowNodes {
		f.wide = make([]wideNode, 0, total)
	} else {
		f.narrow = make([]node, 0, total)
	}
	f.leaf = make([]uint32, 0, total)
	if f.missing {
		f.nanLeft = make([]uint64, (total+63)/64)
	}
	for i, t := range trees {
		if err := f.add(t, normalise); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	return f, nil
}

// add packs one tree. Each node may be reached once, so that there are neither cycles nor shared branches.
func (f *forest) add(t *rawTree, normalise bool) error {
	base := len(f.leaf)
	f.roots = append(f.roots, uint32(base))
	seen := make([]bool, t.nodes)
	queue, levels := []int{0}, 0
	for level := queue; len(level) > 0; levels++ {
		var below []int
		next := len(f.leaf) + len(level)
		for _, i := range level {
			if seen[i] {
				return fmt.Errorf("node %d is reached in two ways", i)
			}
			seen[i] = true
			left, right, leaf, err := t.split(i)
			if err != nil {
				return err
			}
			if leaf {
				f.addLeaf(t, i, levels, normalise)
				continue
			}
			if f.missing && t.missing.Int(i) != 0 {
				f.nanLeft[len(f.leaf)/64] |= 1 << (len(f.leaf) % 64)
			}
			f.push(floorFloat32(t.threshold.Float(i)), t.column(i), next+len(below))
			f.leaf = append(f.leaf, 0)
			below = append(below, left, right)
		}
		if len(f.leaf)+len(below)-base > t.nodes {
			return errors.New("a node is reached in two ways")
		}
		level = below
	}
	f.depths = append(f.depths, levels-1)
	return nil
}

func (f *forest) addLeaf(t *rawTree, i, depth int, normalise bool) {
	self := len(f.leaf)
	f.push(float32(math.Inf(1)), 0, self)
	f.leaf = append(f.leaf, uint32(len(f.values)))
	if t.byDepth {
		f.values = append(f.values, float64(depth)+averagePath(t.samples.Float(i)))
		return
	}
	size := f.groupSize()
	for from := i * t.outputs; from < (i+1)*t.outputs; from += size {
		f.addValues(t.values[from:from+size], normalise)
	}
}

// groupSize is how many numbers a leaf has for one output.
func (f *forest) groupSize() int { return f.outputs / f.groups }

func (f *forest) addValues(values []float64, normalise bool) {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	// Since 1.3 the file holds fractions; dividing them again would only add rounding.
	if !normalise || sum == 0 || math.Abs(sum-1) < 1e-9 {
		sum = 1
	}
	for _, v := range values {
		f.values = append(f.values, v/sum)
	}
}

func (f *forest) push(threshold float32, feature, child int) {
	if f.wide != nil {
		f.wide = append(f.wide, wideNode{threshold, uint32(feature), uint32(child)})
		return
	}
	f.narrow = append(f.narrow, node{threshold, uint32(child)<<8 | uint32(feature)})
}

// errFloat32 is what scikit-learn says of such a number too: trees compare in float32.
const errFloat32 = "the number is too large for this model, which computes in 32-bit floats"

// cast converts rows to float32, as scikit-learn does before it asks a tree.
func cast(x []float64, width int, missing bool, s *Scratch) ([]float32, error) {
	s.float32s = grow(&s.float32s, len(x))
	for i, v := range x {
		c := float32(v)
		if c-c != 0 && !(missing && v != v) { // infinite or NaN
			return nil, &RangeError{Row: i / width, Column: i % width, Reason: errFloat32}
		}
		s.float32s[i] = c
	}
	return s.float32s, nil
}

// parallelWork is the number of walks from which on several goroutines share a batch.
const parallelWork = 1 << 16

// sum adds up the leaves that each row reaches, in the trees' order: rows*outputs numbers to acc.
func (f *forest) sum(x []float32, rows int, acc []float64) {
	clear(acc)
	workers := runtime.GOMAXPROCS(0)
	if rows*len(f.roots) < parallelWork || workers == 1 {
		f.sumRows(x, rows, acc)
		return
	}
	f.sumParallel(x, rows, acc, workers)
}

// sumParallel splits the rows. (It is a function of its own so that small batches don't pay for its closure.)
func (f *forest) sumParallel(x []float32, rows int, acc []float64, workers int) {
	var wg sync.WaitGroup
	size := (rows + workers - 1) / workers
	for from := 0; from < rows; from += size {
		to := min(from+size, rows)
		wg.Go(func() {
			f.sumRows(x[from*f.features:to*f.features], to-from, acc[from*f.outputs:to*f.outputs])
		})
	}
	wg.Wait()
}

// blockRows is how many rows go through one tree before the next tree: they stay in the cache.
const blockRows = 512

func (f *forest) sumRows(x []float32, rows int, acc []float64) {
	if f.missing && hasNaN(x) {
		f.sumMissing(x, rows, acc)
		return
	}
	if rows == 1 {
		f.sumRow(x, acc)
		return
	}
	for from := 0; from < rows; from += blockRows {
		to := min(from+blockRows, rows)
		for t := range f.roots {
			f.sumBlock(t, x[from*f.features:to*f.features], acc[from*f.outputs:to*f.outputs])
		}
	}
}

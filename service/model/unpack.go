package model

import (
	"fmt"
	"runtime"
)

// nodeColumns are the parts of one tree's nodes. In the file a node is spread over 64 bytes: to go through them once in
// order and then to walk through these is several times as fast.
type nodeColumns struct {
	left, right, feature []int32
	missing              []int32 // NaN goes left; empty where nodes don't say
	threshold, values    []float64
	err                  error
}

// unpackBlock is how many nodes are unpacked at once: so many lie in the fastest cache until all their parts are read.
const unpackBlock = 256

// unpack fills b with the tree's nodes, for split and node.
func (r *rawTree) unpack(b *nodeColumns) {
	defer func() {
		if p := recover(); p != nil { // it may run in a goroutine of its own
			b.err = fmt.Errorf("its nodes are damaged: %.200s", fmt.Sprint(p))
		}
	}()
	left, right, feature := grow(&b.left, r.nodes), grow(&b.right, r.nodes), grow(&b.feature, r.nodes)
	threshold, missing := grow(&b.threshold, r.nodes), b.missing[:0]
	if r.hasMissing {
		missing = grow(&b.missing, r.nodes)
	}
	b.missing = missing
	for from := 0; from < r.nodes; from += unpackBlock {
		to := min(from+unpackBlock, r.nodes)
		r.left.From(from).Ints(left[from:to])
		r.right.From(from).Ints(right[from:to])
		r.feature.From(from).Ints(feature[from:to])
		r.threshold.From(from).Floats(threshold[from:to])
		if r.hasMissing {
			r.missing.From(from).Ints(missing[from:to])
		}
	}
	r.values.Floats(grow(&b.values, r.nodes*r.outputs))
	r.at = b
}

// unpackAhead is the number of nodes from which on a tree is unpacked while the one before is packed.
const unpackAhead = 1 << 16

// eachTree calls f for each tree in turn, unpacked.
func eachTree(trees []*rawTree, f func(i int, t *rawTree) error) error {
	total := 0
	for _, t := range trees {
		total += t.nodes
	}
	ready, free := make(chan *nodeColumns, 2), make(chan *nodeColumns, 2)
	free <- &nodeColumns{}
	next := func(t *rawTree) {
		if b, ok := <-free; ok {
			t.unpack(b)
			ready <- b
		}
	}
	ahead := total >= unpackAhead && runtime.GOMAXPROCS(0) > 1
	if ahead {
		free <- &nodeColumns{}
		go func() {
			for _, t := range trees {
				next(t)
			}
		}()
	}
	defer close(free)
	for i, t := range trees {
		if !ahead {
			next(t)
		}
		b := <-ready
		if b.err != nil {
			return fmt.Errorf("tree %d: %w", i, b.err)
		}
		if err := f(i, t); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		free <- b
	}
	return nil
}

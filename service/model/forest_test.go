package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
)

// testTree is a tree as arrays, with an evaluation of its own to compare with.
type testTree struct {
	nodes []rawNode
	to    int
}

func (t *testTree) leaf(x []float64, round bool) []float64 {
	i := 0
	for !t.nodes[i].leaf {
		n := &t.nodes[i]
		v, left := x[n.column], false
		if round {
			v = float64(float32(v))
		}
		zero := math.IsNaN(v) || math.Abs(v) <= 1e-35
		switch {
		case n.set != nil:
			left = n.set.has(v)
		case n.missing == zeroLeft && zero:
			left = true
		case n.missing == zeroRight && zero:
		case n.missing == nanZero && math.IsNaN(v):
			left = 0 <= n.threshold
		case math.IsNaN(v):
			left = n.missing == nanLeft
		default:
			left = v <= n.threshold
		}
		if i = n.right; left {
			i = n.left
		}
	}
	return t.nodes[i].value
}

// randomTree grows a tree of about the given number of splits.
func randomTree(r *rand.Rand, spec forestSpec, splits int, sets, rules bool) *testTree {
	t := &testTree{nodes: []rawNode{{}}, to: 0}
	if spec.width < spec.outputs {
		t.to = r.IntN(spec.outputs - spec.width + 1)
	}
	open := []int{0}
	for range splits {
		k := r.IntN(len(open))
		i := open[k]
		n := rawNode{
			left: len(t.nodes), right: len(t.nodes) + 1, column: r.IntN(spec.columns), threshold: float64(r.IntN(9)-4) / 3,
		}
		switch {
		case sets && r.IntN(3) == 0:
			n.set = &categorySet{bits: []uint64{r.Uint64()}, outside: r.IntN(2) == 0, nan: r.IntN(2) == 0}
		case rules:
			n.missing = missingRule(r.IntN(int(missingKinds)))
		}
		t.nodes[i] = n
		t.nodes = append(t.nodes, rawNode{}, rawNode{})
		open = append(append(open[:k], open[k+1:]...), n.left, n.right)
	}
	for _, i := range open {
		t.nodes[i] = rawNode{leaf: true, value: make([]float64, spec.width)}
		for k := range t.nodes[i].value {
			t.nodes[i].value[k] = float64(r.IntN(1000)) // sums are exact in any order
		}
	}
	return t
}

func pack(t *testing.T, spec forestSpec, trees []*testTree) *forest {
	t.Helper()
	p := newLoader(0).newPacker(spec, 0)
	for _, tree := range trees {
		err := p.tree(len(tree.nodes), tree.to, func(i int, n *rawNode) error {
			depth := n.depth
			*n = tree.nodes[i]
			n.depth = depth
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return p.forest()
}

// TestForestIsTheTrees compares packed forests of every kind with their trees, for one row up to batches that several
// goroutines share.
func TestForestIsTheTrees(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	for i, tc := range []struct {
		spec        forestSpec
		sets, rules bool
		narrow      bool
	}{
		{spec: forestSpec{columns: 5, outputs: 1, width: 1, round32: true}, narrow: true},
		{spec: forestSpec{columns: 5, outputs: 2, width: 2, round32: true}, narrow: true},
		{spec: forestSpec{columns: 20, outputs: 3, width: 3, round32: true, nan: true}, rules: true, narrow: true},
		{spec: forestSpec{columns: 40, outputs: 3, width: 1, round32: true, nan: true, infinite: true}, sets: true, narrow: true},
		{spec: forestSpec{columns: 4, outputs: 2, width: 1, round32: true, sums32: true}, narrow: true},
		{spec: forestSpec{columns: 400, outputs: 2, width: 2, round32: true}},
		{spec: forestSpec{columns: 7, outputs: 1, width: 1, nan: true, infinite: true}, sets: true, rules: true},
		{spec: forestSpec{columns: 3, outputs: 4, width: 1, nan: true}, rules: true},
	} {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		var trees []*testTree
		for k := range 19 {
			trees = append(trees, randomTree(r, tc.spec, 20*k, tc.sets && k%4 > 0, tc.rules))
		}
		f := pack(t, tc.spec, trees)
		if (f.narrow != nil) != tc.narrow {
			t.Fatalf("case %d: narrow is %t", i, f.narrow != nil)
		}
		for _, rows := range []int{1, 7, 8, 9, 100, 2500} {
			compare(t, fmt.Sprintf("case %d, %d rows", i, rows), f, trees, rows, r)
		}
	}
}

func compare(t *testing.T, name string, f *forest, trees []*testTree, rows int, r *rand.Rand) {
	t.Helper()
	x, got := make([]float64, rows*f.columns), make([]float64, rows*f.outputs)
	for i := range x {
		x[i] = []float64{float64(r.IntN(9)-4) / 3, r.NormFloat64(), 0, float64(r.IntN(70)), -1, 1.0 / 3}[r.IntN(6)]
		if f.nan && r.IntN(4) == 0 {
			x[i] = math.NaN()
		}
	}
	var s Scratch
	if err := f.add(x, rows, got, &s); err != nil {
		t.Fatal(name, err)
	}
	for row := range rows {
		want := make([]float64, f.outputs)
		for _, tree := range trees {
			for k, v := range tree.leaf(x[row*f.columns:(row+1)*f.columns], f.round32) {
				want[tree.to+k] += v
			}
		}
		for k, v := range want {
			if got[row*f.outputs+k] != v {
				t.Fatalf("%s: row %d, output %d: %v, want %v", name, row, k, got[row*f.outputs+k], v)
			}
		}
	}
}

// TestForestNamesTheFirstBadNumber checks that rows are refused as scikit-learn refuses them, also in parallel.
func TestForestNamesTheFirstBadNumber(t *testing.T) {
	spec := forestSpec{columns: 3, outputs: 1, width: 1, round32: true}
	f := pack(t, spec, []*testTree{randomTree(rand.New(rand.NewPCG(1, 1)), spec, 200, false, false)})
	for _, rows := range []int{1, 9, 200_000} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), 1e39} {
			x := make([]float64, rows*3)
			x[3*(rows/2)+1], x[len(x)-1] = bad, bad
			var s Scratch
			err := f.add(x, rows, make([]float64, rows), &s)
			if e := (*RangeError)(nil); !errors.As(err, &e) || e.Row != rows/2 || e.Column != 1 {
				t.Errorf("%d rows, %v: %v", rows, bad, err)
			}
		}
	}
}

// TestForestMemory checks that a forest is its nodes and its leaves' numbers and nearly nothing else.
func TestForestMemory(t *testing.T) {
	spec := forestSpec{columns: 20, outputs: 2, width: 2, round32: true}
	r := rand.New(rand.NewPCG(2, 2))
	var grown []*testTree
	for range 20 {
		grown = append(grown, randomTree(r, spec, 2000, false, false))
	}
	f := pack(t, spec, grown)
	arrays := 8*len(f.narrow) + 8*len(f.values)
	trees := cap(f.trees) * int(unsafe.Sizeof(tree{}))
	all := 8*cap(f.narrow) + 8*cap(f.values) + trees + 4*cap(f.roots) + 16*cap(f.uses)
	if float64(all) > 1.2*float64(arrays) {
		t.Errorf("%d bytes for arrays of %d", all, arrays)
	}
}

package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestKeysAreInOrder checks that keys compare as their numbers do, and give them back.
func TestKeysAreInOrder(t *testing.T) {
	values := []float64{
		math.Inf(-1), -math.MaxFloat32, -1.5, -1, -math.SmallestNonzeroFloat32, 0, math.SmallestNonzeroFloat32, 1, 1.5,
		math.MaxFloat32, math.Inf(1), math.NaN(),
	}
	testKeys[uint32](t, values)
	testKeys[uint64](t, values)
	testKeys[uint64](t, []float64{-math.MaxFloat64, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 1 + 0x1p-52})
}

func testKeys[W word](t *testing.T, values []float64) {
	t.Helper()
	for i, v := range values {
		if i > 0 && keyOf[W](v) <= keyOf[W](values[i-1]) {
			t.Errorf("the key of %v is not above that of %v", v, values[i-1])
		}
		if got := valueOf(keyOf[W](v)); got != v && v == v {
			t.Errorf("the key of %v is that of %v", v, got)
		}
	}
	if keyOf[W](math.Copysign(0, -1)) != keyOf[W](0) {
		t.Error("the zeros have two keys")
	}
	if keyOf[W](math.Inf(-1)) != lowest[W]() || keyOf[W](math.Copysign(math.NaN(), -1)) != keyOf[W](math.NaN()) {
		t.Error("the ends of the order are wrong")
	}
}

// TestWalksAgree checks that what is written in assembly does what the portable code does: walks of rows, of one row,
// and crowns.
func TestWalksAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for splits := range 40 {
		spec := forestSpec{columns: 6, outputs: 1, width: 1, round32: true, nan: true}
		trees := []*testTree{randomTree(r, spec, 30, false, true), randomTree(r, spec, splits, false, true)}
		narrow := pack(t, spec, trees)
		testWalks(t, r, narrow, narrow.narrow)
		spec.round32 = false
		wide := pack(t, spec, trees)
		testWalks(t, r, wide, wide.wide)
	}
}

func testWalks[W word](t *testing.T, r *rand.Rand, f *forest, p packed[W]) {
	t.Helper()
	const groups = 5
	x := make([][lanes]W, groups*len(f.uses))
	for i := range x {
		for lane := range x[i] {
			x[i][lane] = keyOf[W]([]float64{r.NormFloat64(), math.NaN(), math.Inf(-1), 0, math.Inf(1)}[r.IntN(5)])
		}
	}
	for i := range f.trees {
		tree := &f.trees[i]
		for _, stride := range []int{0, len(f.uses)} {
			at := make([]uint32, groups*lanes)
			done := p.enter(tree, at, x, stride)
			p.walk(at, tree.walk.depth-done, x, stride)
			want := slices.Repeat([]uint32{tree.root}, groups*lanes)
			p.walkPortably(want, tree.walk.depth, x, stride)
			if !slices.Equal(at, want) {
				t.Fatalf("%d nodes, stride %d: the leaves are %v, want %v", len(p), stride, at, want)
			}
			if !p.ended(at) {
				t.Fatalf("%d nodes: after %d steps walks have not ended", len(p), tree.walk.depth)
			}
		}
	}
}

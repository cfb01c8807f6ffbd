package model

// The walks take 4 at a time, because each step waits for memory: other rows through the same tree, or other trees
// for the only row.

// sumRow adds up all trees for one row.
func (f *forest) sumRow(x []float32, acc []float64) {
	t := 0
	if f.wide == nil {
		for ; t+4 <= len(f.roots); t += 4 {
			f.sumRow4(t, x, acc)
		}
	}
	for ; t < len(f.roots); t++ {
		f.addLeafOf(f.walk(t, x), acc)
	}
}

func (f *forest) sumRow4(t int, x []float32, acc []float64) {
	nodes := f.narrow
	i0, i1, i2, i3 := f.roots[t], f.roots[t+1], f.roots[t+2], f.roots[t+3]
	depth := max(f.depths[t], f.depths[t+1], f.depths[t+2], f.depths[t+3])
	for range depth {
		n0, n1, n2, n3 := nodes[i0], nodes[i1], nodes[i2], nodes[i3]
		j0 := n0.ref>>8 + right(x[n0.ref&0xff], n0.threshold)
		j1 := n1.ref>>8 + right(x[n1.ref&0xff], n1.threshold)
		j2 := n2.ref>>8 + right(x[n2.ref&0xff], n2.threshold)
		j3 := n3.ref>>8 + right(x[n3.ref&0xff], n3.threshold)
		if j0 == i0 && j1 == i1 && j2 == i2 && j3 == i3 {
			break // all four are in their leaves
		}
		i0, i1, i2, i3 = j0, j1, j2, j3
	}
	f.addLeafOf(i0, acc)
	f.addLeafOf(i1, acc)
	f.addLeafOf(i2, acc)
	f.addLeafOf(i3, acc)
}

// sumBlock adds up one tree for several rows.
func (f *forest) sumBlock(t int, x []float32, acc []float64) {
	n, k := f.features, f.outputs
	rows, r := len(x)/n, 0
	if f.wide == nil {
		for ; r+4 <= rows; r += 4 {
			f.sumBlock4(t, x[r*n:(r+4)*n], acc[r*k:(r+4)*k])
		}
	}
	for ; r < rows; r++ {
		f.addLeafOf(f.walk(t, x[r*n:(r+1)*n]), acc[r*k:(r+1)*k])
	}
}

func (f *forest) sumBlock4(t int, x []float32, acc []float64) {
	nodes, n, k := f.narrow, f.features, f.outputs
	x0, x1, x2, x3 := x[:n], x[n:2*n], x[2*n:3*n], x[3*n:4*n]
	root := f.roots[t]
	i0, i1, i2, i3 := root, root, root, root
	for range f.depths[t] {
		n0, n1, n2, n3 := nodes[i0], nodes[i1], nodes[i2], nodes[i3]
		j0 := n0.ref>>8 + right(x0[n0.ref&0xff], n0.threshold)
		j1 := n1.ref>>8 + right(x1[n1.ref&0xff], n1.threshold)
		j2 := n2.ref>>8 + right(x2[n2.ref&0xff], n2.threshold)
		j3 := n3.ref>>8 + right(x3[n3.ref&0xff], n3.threshold)
		if j0 == i0 && j1 == i1 && j2 == i2 && j3 == i3 {
			break
		}
		i0, i1, i2, i3 = j0, j1, j2, j3
	}
	f.addLeafOf(i0, acc[:k])
	f.addLeafOf(i1, acc[k:2*k])
	f.addLeafOf(i2, acc[2*k:3*k])
	f.addLeafOf(i3, acc[3*k:4*k])
}

// walk returns the leaf of tree t that one row reaches.
func (f *forest) walk(t int, x []float32) uint32 {
	i := f.roots[t]
	if f.wide != nil {
		for range f.depths[t] {
			n := f.wide[i]
			i = n.child + right(x[n.feature], n.threshold)
		}
		return i
	}
	for range f.depths[t] {
		n := f.narrow[i]
		i = n.ref>>8 + right(x[n.ref&0xff], n.threshold)
	}
	return i
}

// right is 1 where the way leads right: unless x <= threshold. It compiles to no branch.
func right(x, threshold float32) uint32 {
	var r uint32
	if !(x <= threshold) {
		r = 1
	}
	return r
}

func (f *forest) addLeafOf(i uint32, acc []float64) {
	values := f.values[f.leaf[i]:]
	for k := range acc {
		acc[k] += values[k]
	}
}

func hasNaN(x []float32) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// sumMissing is for rows with NaN, which each node sends its own way.
func (f *forest) sumMissing(x []float32, rows int, acc []float64) {
	for r := range rows {
		row := x[r*f.features : (r+1)*f.features]
		for t := range f.roots {
			f.addLeafOf(f.walkMissing(t, row), acc[r*f.outputs:(r+1)*f.outputs])
		}
	}
}

func (f *forest) walkMissing(t int, x []float32) uint32 {
	i := f.roots[t]
	for range f.depths[t] {
		var child, feature uint32
		var threshold float32
		if f.wide != nil {
			child, feature, threshold = f.wide[i].child, f.wide[i].feature, f.wide[i].threshold
		} else {
			child, feature, threshold = f.narrow[i].ref>>8, f.narrow[i].ref&0xff, f.narrow[i].threshold
		}
		if child == i {
			return i // a leaf: its threshold would send NaN on
		}
		v := x[feature]
		if v != v && f.nanLeft[i/64]>>(i%64)&1 != 0 {
			i = child
		} else {
			i = child + right(v, threshold)
		}
	}
	return i
}

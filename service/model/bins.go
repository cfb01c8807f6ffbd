package model

import (
	"math"
	"sort"

	"github.com/weirhq/weir/service/pickle"
)

// buildKBinsDiscretizer gives the index of the bin that a number falls into, or a column for each bin.
func buildKBinsDiscretizer(a attrs) (*estimator, error) {
	edges, err := a.binEdges()
	if err != nil {
		return nil, err
	}
	n, width := len(edges), 0
	from := make([]int, n)
	for j, e := range edges {
		from[j] = width
		width += len(e) - 1
	}
	old := a.version() < 102 // before, numbers just below an edge were pushed over it
	switch a.text("encode") {
	case "ordinal":
		return a.transformer(n, n, eachRow(n, n, func(x, out []float64) {
			for j, v := range x {
				out[j] = float64(bin(v, edges[j], old))
			}
		}))
	case "onehot", "onehot-dense":
		return a.transformer(n, width, eachRow(n, width, func(x, out []float64) {
			clear(out)
			for j, v := range x {
				out[from[j]+bin(v, edges[j], old)] = 1
			}
		}))
	}
	return nil, a.errorf("encode", "%q is not known", a.text("encode"))
}

func bin(v float64, edges []float64, old bool) int {
	if old {
		v += 1e-8 + 1e-5*math.Abs(v)
	}
	inner := edges[1 : len(edges)-1]
	return sort.Search(len(inner), func(i int) bool { return inner[i] > v })
}

// binEdges reads bin_edges_: of each column two or more rising numbers.
func (a attrs) binEdges() ([][]float64, error) {
	items, err := a.sequence("bin_edges_")
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(items))
	for j, item := range items {
		arr, err := pickle.ArrayOf(item)
		if err != nil {
			return nil, a.errorf("bin_edges_", "%w", err)
		}
		if err := a.l.spend(8 * arr.Len()); err != nil {
			return nil, err
		}
		if out[j], err = arr.Floats(); err != nil || len(out[j]) < 2 || !sort.Float64sAreSorted(out[j]) {
			return nil, a.errorf("bin_edges_", "want rising numbers for column %d", j)
		}
	}
	return out, nil
}

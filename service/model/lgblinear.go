package model

import (
	"errors"
	"fmt"
	"strings"
)

// lgbLeaf is a leaf that holds a linear function (LightGBM's linear_tree).
type lgbLeaf struct {
	constant float64
	columns  []int
	factors  []float64
	value    float64 // in its place, if one of the columns is missing
}

// readLinear reads the functions of a tree's leaves.
func (t *lgbTree) readLinear(lines lgbLines, width int, l *loader) error {
	t.linear = make([]lgbLeaf, t.leaves)
	constants, err := lines.floats("leaf_const", t.leaves, l)
	if err != nil {
		return err
	}
	counts, err := lines.integers("num_features", t.leaves, l)
	if err != nil {
		return err
	}
	all := len(strings.Fields(lines["leaf_features"]))
	columns, err := lines.integers("leaf_features", all, l)
	if err != nil {
		return err
	}
	for _, c := range columns {
		if c < 0 || c >= width {
			return fmt.Errorf("leaf_features: there is a column %d: want 0 to %d", c, width-1)
		}
	}
	factors, err := lines.floats("leaf_coeff", all, l)
	if err != nil {
		return err
	}
	if err := l.spend(80 * t.leaves); err != nil {
		return err
	}
	for i, n := range counts {
		if n < 0 || n > len(columns) {
			return fmt.Errorf("num_features: leaf %d has %d of them, but %d are left", i, n, len(columns))
		}
		t.linear[i] = lgbLeaf{constants[i], columns[:n], factors[:n], t.value[i]}
		columns, factors = columns[n:], factors[n:]
		t.value[i] = float64(i)
	}
	if len(columns) > 0 {
		return errors.New("leaf_features: there are more than num_features says")
	}
	return nil
}

// of computes the function for a row.
func (leaf *lgbLeaf) of(x []float64) float64 {
	sum := leaf.constant
	for i, c := range leaf.columns {
		if x[c] != x[c] {
			return leaf.value
		}
		sum += leaf.factors[i] * x[c]
	}
	return sum
}

// linearBlock is how many rows are looked up before their functions are computed.
const linearBlock = 64

// linearSums finds in a forest with an output for each tree the number of the leaf in it, and adds up their functions.
func (m *lgbModel) linearSums(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	n := len(m.linear)
	leaf := s.floats(linearBlock * n)
	for from := 0; from < rows; from += linearBlock {
		to := min(from+linearBlock, rows)
		block := leaf[:(to-from)*n]
		clear(block)
		if err := m.trees.add(x[from*m.in:to*m.in], to-from, block, s); err != nil {
			return err
		}
		for r := from; r < to; r++ {
			for t, leaves := range m.linear {
				out[r*m.margins+t%m.margins] += leaves[int(block[(r-from)*n+t])].of(x[r*m.in : (r+1)*m.in])
			}
		}
	}
	return nil
}

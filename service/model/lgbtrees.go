package model

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// readTrees reads the trees, of which each is a part of lines that begins with its number.
func (m *lgbModel) readTrees(text string, rounds int, l *loader) error {
	var parts []string
	if text != "" {
		parts = strings.Split(text, "\nTree=")
	}
	if len(parts)%m.margins != 0 {
		return fmt.Errorf("there are %d trees: want a multiple of num_tree_per_iteration, %d", len(parts), m.margins)
	}
	if rounds > 0 && rounds < len(parts)/m.margins {
		parts = parts[:rounds*m.margins]
	}
	m.rounds = float64(len(parts) / m.margins)
	if len(parts) == 0 {
		return errors.New("there are no trees")
	}
	var p *packer
	outputs := m.margins
	for i, part := range parts {
		t, err := newLGBTree(part, m.in, l)
		if err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		if i == 0 {
			if t.linear != nil {
				outputs, m.linear = len(parts), make([][]lgbLeaf, len(parts))
			}
			p = l.newPacker(forestSpec{columns: m.in, outputs: outputs, width: 1, nan: true, infinite: true}, len(text)/44)
		}
		if m.linear != nil {
			m.linear[i] = t.linear
		}
		if (t.linear != nil) != (m.linear != nil) {
			return fmt.Errorf("tree %d: either all trees have linear functions in their leaves, or none", i)
		}
		if err := p.tree(2*t.leaves-1, i%outputs, t.node); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	m.trees = p.forest()
	return nil
}

// lgbTree is a tree as LightGBM writes it: the splits are numbered from 0, and a leaf n is a child ^n.
type lgbTree struct {
	leaves                       int
	left, right, column, decides []int
	threshold, value             []float64
	sets                         []*categorySet
	linear                       []lgbLeaf // of linear_tree
}

// The bits of decision_type.
const (
	lgbCategories  = 1
	lgbDefaultLeft = 2
)

func newLGBTree(text string, columns int, l *loader) (*lgbTree, error) {
	lines, err := readLGBLines(text, l)
	if err != nil {
		return nil, err
	}
	t := &lgbTree{}
	if t.leaves, err = lines.integer("num_leaves", 1, math.MaxInt32/2); err != nil {
		return nil, err
	}
	if err := l.spend(40 * min(2*t.leaves, len(text))); err != nil {
		return nil, err
	}
	if t.value, err = lines.floats("leaf_value", t.leaves, l); err != nil {
		return nil, err
	}
	if lines["is_linear"] == "1" {
		if err := t.readLinear(lines, columns, l); err != nil {
			return nil, err
		}
	}
	if t.leaves == 1 {
		return t, nil
	}
	if t.threshold, err = lines.floats("threshold", t.leaves-1, l); err != nil {
		return nil, err
	}
	for name, to := range map[string]*[]int{
		"left_child": &t.left, "right_child": &t.right, "split_feature": &t.column, "decision_type": &t.decides,
	} {
		if *to, err = lines.integers(name, t.leaves-1, l); err != nil {
			return nil, err
		}
	}
	return t, t.readSets(lines, l)
}

// numbers calls f with each of n numbers of a field.
func (l lgbLines) numbers(name string, n int, f func(word string) error) error {
	if len(l[name]) < 2*n-1 {
		return fmt.Errorf("%s: want %d numbers", name, n)
	}
	count := 0
	for rest := l[name]; rest != ""; {
		word, after, _ := strings.Cut(rest, " ")
		if rest = after; word == "" {
			continue
		}
		if count++; count > n {
			break
		}
		if err := f(word); err != nil {
			return fmt.Errorf("%s: %.20q is no number", name, word)
		}
	}
	if count != n {
		return fmt.Errorf("%s: want %d numbers", name, n)
	}
	return nil
}

func (l lgbLines) floats(name string, n int, to *loader) ([]float64, error) {
	if err := to.spend(8 * min(n, len(l[name]))); err != nil {
		return nil, err
	}
	out := make([]float64, 0, min(n, len(l[name])))
	return out, l.numbers(name, n, func(word string) error {
		v, err := strconv.ParseFloat(word, 64)
		out = append(out, v)
		return err
	})
}

func (l lgbLines) integers(name string, n int, to *loader) ([]int, error) {
	if err := to.spend(8 * min(n, len(l[name]))); err != nil {
		return nil, err
	}
	out := make([]int, 0, min(n, len(l[name])))
	return out, l.numbers(name, n, func(word string) error {
		v, err := strconv.Atoi(word)
		out = append(out, v)
		return err
	})
}

// readSets reads the categories that go left: 32-bit words, of which each set has those between two boundaries.
func (t *lgbTree) readSets(lines lgbLines, l *loader) error {
	n, err := lines.integer("num_cat", 0, t.leaves)
	if err != nil || n == 0 {
		return err
	}
	ends, err := lines.integers("cat_boundaries", n+1, l)
	if err != nil {
		return err
	}
	words, err := lines.integers("cat_threshold", max(ends[n], 0), l)
	if err != nil {
		return err
	}
	for i := range n {
		if ends[i] < 0 || ends[i] > ends[i+1] || ends[i+1] > len(words) {
			return fmt.Errorf("cat_boundaries: set %d is outside of the %d words that there are", i, len(words))
		}
		set := &categorySet{bits: make([]uint64, (ends[i+1]-ends[i]+1)/2), truncate: true}
		for j, word := range words[ends[i]:ends[i+1]] {
			set.bits[j/2] |= uint64(uint32(word)) << (32 * (j % 2))
		}
		t.sets = append(t.sets, set)
	}
	return nil
}

// node describes a split, or a leaf: these come after the splits.
func (t *lgbTree) node(i int, n *rawNode) error {
	if leaf := i - (t.leaves - 1); leaf >= 0 {
		n.leaf, n.value = true, append(n.value, t.value[leaf])
		return nil
	}
	n.column, n.left, n.right = t.column[i], t.child(t.left[i]), t.child(t.right[i])
	decides := t.decides[i]
	if decides&lgbCategories != 0 {
		set := t.threshold[i]
		if !(set >= 0 && set < float64(len(t.sets))) {
			return fmt.Errorf("split %d is on a set of categories that there is not", i)
		}
		n.set = t.sets[int(set)]
		return nil
	}
	n.threshold = t.threshold[i]
	left := decides&lgbDefaultLeft != 0
	switch missing := decides >> 2 & 3; {
	case missing == 0:
		n.missing = nanZero
	case missing == 1 && left:
		n.missing = zeroLeft
	case missing == 1:
		n.missing = zeroRight
	case missing == 2 && left:
		n.missing = nanLeft
	case missing == 2:
		n.missing = nanRight
	default:
		return fmt.Errorf("split %d: the decision_type %d is not supported", i, decides)
	}
	return nil
}

// child is the number that the packer knows a child by, or -1 where there is none.
func (t *lgbTree) child(c int) int {
	if c < 0 {
		return ^c + t.leaves - 1
	}
	if c >= t.leaves-1 {
		return -1
	}
	return c
}

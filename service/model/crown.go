package model

// crown are the first three steps through a tree, for rows that all begin at its root: up to 7 comparisons, none of
// which waits for another, and the node that they lead to. What is below a leaf is the leaf.
type crown struct {
	cuts    [7]uint32 // of the root, its children, and theirs
	columns [7]uint32 // offsets in a group of prepared rows
	nodes   [8]uint32 // to -n modulo 8, if n has a bit for each step to the right, the first one the highest
}

// crownSteps are the steps that a crown saves.
const crownSteps = 3

func crownOf(p packed[uint32], root uint32) (c crown) {
	at := [15]uint32{root}
	for i := range c.cuts {
		n := p[at[i]]
		right := at[i] + n.distance()
		left := right - 1
		if c.cuts[i], c.columns[i] = n.cut, n.column()<<columnShift[uint32](); right == at[i] {
			left = right
		}
		at[2*i+1], at[2*i+2] = left, right
	}
	for n := range c.nodes {
		c.nodes[-n&7] = at[7+n]
	}
	return c
}

// enter does the first steps of rows through tree t. It returns how many.
func (p packed[W]) enter(t *tree, at []uint32, x [][lanes]W, stride int) int {
	if first, ok := any(&x[0]).(*[lanes]uint32); ok && hasCrowns && stride > 0 {
		crown32(&t.crown, &at[0], len(at)/lanes, first, stride*lanes*4)
		return crownSteps
	}
	at[0] = t.root
	for n := 1; n < len(at); n *= 2 {
		copy(at[n:], at[:n])
	}
	return 0
}

package model

import "github.com/weirhq/weir/service/pickle"

// oneHot gives a column for each category, or group of rare ones, but for a dropped one.
type oneHot struct {
	columns []*categories
	places  [][]int32 // of each column: for each category the column that is 1, or -1
	unknown []int32   // of each column: the same for a category that is not known
	refuse  bool      // such a category is an error
	width   int
}

// sparseFrom is the width from which on a OneHotEncoder gives sparse rows where it can.
const sparseFrom = 256

// place returns which column is 1 for a cell, or -1.
func (h *oneHot) place(i int, v float64, s *Scratch) (int32, error) {
	j := i % len(h.columns)
	if k := h.columns[j].index(v, s); k >= 0 {
		return h.places[j][k], nil
	}
	if h.refuse {
		return 0, &RangeError{Row: i / len(h.columns), Column: j, Reason: errUnknown}
	}
	return h.unknown[j], nil
}

func (h *oneHot) apply(x []float64, _ int, out []float64, s *Scratch) error {
	clear(out)
	for i, v := range x {
		place, err := h.place(i, v, s)
		if err != nil {
			return err
		}
		if place >= 0 {
			out[i/len(h.columns)*h.width+int(place)] = 1
		}
	}
	return nil
}

func (h *oneHot) sparse(x []float64, _ int, to *sparse, s *Scratch) error {
	for i, v := range x {
		place, err := h.place(i, v, s)
		if err != nil {
			return err
		}
		if place >= 0 {
			to.add(int(place), 1)
		}
		if (i+1)%len(h.columns) == 0 {
			to.end()
		}
	}
	return nil
}

func buildOneHotEncoder(a attrs) (*estimator, error) {
	h := &oneHot{}
	var err error
	if h.columns, err = a.readCategories(); err != nil {
		return nil, err
	}
	grouped, err := a.readGroups(h.columns)
	if err != nil {
		return nil, err
	}
	dropped, err := a.dropped(len(h.columns))
	if err != nil {
		return nil, err
	}
	toGroup := false
	switch how := a.text("handle_unknown"); how {
	case "error":
		h.refuse = true
	case "infrequent_if_exist", "warn":
		toGroup = true
	case "ignore":
	default:
		return nil, a.errorf("handle_unknown", "%.40q is not known", how)
	}
	for j, c := range h.columns {
		if drop := dropped[j]; drop < -1 || drop >= grouped[j].size(c.size) {
			return nil, a.errorf("drop_idx_", "want a place of column %d's categories", j)
		}
		h.add(grouped[j], c.size, dropped[j], toGroup)
	}
	e, err := a.transformer(len(h.columns), h.width, h.apply)
	if err != nil {
		return nil, err
	}
	if h.width >= sparseFrom {
		e.sparse = h.sparse
	}
	return e.taking(takesOf(h.columns, !h.refuse)), nil
}

// add adds a column of n categories. The last group is the one of rare categories, if g is there.
func (h *oneHot) add(g groups, n, drop int, toGroup bool) {
	place := func(group int) int32 {
		switch {
		case group == drop:
			return -1
		case drop >= 0 && group > drop:
			group--
		}
		return int32(h.width + group)
	}
	places := make([]int32, n)
	for k := range places {
		places[k] = place(g.of(k))
	}
	unknown := int32(-1)
	size := g.size(n)
	if toGroup && g != nil {
		unknown = place(size - 1)
	}
	h.places, h.unknown = append(h.places, places), append(h.unknown, unknown)
	if h.width += size; drop >= 0 {
		h.width--
	}
}

// dropped reads which place of each column is left out, -1 for none. Since 1.3 drop_idx_ counts single categories, and
// another attribute has what we want.
func (a attrs) dropped(n int) ([]int, error) {
	out := make([]int, n)
	for j := range out {
		out[j] = -1
	}
	name := "drop_idx_"
	if _, ok := a.o.Attrs["_drop_idx_after_grouping"]; ok {
		name = "_drop_idx_after_grouping"
	}
	if a.o.Attrs[name] == nil {
		return out, nil
	}
	arr, err := pickle.ArrayOf(a.o.Attrs[name])
	if err != nil || arr.Len() != n {
		return nil, a.errorf(name, "want one for each column")
	}
	values, err := a.values(name, arr)
	if err != nil {
		return nil, err
	}
	for j, v := range values {
		if v == nil {
			continue
		}
		if out[j], err = pickle.Int(v); err != nil || out[j] < 0 {
			return nil, a.errorf(name, "want a place of column %d's categories", j)
		}
	}
	return out, nil
}

package model

import (
	"fmt"
	"math"
	"sort"

	"github.com/weirhq/weir/service/pickle"
)

// categories are what one column had in training: numbers, texts, or both, and maybe that it was missing.
type categories struct {
	size    int
	numbers []float64 // in rising order
	places  []int32   // of the numbers among the categories
	texts   map[string]int32
	null    int // place of None, or else of NaN; -1 if missing cells are no category
	nan     int // place of NaN, or -1
}

// index finds a cell, or -1.
func (c *categories) index(v float64, s *Scratch) int {
	if v != v {
		if text, ok := s.text(v); ok {
			if i, ok := c.texts[string(text)]; ok {
				return int(i)
			}
			return -1
		}
		return c.null
	}
	if i := sort.SearchFloat64s(c.numbers, v); i < len(c.numbers) && c.numbers[i] == v {
		return int(c.places[i])
	}
	return -1
}

// takes says what an encoder of the column takes. Others than the categories' kinds only lead to errors; where missing
// cells are no category they are unknown, which open says is no error.
func (c *categories) takes(open bool) Takes {
	var t Takes
	if len(c.numbers) > 0 {
		t |= Numbers
	}
	if len(c.texts) > 0 {
		t |= Texts
	}
	if t == 0 {
		t = Numbers
	}
	if open || c.null >= 0 {
		t |= Nulls
	}
	return t
}

// readCategories reads categories_.
func (a attrs) readCategories() ([]*categories, error) {
	items, err := a.sequence("categories_")
	if err != nil {
		return nil, err
	}
	out := make([]*categories, len(items))
	for j, item := range items {
		if out[j], err = a.categoriesOf(item, j); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a attrs) categoriesOf(v any, column int) (*categories, error) {
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		return nil, a.errorf("categories_", "column %d: %w", column, err)
	}
	values, err := a.values("categories_", arr)
	if err != nil {
		return nil, err
	}
	if len(arr.Shape) != 1 || len(values) == 0 || len(values) > maxWidth {
		return nil, a.errorf("categories_", "column %d has none, or far too many", column)
	}
	if err := a.l.spend(64 * len(values)); err != nil {
		return nil, a.errorf("categories_", "%w", err)
	}
	c, err := newCategories(values)
	if err != nil {
		return nil, a.errorf("categories_", "column %d: %w", column, err)
	}
	return c, nil
}

// newCategories makes them of numbers, texts, booleans and None.
func newCategories(values []any) (*categories, error) {
	c := &categories{size: len(values), texts: map[string]int32{}, null: -1, nan: -1}
	for i, v := range values {
		if !c.add(v, i) {
			return nil, fmt.Errorf("place %d holds one that is neither a number, text, boolean nor None, or that is there twice", i)
		}
	}
	if c.null < 0 {
		c.null = c.nan
	}
	sort.Sort(byNumber{c})
	for i := range c.numbers {
		if i > 0 && c.numbers[i] == c.numbers[i-1] {
			return nil, fmt.Errorf("%v is there twice", c.numbers[i])
		}
	}
	return c, nil
}

// add takes the category at place i. It is false for one that can't be, or that is there already.
func (c *categories) add(v any, i int) bool {
	if v == nil {
		twice := c.null >= 0
		c.null = i
		return !twice
	}
	v, err := pickle.Scalar(v)
	if err != nil {
		return false
	}
	if text, ok := v.(string); ok {
		_, twice := c.texts[text]
		c.texts[text] = int32(i)
		return !twice
	}
	n := labelNumber(v)
	if math.IsNaN(n) {
		twice := c.nan >= 0
		c.nan = i
		return !twice
	}
	c.numbers, c.places = append(c.numbers, n), append(c.places, int32(i))
	return true
}

// byNumber sorts the numbers of categories.
type byNumber struct{ *categories }

func (b byNumber) Len() int           { return len(b.numbers) }
func (b byNumber) Less(i, j int) bool { return b.numbers[i] < b.numbers[j] }
func (b byNumber) Swap(i, j int) {
	b.numbers[i], b.numbers[j] = b.numbers[j], b.numbers[i]
	b.places[i], b.places[j] = b.places[j], b.places[i]
}

// groups are, for each category of a column, its place once rare ones share the last place. They have no entry for a
// last category that is not counted, because it is that of missing cells.
type groups []int

// readGroups reads how rare categories were grouped, for each column; nil where they weren't.
func (a attrs) readGroups(columns []*categories) ([]groups, error) {
	out := make([]groups, len(columns))
	if on, err := a.flag("_infrequent_enabled"); err != nil || !on {
		return out, nil //nolint:nilerr // before 1.1 there was none
	}
	items, err := a.sequence("_default_to_infrequent_mappings")
	if err != nil {
		return nil, err
	}
	if len(items) != len(columns) {
		return nil, a.errorf("_default_to_infrequent_mappings", "want one for each column")
	}
	for j, item := range items {
		if item == nil {
			continue
		}
		n := columns[j].size
		arr, err := pickle.ArrayOf(item)
		if err != nil || len(arr.Shape) != 1 || arr.Len() != n && arr.Len() != n-1 {
			return nil, a.errorf("_default_to_infrequent_mappings", "want a place for each category of column %d", j)
		}
		values, err := a.values("_default_to_infrequent_mappings", arr)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			place, err := pickle.Int(v)
			if err != nil || place < 0 || place >= n {
				return nil, a.errorf("_default_to_infrequent_mappings", "want places from 0 to %d for column %d", n-1, j)
			}
			out[j] = append(out[j], place)
		}
	}
	return out, nil
}

// of returns the place of category k.
func (g groups) of(k int) int {
	if k < len(g) {
		return g[k]
	}
	return k
}

// size is the number of places of n categories.
func (g groups) size(n int) int {
	top := -1
	for k := range n {
		top = max(top, g.of(k))
	}
	return top + 1
}

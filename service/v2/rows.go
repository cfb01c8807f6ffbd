package v2

import (
	"fmt"
	"slices"

	"github.com/weirhq/weir/service/wire"
)

// Columns are those of a model.
type Columns struct {
	Count     int      // -1: any number
	Names     []string // nil if the model has none
	Documents bool     // a row is one text
}

// Fill puts the request's tensors into rows. One tensor holds whole rows, [rows, columns], or one row, [columns].
// Several, or one that is called like a column, are columns, [rows] or [rows, 1], by name. Those of a model without
// names of columns stand in the request's order, and may be several columns wide.
func (r *Request) Fill(rows *wire.Rows, c Columns, maxRows int) error {
	for i := range r.Inputs {
		if len(r.Inputs[i].Shape) > 2 {
			return fmt.Errorf("input %q has the shape %v: want [rows, columns]", r.Inputs[i].Name, r.Inputs[i].Shape)
		}
	}
	places, err := r.places(c)
	if err != nil {
		return err
	}
	count, widths, err := r.sizes(c)
	if err != nil {
		return err
	}
	if count > maxRows {
		return &wire.TooManyRowsError{Max: maxRows}
	}
	total := 0
	for i, w := range widths {
		if places != nil && w != 1 {
			return fmt.Errorf("input %q has the shape %v, but it is one column: want [rows, 1]", r.Inputs[i].Name,
				r.Inputs[i].Shape)
		}
		total += w
	}
	if count == 0 || total == 0 {
		return fmt.Errorf("there is not one row in the request")
	}
	if c.Count >= 0 && total != c.Count {
		return fmt.Errorf("the tensors have %d columns, but the model takes %d%s", total, c.Count, named(c.Names))
	}
	rows.Reset(count, total)
	from := 0
	for i := range r.Inputs {
		if places != nil {
			from = places[i]
		}
		r.Inputs[i].fill(rows, from, widths[i])
		from += widths[i]
	}
	return nil
}

// places returns the column of each tensor, or nil where they are not named by columns.
func (r *Request) places(c Columns) ([]int, error) {
	places, found := make([]int, len(r.Inputs)), 0
	for i := range r.Inputs {
		if places[i] = slices.Index(c.Names, r.Inputs[i].Name); places[i] < 0 {
			continue
		}
		if slices.Contains(places[:i], places[i]) {
			return nil, fmt.Errorf("column %q is in the request twice", r.Inputs[i].Name)
		}
		found++
	}
	single := len(r.Inputs) == 1 && !r.Columns
	if c.Names == nil || found == 0 && single || single && r.wide(c) {
		return nil, nil
	}
	for i := range r.Inputs {
		if places[i] < 0 {
			return nil, fmt.Errorf("input %q is no column of the model%s", r.Inputs[i].Name, named(c.Names))
		}
	}
	for _, name := range c.Names {
		if !slices.ContainsFunc(r.Inputs, func(t Input) bool { return t.Name == name }) {
			return nil, fmt.Errorf("column %q is missing: send a tensor for each column%s", name, named(c.Names))
		}
	}
	return places, nil
}

// wide reports whether a request's only tensor holds whole rows although it is called like a column.
func (r *Request) wide(c Columns) bool {
	shape := r.Inputs[0].Shape
	return c.Count != 1 && shape[len(shape)-1] == c.Count
}

// sizes returns the number of rows, and how many columns each tensor has.
func (r *Request) sizes(c Columns) (count int, widths []int, err error) {
	for i := range r.Inputs {
		t := &r.Inputs[i]
		rows, width := t.Shape[0], 1
		switch {
		case len(t.Shape) == 2:
			width = t.Shape[1]
		case len(r.Inputs) == 1 && c.Count != 1 && !c.Documents:
			rows, width = 1, t.Shape[0]
		}
		if i > 0 && rows != count {
			return 0, nil, fmt.Errorf("input %q has %d rows, but %q has %d", t.Name, rows, r.Inputs[0].Name, count)
		}
		count = rows
		widths = append(widths, width)
	}
	return count, widths, nil
}

func (t *Input) fill(rows *wire.Rows, from, width int) {
	for i, v := range t.Numbers {
		rows.SetNumber(i/width, from+i%width, v)
	}
	for i, v := range t.Texts {
		if v == nil {
			continue // missing
		}
		rows.SetText(i/width, from+i%width, v)
	}
}

// maxNamed is the number of columns up to which error texts name all of them.
const maxNamed = 16

func named(names []string) string {
	if len(names) == 0 || len(names) > maxNamed {
		return ""
	}
	return fmt.Sprintf(": %q", names)
}

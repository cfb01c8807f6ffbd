package wire

import (
	"fmt"
	"slices"
)

// object reads the rest of a row that is an object, after its '{': a member for each column, in any order.
func (r *Rows) object(s *scanner) error {
	names := s.schema.names
	if names == nil {
		return s.fail("a row is an object, but the model has no names of columns: send lists")
	}
	start, from := s.i, len(r.X)
	r.X = slices.Grow(r.X, len(names))[:from+len(names)]
	r.Width = len(names)
	r.nextObject()
	for expect, count := 0, 0; ; count++ {
		s.space()
		if s.peek() == '}' && count == 0 {
			s.i++
			break
		}
		column, err := r.column(s, expect)
		if err != nil {
			return err
		}
		v, err := s.cell(r)
		if err != nil {
			return at(err, r.Count-1, fmt.Sprintf("%.60q", names[column]))
		}
		r.X[from+column] = v
		expect = column + 1
		s.space()
		if s.take('}') {
			break
		}
		if !s.take(',') {
			return s.want("',' or '}' after a cell")
		}
	}
	for column, stamp := range r.seen {
		if stamp != r.stamp {
			s.i = start
			return s.fail(fmt.Sprintf("row %d of x has no %.60q: want all of the model's %d columns", r.Count-1, names[column],
				len(names)))
		}
	}
	return nil
}

func (r *Rows) nextObject() {
	if r.stamp++; r.stamp == 0 || len(r.seen) != r.Width {
		r.seen, r.stamp = append(r.seen[:0], make([]uint32, r.Width)...), 1
	}
}

// column reads a member's name and the colon, and returns which column it is. Expect is a guess.
func (r *Rows) column(s *scanner, expect int) (int, error) {
	if s.peek() != '"' {
		return 0, s.want("the name of a column")
	}
	start := s.i
	name, err := s.text()
	if err != nil {
		return 0, err
	}
	column, ok := expect, true
	if names := s.schema.names; expect >= len(names) || names[expect] != string(name) {
		column, ok = s.schema.Column(name)
	}
	if !ok {
		s.i = start
		return 0, s.fail(fmt.Sprintf("row %d of x has %.60q, but the model has no such column", r.Count-1, name))
	}
	if r.seen[column] == r.stamp {
		s.i = start
		return 0, s.fail(fmt.Sprintf("row %d of x has %.60q twice", r.Count-1, name))
	}
	r.seen[column] = r.stamp
	s.space()
	if !s.take(':') {
		return 0, s.want("':'")
	}
	s.space()
	return column, nil
}

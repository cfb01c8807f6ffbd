package model

import (
	"fmt"
	"strings"

	"github.com/weirhq/weir/service/cell"
)

// Takes says what may stand in a column.
type Takes uint8

// What a cell can be.
const (
	Numbers Takes = 1 << iota
	Texts
	Nulls    // it is missing
	anything = Numbers | Texts | Nulls
)

// String names the kinds, as in "number or text".
func (t Takes) String() string {
	var out []string
	for i, name := range []string{"number", "text", "null"} {
		if t>>i&1 != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, " or ")
}

// Column is one column of the rows that a model takes.
type Column struct {
	Name  string // "" if the file has no names
	Takes Takes
}

// columns describes what the estimator takes.
func (e *estimator) columns() []Column {
	out := make([]Column, max(0, e.In))
	for j := range out {
		if out[j].Takes = e.takesAt(j); len(e.Names) == len(out) {
			out[j].Name = e.Names[j]
		}
	}
	return out
}

// takesAt returns what the estimator takes in column j.
func (e *estimator) takesAt(j int) Takes {
	switch {
	case len(e.takes) > 0 && len(e.takes) == e.In:
		return e.takes[j]
	case e.takesAny:
		return anything
	case e.Missing:
		return Numbers | Nulls
	}
	return Numbers
}

// taking sets what the estimator takes in each column.
func (e *estimator) taking(takes []Takes) *estimator {
	e.takes, e.takesAny, e.Missing = nil, false, false
	for _, t := range takes {
		e.Missing = e.Missing || t&Nulls != 0
		if t != takes[0] || t&^Nulls != Numbers {
			e.takes = takes
		}
	}
	return e
}

// takingAs makes the estimator take what all of others take, which get the same rows.
func (e *estimator) takingAs(others []*estimator) *estimator {
	takes := make([]Takes, e.In)
	for j := range takes {
		takes[j] = anything
		for _, o := range others {
			takes[j] &= o.takesAt(j)
		}
	}
	for _, o := range others {
		e.Documents = e.Documents || o.Documents
	}
	return e.taking(takes)
}

// check refuses a cell in a column that doesn't take its kind.
func (e *estimator) check(x []float64, rows int, s *Scratch) error {
	width := len(x) / max(1, rows)
	for i, v := range x {
		kind := Numbers
		if v != v {
			kind = Nulls
			if _, ok := s.text(v); ok {
				kind = Texts
			}
		}
		if takes := e.takesAt(i % width); takes&kind == 0 {
			return &RangeError{Row: i / width, Column: i % width, Reason: fmt.Sprintf("the model takes %s here, but this is %s",
				takes, map[Takes]string{Numbers: "a number", Texts: "text", Nulls: "null"}[kind])}
		}
	}
	return nil
}

// origin is where a column that a transformer gives is from, if from one column alone.
type origin struct {
	column int   // -1: from none or several
	kept   Takes // cells of these kinds are handed on as they are
}

// originSize is the memory of an origin, in bytes.
const originSize = 16

// traced reports whether some columns that the estimator gives have an origin.
func (e *estimator) traced() bool { return e.takesAny || e.columnwise || e.origins != nil }

// origin returns where column k of what the estimator gives is from.
func (e *estimator) origin(k int) origin {
	switch {
	case e.takesAny:
		return origin{k, anything}
	case e.columnwise:
		return origin{k, Nulls}
	case k >= 0 && k < len(e.origins):
		return e.origins[k]
	}
	return origin{column: -1}
}

// before returns where something is from that has the origin o in what the estimator gives.
func (e *estimator) before(o origin) origin {
	from := e.origin(o.column)
	return origin{from.column, from.kept & o.kept}
}

// originsAmong returns the origins of what the estimator gives if it gets the given columns of wider rows.
func (e *estimator) originsAmong(columns []int) []origin {
	if !e.traced() {
		return nil
	}
	out := make([]origin, e.Out)
	for k := range out {
		if out[k] = e.origin(k); out[k].column >= 0 {
			out[k].column = columns[out[k].column]
		}
	}
	return out
}

// SetInput says of the rows of the next calls which texts their cells stand for (see package cell), and whether some
// cells are missing.
func (s *Scratch) SetInput(texts [][]byte, missing bool) {
	s.texts, s.given, s.missing = texts, len(texts), missing
}

// text returns the text that a cell stands for.
func (s *Scratch) text(v float64) ([]byte, bool) {
	if i, ok := cell.Index(v); ok && i < len(s.texts) {
		return s.texts[i], true
	}
	return nil, false
}

// addText returns a cell for a text.
func (s *Scratch) addText(text []byte) float64 {
	s.texts = append(s.texts, text)
	return cell.Text(len(s.texts) - 1)
}

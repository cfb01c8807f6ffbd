// Package wire reads the body of a prediction request and writes the answer, without allocating on the usual path.
//
// The body is one JSON object with the member x: a row, or a list of rows. A row is a list of cells, or an object with a
// cell for each named column. A cell is a number or, where the model takes it, text; true and false are 1 and 0, and
// null stands for what is missing. Where a row is one text, x may also be a list of texts.
// The members probabilities and decision, true or false, ask for more than the prediction.
// The scanner is strict: it takes exactly the documents that RFC 8259 allows and that have this shape. It refuses
// other members, members twice, and anything after the object.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Error says where in a body something is wrong, and what was expected there.
type Error struct {
	Offset int // bytes from the start
	Reason string
}

// Error returns both.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

// TooManyRowsError means that x has more rows than allowed.
type TooManyRowsError struct{ Max int }

// Error names the limit.
func (e *TooManyRowsError) Error() string {
	return fmt.Sprintf("x has more than %d rows: send them in several requests", e.Max)
}

// Parse reads a body. It replaces escapes in it, and Texts are slices of it. After an error the content of r is
// undefined.
func (r *Rows) Parse(body []byte, maxRows int, schema *Schema) error {
	r.clear()
	s := scanner{b: body, schema: schema}
	s.space()
	if !s.take('{') {
		return s.want("an object")
	}
	var seen [members]bool
	for {
		s.space()
		m, err := s.key()
		if err != nil {
			return err
		}
		if seen[m] {
			return s.fail("a member is in the request twice")
		}
		seen[m] = true
		if err := r.member(&s, m, maxRows); err != nil {
			return err
		}
		s.space()
		if !s.take(',') {
			break
		}
	}
	if !s.take('}') {
		return s.want("',' or '}'")
	}
	s.space()
	if s.i < len(s.b) {
		return s.fail("something follows the request")
	}
	if !seen[memberX] {
		return s.fail(`the request has no member "x"`)
	}
	r.Missing = s.null
	return nil
}

// The members of a request.
const (
	memberX = iota
	memberProbabilities
	memberDecision
	members
)

var memberNames = map[string]int{"x": memberX, "probabilities": memberProbabilities, "decision": memberDecision}

func (r *Rows) member(s *scanner, m, maxRows int) (err error) {
	switch m {
	case memberX:
		return r.value(s, maxRows)
	case memberProbabilities:
		r.Probabilities, err = s.boolean()
	case memberDecision:
		r.Decision, err = s.boolean()
	}
	return err
}

// value reads a row or a list of rows.
func (r *Rows) value(s *scanner, maxRows int) error {
	s.space()
	if s.take('{') {
		r.Count = 1
		return r.object(s)
	}
	if !s.take('[') {
		return s.want("a list for x")
	}
	s.space()
	first := s.peek()
	switch {
	case first == '[', first == '{', first == '"' && s.schema.documents:
	default:
		r.Count = 1
		return r.row(s)
	}
	r.Nested = true
	for {
		if r.Count == maxRows {
			return &TooManyRowsError{maxRows}
		}
		if s.peek() != first {
			return s.want(map[byte]string{
				'[': "a list for each row of x", '{': "an object for each row of x", '"': "a text for each row of x",
			}[first])
		}
		r.Count++
		if err := r.next(s, first); err != nil {
			return err
		}
		s.space()
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.want("',' or ']' after a row")
		}
		s.space()
	}
}

// next reads a row that begins with first.
func (r *Rows) next(s *scanner, first byte) error {
	switch first {
	case '{':
		s.i++
		return r.object(s)
	case '[':
		s.i++
		return r.row(s)
	}
	v, err := s.cell(r)
	r.X, r.Width = append(r.X, v), 1
	return err
}

// row reads the rest of a list of cells, after its '['.
func (r *Rows) row(s *scanner) error {
	start, from := s.i, len(r.X)
	for {
		s.space()
		if s.peek() == ']' && len(r.X) == from {
			return s.fail("a row of x is empty: want at least one number")
		}
		v, err := s.cell(r)
		if err != nil {
			return r.at(err, s.schema, len(r.X)-from)
		}
		r.X = append(r.X, v)
		s.space()
		if s.take(']') {
			break
		}
		if !s.take(',') {
			return s.want("',' or ']' after a number")
		}
	}
	n := len(r.X) - from
	if r.Count == 1 {
		r.Width = n
	}
	if n != r.Width {
		s.i = start
		return s.fail(fmt.Sprintf("row %d of x has %d numbers, but row 0 has %d", r.Count-1, n, r.Width))
	}
	return nil
}

// at adds to an error in which row and column it is.
func (r *Rows) at(err error, schema *Schema, column int) error {
	if column < len(schema.names) {
		return at(err, r.Count-1, fmt.Sprintf("%d (%.60q)", column, schema.names[column]))
	}
	return at(err, r.Count-1, strconv.Itoa(column))
}

func at(err error, row int, column string) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return &Error{e.Offset, fmt.Sprintf("row %d, column %s: %s", row, column, e.Reason)}
	}
	return err
}

// scanner is a position in a body.
type scanner struct {
	b      []byte
	i      int
	schema *Schema
	null   bool // there is one in x
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// key reads a member's name and the colon.
func (s *scanner) key() (int, error) {
	m := memberX
	if len(s.b)-s.i >= 3 && s.b[s.i] == '"' && s.b[s.i+1] == 'x' && s.b[s.i+2] == '"' {
		s.i += 3
	} else {
		var err error
		if m, err = s.otherKey(); err != nil {
			return 0, err
		}
	}
	s.space()
	if !s.take(':') {
		return 0, s.want("':'")
	}
	return m, nil
}

// otherKey reads the other names, also with escapes, and says what else it finds.
func (s *scanner) otherKey() (int, error) {
	if s.peek() != '"' {
		return 0, s.want(`the member "x"`)
	}
	end := s.i + 1
	for end < len(s.b) && s.b[end] != '"' {
		if s.b[end] == '\\' {
			end++
		}
		end++
	}
	var key string
	if end >= len(s.b) || json.Unmarshal(s.b[s.i:end+1], &key) != nil {
		return 0, s.fail("a name that is no JSON text")
	}
	m, ok := memberNames[key]
	if !ok {
		return 0, s.fail(fmt.Sprintf("the member %.40q is not known: want x, probabilities or decision", key))
	}
	s.i = end + 1
	return m, nil
}

// boolean reads true or false.
func (s *scanner) boolean() (bool, error) {
	s.space()
	switch rest := s.b[s.i:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		s.i += 4
		return true, nil
	case bytes.HasPrefix(rest, []byte("false")):
		s.i += 5
		return false, nil
	}
	return false, s.want("true or false")
}

// cell reads a number, or what else may stand for one.
func (s *scanner) cell(r *Rows) (float64, error) {
	c := s.peek()
	if c <= '9' && c != '"' {
		return s.number()
	}
	switch rest := s.b[s.i:]; {
	case c == '"' && s.schema.texts:
		text, err := s.text()
		if err != nil {
			return 0, err
		}
		return r.text(text), nil
	case bytes.HasPrefix(rest, []byte("true")):
		s.i += 4
		return 1, nil
	case bytes.HasPrefix(rest, []byte("false")):
		s.i += 5
		return 0, nil
	case s.schema.missing && bytes.HasPrefix(rest, []byte("null")):
		s.i, s.null = s.i+4, true
		return math.NaN(), nil
	}
	return 0, s.notANumber()
}

// notANumber says what stands in the place of a number.
func (s *scanner) notANumber() error {
	found := ""
	switch c := s.peek(); {
	case c == '"':
		found = "a text"
	case c == '[':
		found = "a list"
	case c == '{':
		found = "an object"
	case c == 'n':
		found = "null, and the model can't take missing numbers"
	case c == 'N' || c == 'I' || c == '-' && s.i+1 < len(s.b) && s.b[s.i+1] == 'I':
		found = "NaN or Infinity, which JSON doesn't have and the model can't take"
	default:
		return s.want("a finite number in x")
	}
	return s.fail("want a finite number in x, but this is " + found)
}

// want says what should be at the current position, and what is.
func (s *scanner) want(what string) error {
	if s.i >= len(s.b) {
		return s.fail("want " + what + ", but the body ends here")
	}
	return s.fail(fmt.Sprintf("want %s, but find %q", what, s.b[s.i:min(len(s.b), s.i+12)]))
}

func (s *scanner) fail(reason string) error { return &Error{s.i, reason} }

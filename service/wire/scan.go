// Package wire reads the body of a prediction request and writes the answer, without allocating on the usual path.
//
// The body is one JSON object with the member x: a list of numbers, which is one row, or a list of such lists; null
// stands for a missing number. The members probabilities and decision, true or false, ask for more than the prediction.
// The scanner is strict: it takes exactly the documents that RFC 8259 allows and that have this shape. It refuses
// other members, members twice, and anything after the object.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Rows is the content of a request. It is reused from request to request.
type Rows struct {
	X      []float64 // all numbers, row by row
	Count  int       // rows
	Width  int       // numbers in each row
	Nested bool      // x was a list of rows

	Missing       bool // x has a null: a NaN in X
	Probabilities bool // the member probabilities is true
	Decision      bool // the member decision is true
}

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

// Parse reads a body. Missing allows null in x. After an error the content of r is undefined.
func (r *Rows) Parse(body []byte, maxRows int, missing bool) error {
	*r = Rows{X: r.X[:0]}
	s := scanner{b: body, missing: missing}
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
	r.Missing = s.found
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

// value reads the list of numbers or of rows.
func (r *Rows) value(s *scanner, maxRows int) error {
	s.space()
	if !s.take('[') {
		return s.want("a list for x")
	}
	s.space()
	if s.peek() != '[' {
		r.Count = 1
		return r.row(s)
	}
	r.Nested = true
	for {
		if r.Count == maxRows {
			return &TooManyRowsError{maxRows}
		}
		if !s.take('[') {
			return s.want("a list for each row of x")
		}
		r.Count++
		if err := r.row(s); err != nil {
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

// row reads the rest of a list of numbers, after its '['.
func (r *Rows) row(s *scanner) error {
	start, from := s.i, len(r.X)
	for {
		s.space()
		if s.peek() == ']' && len(r.X) == from {
			return s.fail("a row of x is empty: want at least one number")
		}
		v, err := s.number()
		if err != nil {
			return err
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

// scanner is a position in a body.
type scanner struct {
	b       []byte
	i       int
	missing bool // null is allowed in x
	found   bool // there is one
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

// null reads a missing number.
func (s *scanner) null() bool {
	if !s.missing || !bytes.HasPrefix(s.b[s.i:], []byte("null")) {
		return false
	}
	s.i, s.found = s.i+4, true
	return true
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
	case c == 't' || c == 'f':
		found = "a boolean"
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

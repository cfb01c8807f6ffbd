package wire

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a JSON text. It is a slice of the body, in which escapes are replaced by what they stand for.
func (s *scanner) text() ([]byte, error) {
	from := s.i + 1
	for i := from; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			return s.checked(s.b[from:i], i+1)
		case c == '\\':
			return s.escaped(from, i)
		case c < ' ':
			s.i = i
			return nil, s.fail("a control character in a text: write it as an escape, such as \\n")
		}
	}
	s.i = len(s.b)
	return nil, s.want(`'"' at the end of a text`)
}

func (s *scanner) checked(text []byte, end int) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, s.fail("a text that is not UTF-8")
	}
	s.i = end
	return text, nil
}

// escaped reads the rest of a text from the first escape at i on. What is read is never shorter than what it stands
// for, so that it is written over it.
func (s *scanner) escaped(from, i int) ([]byte, error) {
	to := i
	for i < len(s.b) {
		c := s.b[i]
		switch {
		case c == '"':
			return s.checked(s.b[from:to], i+1)
		case c < ' ':
			s.i = i
			return nil, s.fail("a control character in a text: write it as an escape, such as \\n")
		case c != '\\':
			s.b[to] = c
			to, i = to+1, i+1
			continue
		}
		r, n := escape(s.b[i:])
		if n == 0 {
			s.i = i
			return nil, s.fail(fmt.Sprintf("a text with the escape %q, which JSON doesn't have", s.b[i:min(len(s.b), i+6)]))
		}
		to += utf8.EncodeRune(s.b[to:i+n], r)
		i += n
	}
	s.i = len(s.b)
	return nil, s.want(`'"' at the end of a text`)
}

// escape reads the escape that b begins with. It returns the character and the length of the escape, 0 if it is none.
func escape(b []byte) (rune, int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	r, ok := hex(b)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex(b[6:])
	if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
		return pair, 12
	}
	return 0, 0
}

// hex reads \uXXXX.
func hex(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

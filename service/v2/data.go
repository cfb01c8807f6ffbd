package v2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// fromJSON reads data: n elements in one list, or in lists nested as the shape says.
func (t *Input) fromJSON(data []byte, d datatype, n int) error {
	s := list{data: data, shape: t.Shape}
	if !s.fits(n) {
		return fmt.Errorf(`"data" has not the %d elements of the shape %v, in one list or nested`, n, t.Shape)
	}
	if d.size == 0 {
		t.Texts = make([][]byte, 0, n)
	} else {
		t.Numbers = make([]float64, 0, n)
	}
	for i := range n {
		if err := t.element(s.next(), d); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

// element appends one element of JSON.
func (t *Input) element(text []byte, d datatype) error {
	switch {
	case d.size == 0 && text[0] == 'n':
		t.Texts = append(t.Texts, nil)
		return nil
	case d.size == 0:
		var content string
		if text[0] != '"' || json.Unmarshal(text, &content) != nil {
			return fmt.Errorf("%.30s is not a text", text)
		}
		t.Texts = append(t.Texts, []byte(content))
		return nil
	case d.null && text[0] == 'n':
		t.Numbers = append(t.Numbers, math.NaN())
		return nil
	}
	v, err := d.parse(unsafe.String(unsafe.SliceData(text), len(text)))
	t.Numbers = append(t.Numbers, v)
	return err
}

// fromBinary reads n elements, little endian. A text has its length in front, in 4 bytes.
func (t *Input) fromBinary(b []byte, d datatype, n int) error {
	if d.size == 0 {
		return t.binaryTexts(b, n)
	}
	if len(b) != n*d.size {
		return fmt.Errorf("%s of the shape %v has %d bytes, not %d", t.Datatype, t.Shape, n*d.size, len(b))
	}
	t.Numbers = make([]float64, n)
	for i := range t.Numbers {
		v := d.read(b[i*d.size:])
		if math.IsInf(v, 0) {
			return fmt.Errorf("element %d is infinite", i)
		}
		t.Numbers[i] = v
	}
	return nil
}

func (t *Input) binaryTexts(b []byte, n int) error {
	if n > len(b)/4 {
		return fmt.Errorf("%d texts don't fit into %d bytes: each has its length in 4 bytes before it", n, len(b))
	}
	t.Texts = make([][]byte, n)
	for i := range t.Texts {
		if len(b) < 4 || uint64(little.Uint32(b)) > uint64(len(b)-4) {
			return fmt.Errorf("text %d is longer than the tensor", i)
		}
		size := int(little.Uint32(b))
		if t.Texts[i] = b[4 : 4+size : 4+size]; !utf8.Valid(t.Texts[i]) {
			return fmt.Errorf("text %d is not UTF-8", i)
		}
		b = b[4+size:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes follow its last text", len(b))
	}
	return nil
}

// list is a position in valid JSON: lists, perhaps nested, of what are no lists.
type list struct {
	data  []byte
	i     int
	shape []int
}

// fits reports whether there are n elements, all in one list or nested as the shape. It leaves the position as it is.
func (l list) fits(n int) bool {
	flat := slices.Clone([]int{n})
	return l.matches(flat) || l.matches(l.shape)
}

// matches reports whether the lists are nested exactly as shape says.
func (l list) matches(shape []int) bool {
	var counts []int // of what the open lists hold
	for ; l.i < len(l.data); l.i++ {
		switch c := l.data[l.i]; c {
		case '[':
			if len(counts) > 0 {
				counts[len(counts)-1]++
			}
			if counts = append(counts, 0); len(counts) > len(shape) {
				return false
			}
		case ']':
			if counts[len(counts)-1] != shape[len(counts)-1] {
				return false
			}
			if counts = counts[:len(counts)-1]; len(counts) == 0 {
				return true
			}
		case ' ', '\t', '\n', '\r', ',':
		default:
			if len(counts) != len(shape) {
				return false
			}
			counts[len(counts)-1]++
			l.i += len(l.at()) - 1
		}
	}
	return false // no list
}

// next returns the next element.
func (l *list) next() []byte {
	for l.i < len(l.data) && bytes.IndexByte([]byte("[], \t\n\r"), l.data[l.i]) >= 0 {
		l.i++
	}
	e := l.at()
	l.i += len(e)
	return e
}

// at is the element at the position.
func (l *list) at() []byte {
	rest := l.data[l.i:]
	if rest[0] != '"' {
		if end := bytes.IndexAny(rest, "[]{}, \t\n\r"); end > 0 {
			return rest[:end]
		}
		return rest[:1]
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return rest[:i+1]
		}
	}
	return rest
}

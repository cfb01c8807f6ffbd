// Package document reads the documents in which XGBoost keeps its models, UBJSON (https://ubjson.org) and JSON, from
// files that nobody vouches for: no length is trusted, and memory is asked for before it is used.
package document

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Object is an object. It has few fields, so that a list of them is smaller than a map. Of two fields with the same name
// the first one counts.
type Object []field

type field struct {
	name  string
	value any
}

// Get returns the value of a field, or nil: an Object, []any, Numbers, float64, string or bool.
func (o Object) Get(name string) any {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// Inner returns an object within others, by the names of the fields that lead to it.
func (o Object) Inner(names ...string) (Object, error) {
	for _, name := range names {
		next, ok := o.Get(name).(Object)
		if !ok {
			return nil, fmt.Errorf("there is no object %q in it", name)
		}
		o = next
	}
	return o, nil
}

// Text returns a field that is text, or "".
func (o Object) Text(name string) string {
	s, _ := o.Get(name).(string)
	return s
}

// Numbers returns a field that is a list of n numbers, or of any length where n is negative.
func (o Object) Numbers(name string, n int) (Numbers, error) {
	v, ok := o.Get(name).(Numbers)
	if !ok {
		return v, fmt.Errorf("%s: want a list of numbers", name)
	}
	if n >= 0 && v.Len() != n {
		return v, fmt.Errorf("%s: want %d numbers, not %d", name, n, v.Len())
	}
	return v, nil
}

// Numbers is a list of numbers or booleans.
type Numbers struct {
	kind   byte   // UBJSON's letter for the type; 0: floats
	data   []byte // in big-endian order
	floats []float64
}

// sizes are those of UBJSON's numbers, 0 for what is none.
var sizes = [256]int{'i': 1, 'U': 1, 'I': 2, 'l': 4, 'L': 8, 'd': 4, 'D': 8}

// Len is the number of elements.
func (n Numbers) Len() int {
	if n.kind == 0 {
		return len(n.floats)
	}
	return len(n.data) / sizes[n.kind]
}

// Float returns element i; booleans are 0 and 1.
func (n Numbers) Float(i int) float64 {
	if n.kind == 0 {
		return n.floats[i]
	}
	return decode(n.kind, n.data[i*sizes[n.kind]:])
}

// Int returns element i, or the smallest int32 where it is no integer of 32 bits.
func (n Numbers) Int(i int) int {
	f := n.Float(i)
	if f != math.Trunc(f) || f < math.MinInt32 || f > math.MaxInt32 {
		return math.MinInt32
	}
	return int(f)
}

func decode(kind byte, b []byte) float64 {
	switch kind {
	case 'i':
		return float64(int8(b[0]))
	case 'U':
		return float64(b[0])
	case 'I':
		return float64(int16(binary.BigEndian.Uint16(b)))
	case 'l':
		return float64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		return float64(int64(binary.BigEndian.Uint64(b)))
	case 'd':
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b))
}

// Bounds on documents.
const (
	maxNesting = 32  // objects and lists inside one another
	costValue  = 64  // memory that a value takes, roughly
	costOuter  = 256 // and an object or list
)

var (
	errCutOff = errors.New("it is cut off")
	errNested = fmt.Errorf("objects are nested more than %d deep", maxNesting)
)

// Read reads one object of UBJSON, of which it knows the part that XGBoost writes, or of JSON. Spend is asked for the
// memory of each value; lists of numbers may share that of data.
func Read(data []byte, spend func(int) error) (Object, error) {
	var v any
	var err error
	if len(data) > 1 && data[0] == '{' && data[1] != 'L' && data[1] != '}' {
		v, err = (&jsonReader{data: data, spend: spend}).read()
	} else {
		v, err = (&ubjReader{data: data, spend: spend}).read()
	}
	if err != nil {
		return nil, err
	}
	o, ok := v.(Object)
	if !ok {
		return nil, errors.New("want an object")
	}
	return o, nil
}

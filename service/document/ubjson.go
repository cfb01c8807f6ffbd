package document

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ubjReader reads UBJSON.
type ubjReader struct {
	data  []byte // what is left
	total int
	depth int
	spend func(int) error
}

func (r *ubjReader) read() (any, error) {
	r.total = len(r.data)
	v, err := r.value()
	if err == nil && len(r.data) > 0 {
		err = fmt.Errorf("%d bytes follow its end", len(r.data))
	}
	if err != nil {
		return nil, fmt.Errorf("UBJSON, byte %d: %w", r.total-len(r.data), err)
	}
	return v, nil
}

// take returns the next n bytes.
func (r *ubjReader) take(n int) ([]byte, error) {
	if n < 0 || n > len(r.data) {
		return nil, errCutOff
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b, nil
}

// next reports whether the next byte is c, and moves past it if so.
func (r *ubjReader) next(c byte) bool {
	if len(r.data) == 0 || r.data[0] != c {
		return false
	}
	r.data = r.data[1:]
	return true
}

// length reads the letter L and a length of elements that take at least size bytes each.
func (r *ubjReader) length(size int) (int, error) {
	if !r.next('L') {
		return 0, errors.New("want a length of type L")
	}
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(b)
	if n > uint64(len(r.data)/size) {
		return 0, fmt.Errorf("something of length %d is longer than the %d bytes that are left", n, len(r.data))
	}
	return int(n), nil
}

func (r *ubjReader) text() (string, error) {
	n, err := r.length(1)
	if err != nil {
		return "", err
	}
	b, err := r.take(n)
	if err != nil {
		return "", err
	}
	return string(b), r.spend(n)
}

func (r *ubjReader) value() (any, error) {
	b, err := r.take(1)
	if err != nil {
		return nil, err
	}
	if err := r.spend(costValue); err != nil {
		return nil, err
	}
	switch kind := b[0]; kind {
	case 'Z':
		return nil, nil
	case 'T', 'F':
		return kind == 'T', nil
	case 'S':
		return r.text()
	case '{', '[':
		return r.container(kind)
	default:
		size := sizes[kind]
		if size == 0 {
			return nil, fmt.Errorf("there is no type 0x%02x", kind)
		}
		if b, err = r.take(size); err != nil {
			return nil, err
		}
		return decode(kind, b), nil
	}
}

func (r *ubjReader) container(kind byte) (any, error) {
	if r.depth++; r.depth > maxNesting {
		return nil, errNested
	}
	defer func() { r.depth-- }()
	if err := r.spend(costOuter); err != nil {
		return nil, err
	}
	if kind == '{' {
		return r.object()
	}
	return r.list()
}

func (r *ubjReader) object() (any, error) {
	var out Object
	for !r.next('}') {
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, field{name, v})
	}
	return out, nil
}

// list reads a list of one type ($), of known length (#), or up to its end.
func (r *ubjReader) list() (any, error) {
	if r.next('$') {
		return r.typedList()
	}
	n := -1
	if r.next('#') {
		var err error
		if n, err = r.length(1); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for n < 0 && !r.next(']') || n > len(out) {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return asNumbers(out), nil
}

func (r *ubjReader) typedList() (any, error) {
	kind, err := r.take(1)
	if err != nil {
		return nil, err
	}
	size := sizes[kind[0]]
	if size == 0 {
		return nil, fmt.Errorf("there are no lists of type 0x%02x", kind[0])
	}
	if !r.next('#') {
		return nil, errors.New("a typed list has no length")
	}
	n, err := r.length(size)
	if err != nil {
		return nil, err
	}
	b, err := r.take(n * size)
	return Numbers{kind: kind[0], data: b}, err
}

// asNumbers makes a list whose elements are all numbers or booleans a Numbers.
func asNumbers(list []any) any {
	floats := make([]float64, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case float64:
			floats[i] = v
		case bool:
			if v {
				floats[i] = 1
			}
		default:
			return list
		}
	}
	return Numbers{floats: floats}
}

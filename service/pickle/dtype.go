package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// DType is a numpy element type.
type DType struct {
	Kind   byte    // 'f' float, 'i' int, 'u' unsigned, 'b' bool, 'U' text, 'S' bytes, 'O' objects, 'V' structured
	Size   int     // bytes of one element
	Fields []Field // of a structured type
	big    bool
}

// Field is one named part of a structured element.
type Field struct {
	Name   string
	Type   *DType
	Offset int
}

// maxElement caps the bytes of one element: text labels are the longest.
const maxElement = 1 << 16

// newDType is numpy.dtype(descr, align, copy), as in ('f8', False, True).
func newDType(args []any) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("numpy.dtype without a type")
	}
	descr, ok := args[0].(string)
	if !ok || len(descr) < 2 {
		return nil, errors.New("numpy.dtype wants a type such as 'f8'")
	}
	size, err := strconv.Atoi(descr[1:])
	if err != nil || size < 0 || size > maxElement {
		return nil, fmt.Errorf("numpy type %q is not known", descr)
	}
	d := &DType{Kind: descr[0], Size: size}
	if !d.valid() {
		return nil, fmt.Errorf("numpy type %q is not known", descr)
	}
	if d.Kind == 'U' {
		d.Size *= 4
	}
	return d, nil
}

func (d *DType) valid() bool {
	switch d.Kind {
	case 'f':
		return d.Size == 2 || d.Size == 4 || d.Size == 8
	case 'i', 'u':
		return d.Size == 1 || d.Size == 2 || d.Size == 4 || d.Size == 8
	case 'b':
		return d.Size == 1
	case 'O':
		return d.Size == 4 || d.Size == 8
	case 'U', 'S', 'V':
		return true
	}
	return false
}

// PySetState takes numpy's (version, byte order, subtype, names, fields, itemsize, alignment, flags[, metadata]).
func (d *DType) PySetState(state any) error {
	s, err := Sequence(state)
	if err != nil || len(s) < 8 {
		return errors.New("state of a numpy type: want a tuple of at least 8")
	}
	order, _ := s[1].(string)
	switch order {
	case "<", "|", "=":
	case ">":
		d.big = true
	default:
		return fmt.Errorf("numpy byte order %q is not known", order)
	}
	if s[2] != nil {
		return errors.New("numpy types of sub-arrays are not supported")
	}
	if d.Kind != 'V' || s[3] == nil {
		return nil
	}
	return d.setFields(s[3], s[4], s[5])
}

func (d *DType) setFields(names, fields, size any) error {
	if d.Fields != nil {
		return errors.New("a structured numpy type gets its fields twice")
	}
	ns, err := Sequence(names)
	if err != nil {
		return fmt.Errorf("field names of a numpy type: %w", err)
	}
	byName, err := Dict(fields)
	if err != nil {
		return fmt.Errorf("fields of a numpy type: %w", err)
	}
	n, err := Int(size)
	if err != nil || n != d.Size || len(byName) != len(ns) {
		return errors.New("a structured numpy type disagrees with itself about its size or its fields")
	}
	for _, v := range ns {
		f, err := newField(v, byName, d.Size)
		if err != nil {
			return err
		}
		d.Fields = append(d.Fields, f)
	}
	return d.checkOverlap()
}

func newField(v any, byName map[string]any, size int) (Field, error) {
	name, _ := v.(string)
	pair, err := Sequence(byName[name])
	if err != nil || len(pair) < 2 {
		return Field{}, fmt.Errorf("field %q of a numpy type has no type and offset", name)
	}
	t, ok := pair[0].(*DType)
	offset, err := Int(pair[1])
	if !ok || err != nil || t.Kind == 'V' || t.Kind == 'O' || offset < 0 || offset > size-t.Size {
		return Field{}, fmt.Errorf("field %q of a numpy type lies outside its element", name)
	}
	return Field{Name: name, Type: t, Offset: offset}, nil
}

func (d *DType) checkOverlap() error {
	for i, a := range d.Fields {
		for _, b := range d.Fields[:i] {
			if a.Name == b.Name || a.Offset < b.Offset+b.Type.Size && b.Offset < a.Offset+a.Type.Size {
				return fmt.Errorf("fields %q and %q of a numpy type overlap", b.Name, a.Name)
			}
		}
	}
	return nil
}

// Number reads one element of a numeric or boolean type.
func (d *DType) Number(b []byte) float64 {
	switch d.Kind {
	case 'f':
		switch d.Size {
		case 2:
			return halfFloat(uint16(d.bits(b)))
		case 4:
			return float64(math.Float32frombits(uint32(d.bits(b))))
		}
		return math.Float64frombits(d.bits(b))
	case 'i':
		return float64(d.Int(b))
	default:
		return float64(d.bits(b))
	}
}

// Int reads one element of an integer or boolean type. Unsigned numbers above the int64 range wrap.
func (d *DType) Int(b []byte) int64 {
	u := d.bits(b)
	if d.Kind != 'i' {
		return int64(u)
	}
	shift := 64 - 8*d.Size
	return int64(u<<shift) >> shift
}

func (d *DType) bits(b []byte) uint64 {
	if !d.big {
		return littleEndian(b[:d.Size])
	}
	switch d.Size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	default:
		return binary.BigEndian.Uint64(b)
	}
}

// numeric reports whether Number can read the type.
func (d *DType) numeric() bool {
	return d.Kind == 'f' || d.Kind == 'i' || d.Kind == 'u' || d.Kind == 'b'
}

// value reads one element as a Go value: float64, int64, uint64, bool or string.
func (d *DType) value(b []byte) (any, error) {
	switch d.Kind {
	case 'f':
		return d.Number(b), nil
	case 'i':
		return d.Int(b), nil
	case 'u':
		return d.bits(b), nil
	case 'b':
		return b[0] != 0, nil
	case 'U':
		return d.text(b)
	case 'S':
		n := len(b)
		for n > 0 && b[n-1] == 0 {
			n--
		}
		return string(b[:n]), nil
	}
	return nil, fmt.Errorf("a numpy value of kind %q is no single value", d.Kind)
}

// text decodes numpy's UTF-32, padded with zeros.
func (d *DType) text(b []byte) (string, error) {
	runes := make([]rune, 0, len(b)/4)
	unit := DType{Kind: 'u', Size: 4, big: d.big}
	for ; len(b) >= 4; b = b[4:] {
		c := unit.bits(b)
		if c > 0x10ffff {
			return "", errors.New("numpy text holds a code beyond Unicode")
		}
		runes = append(runes, rune(c))
	}
	for len(runes) > 0 && runes[len(runes)-1] == 0 {
		runes = runes[:len(runes)-1]
	}
	return string(runes), nil
}

// halfFloat reads a 16-bit float.
func halfFloat(b uint16) float64 {
	sign, exponent, fraction := 1.0, int(b>>10&0x1f), float64(b&0x3ff)
	if b>>15 != 0 {
		sign = -1
	}
	switch {
	case exponent == 0x1f && fraction != 0:
		return math.NaN()
	case exponent == 0x1f:
		return math.Inf(int(sign))
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(fraction+1024, exponent-25)
}

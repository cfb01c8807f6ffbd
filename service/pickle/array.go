package pickle

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/gopickle/types"
)

// Array is a numpy array: its shape, its element type, and its bytes as they are in the file.
type Array struct {
	Type    *DType
	Shape   []int // nil until the array has its state
	fortran bool  // the first index runs fastest
	data    []byte
	objects []any // elements of an object array
	ready   bool
}

// maxElements caps the elements of one array.
const maxElements = math.MaxInt32

// reconstruct is numpy.core.multiarray._reconstruct(ndarray, (0,), b'b'): an empty array that BUILD fills.
func reconstruct(args []any) (any, error) { return &Array{}, nil }

// fromBuffer is numpy.core.numeric._frombuffer(bytes, dtype, shape, order): an array in protocol 5.
func fromBuffer(args []any) (any, error) {
	if len(args) != 4 {
		return nil, errors.New("numpy's _frombuffer wants bytes, type, shape and order")
	}
	d, ok := args[1].(*DType)
	order, ok2 := args[3].(string)
	if !ok || !ok2 || d.Kind == 'O' {
		return nil, errors.New("numpy's _frombuffer wants bytes, type, shape and order")
	}
	a := &Array{}
	return a, a.fill(d, args[2], order == "F", args[0])
}

// PySetState takes numpy's (version, shape, dtype, is_fortran, bytes or list).
func (a *Array) PySetState(state any) error {
	s, err := Sequence(state)
	if err != nil || len(s) != 5 {
		return errors.New("state of a numpy array: want a tuple of 5")
	}
	d, ok := s[2].(*DType)
	if !ok {
		return errors.New("state of a numpy array: it has no type")
	}
	fortran, _ := s[3].(bool)
	return a.fill(d, s[1], fortran, s[4])
}

func (a *Array) fill(d *DType, shape any, fortran bool, content any) error {
	if a.ready {
		return errors.New("a numpy array gets its state twice")
	}
	dims, n, err := parseShape(shape, d)
	if err != nil {
		return err
	}
	a.Type, a.Shape, a.fortran, a.ready = d, dims, fortran && len(dims) > 1, true
	if d.Kind == 'O' {
		return a.fillObjects(n, content)
	}
	if h, ok := content.(*hollow); ok {
		if !h.text && h.bytes != n*d.Size {
			return fmt.Errorf("a numpy array of shape %v and %d bytes each has %d bytes of content", dims, d.Size, h.bytes)
		}
		return nil
	}
	b, err := Bytes(content)
	if err != nil {
		return fmt.Errorf("content of a numpy array: %w", err)
	}
	if len(b) != n*d.Size {
		return fmt.Errorf("a numpy array of shape %v and %d bytes each has %d bytes of content", dims, d.Size, len(b))
	}
	a.data = b
	return nil
}

func (a *Array) fillObjects(n int, content any) error {
	list, ok := content.(*types.List)
	if !ok || list.Len() != n {
		return fmt.Errorf("a numpy array of %d objects has another number of them", n)
	}
	a.objects = *list
	return nil
}

// parseShape returns a shape and its number of elements; the size in bytes is sure to fit an int.
func parseShape(shape any, d *DType) ([]int, int, error) {
	s, err := Sequence(shape)
	if err != nil || len(s) > 8 {
		return nil, 0, errors.New("shape of a numpy array: want a tuple of at most 8 numbers")
	}
	dims, n := make([]int, len(s)), 1
	for i, v := range s {
		dim, err := Int(v)
		if err != nil || dim < 0 || dim > maxElements || (dim > 0 && n > maxElements/dim) {
			return nil, 0, fmt.Errorf("shape of a numpy array: %v at place %d is negative or too large", v, i)
		}
		dims[i] = dim
		n *= dim
	}
	if n > 0 && d.Size == 0 {
		return nil, 0, errors.New("a numpy array has elements of no size")
	}
	return dims, n, nil
}

// Len is the number of elements.
func (a *Array) Len() int {
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// Floats returns the elements of a numeric array as float64 in C order: the last index runs fastest.
func (a *Array) Floats() ([]float64, error) {
	if !a.ready || !a.Type.numeric() {
		return nil, errors.New("want an array of numbers")
	}
	out := make([]float64, a.Len())
	for i, at := range a.order() {
		out[i] = a.Type.Number(a.data[at*a.Type.Size:])
	}
	return out, nil
}

// Values returns the elements in C order as Go values: float64, int64, uint64, bool, string, or what the pickle holds
// for an object array.
func (a *Array) Values() ([]any, error) {
	if !a.ready {
		return nil, errors.New("an array has no content")
	}
	out := make([]any, 0, min(a.Len(), 1<<20))
	for _, at := range a.order() {
		if a.Type.Kind == 'O' {
			out = append(out, a.objects[at])
			continue
		}
		v, err := a.Type.value(a.data[at*a.Type.Size : (at+1)*a.Type.Size])
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// order yields, for each element in C order, its place in data.
func (a *Array) order() func(yield func(int, int) bool) {
	n := a.Len()
	return func(yield func(int, int) bool) {
		index := make([]int, len(a.Shape))
		for i := range n {
			at := i
			if a.fortran {
				at = a.fortranPlace(index)
			}
			if !yield(i, at) {
				return
			}
			for k := len(index) - 1; k >= 0; k-- {
				if index[k]++; index[k] < a.Shape[k] {
					break
				}
				index[k] = 0
			}
		}
	}
}

func (a *Array) fortranPlace(index []int) int {
	at := 0
	for k := range slices.Backward(index) {
		at = at*a.Shape[k] + index[k]
	}
	return at
}

// Numbers gives access to the elements of a numeric array, in place and in C order.
func (a *Array) Numbers() (Column, error) {
	if !a.ready || !a.Type.numeric() {
		return Column{}, errors.New("want an array of numbers")
	}
	if a.fortran {
		v, err := a.Floats()
		return floatColumn(v), err
	}
	return newColumn(a.data, a.Type.Size, 0, a.Type), nil
}

// Records gives access to the elements of a one-dimensional structured array, in place.
func (a *Array) Records() (Records, error) {
	if !a.ready || a.Type.Kind != 'V' || len(a.Shape) != 1 || len(a.Type.Fields) == 0 {
		return Records{}, errors.New("want a one-dimensional structured array")
	}
	return Records{Len: a.Shape[0], Fields: a.Type.Fields, size: a.Type.Size, data: a.data}, nil
}

// Records are the elements of a structured array.
type Records struct {
	Len    int
	Fields []Field
	size   int
	data   []byte
}

// Column finds a field by name.
func (r Records) Column(name string) (Column, error) {
	for _, f := range r.Fields {
		if f.Name == name && f.Type.numeric() {
			return newColumn(r.data, r.size, f.Offset, f.Type), nil
		}
	}
	return Column{}, fmt.Errorf("there is no numeric field %q", name)
}

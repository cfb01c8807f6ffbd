package pickle

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/nlpodyssey/gopickle/types"
)

// scalar is numpy.core.multiarray.scalar(dtype, bytes).
func scalar(args []any) (any, error) {
	if len(args) != 2 {
		return nil, errors.New("a numpy scalar wants a type and its bytes")
	}
	d, ok := args[0].(*DType)
	if !ok || d.Kind == 'O' || d.Kind == 'V' {
		return nil, errors.New("a numpy scalar wants a simple type")
	}
	b, err := Bytes(args[1])
	if err != nil || len(b) != d.Size {
		return nil, fmt.Errorf("a numpy scalar of %d bytes has another number of them", d.Size)
	}
	return newBox(d.value(b))
}

// box holds a numpy scalar. The pickle may BUILD nothing on it.
type box struct{ value any }

func newBox(v any, err error) (any, error) { return box{v}, err }

// encodeLatin1 is _codecs.encode(text, 'latin1'): how protocol 2 writes bytes.
func encodeLatin1(args []any) (any, error) {
	if len(args) != 2 || args[1] != "latin1" {
		return nil, errors.New("_codecs.encode wants a text and 'latin1'")
	}
	if h, ok := args[0].(*hollow); ok {
		return h, nil
	}
	s, ok := args[0].(string)
	if !ok {
		return nil, errors.New("_codecs.encode wants a text and 'latin1'")
	}
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil, errors.New("_codecs.encode gets a text that is not latin1")
		}
		out = append(out, byte(r))
	}
	return out, nil
}

func emptyBytes(args []any) (any, error) {
	if len(args) != 0 {
		return nil, errors.New("bytes is called with a value")
	}
	return []byte{}, nil
}

// unbox returns the Go value of a numpy scalar, and other values as they are.
func unbox(v any) any {
	if b, ok := v.(box); ok {
		return b.value
	}
	return v
}

// Int returns a Python or numpy integer.
func Int(v any) (int, error) {
	switch n := unbox(v).(type) {
	case int:
		return n, nil
	case int64:
		return int(n), nil
	case uint64:
		if n <= 1<<62 {
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("want an integer, not %s", describe(v))
}

// Float returns a Python or numpy number.
func Float(v any) (float64, error) {
	switch n := unbox(v).(type) {
	case float64:
		return n, nil
	case int:
		return float64(n), nil
	case int64:
		return float64(n), nil
	case uint64:
		return float64(n), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(n).Float64()
		return f, nil
	}
	return 0, fmt.Errorf("want a number, not %s", describe(v))
}

// Scalar returns a Python or numpy scalar as int64, uint64, float64, bool or string.
func Scalar(v any) (any, error) {
	switch n := unbox(v).(type) {
	case int:
		return int64(n), nil
	case int64, uint64, float64, bool, string:
		return n, nil
	}
	return nil, fmt.Errorf("want a number, text or boolean, not %s", describe(v))
}

// Bytes returns the content of bytes or a bytearray.
func Bytes(v any) ([]byte, error) {
	switch b := v.(type) {
	case []byte:
		return b, nil
	case *types.ByteArray:
		return *b, nil
	}
	return nil, fmt.Errorf("want bytes, not %s", describe(v))
}

// Sequence returns the elements of a list or tuple.
func Sequence(v any) ([]any, error) {
	switch s := v.(type) {
	case *types.List:
		return *s, nil
	case *types.Tuple:
		return *s, nil
	}
	return nil, fmt.Errorf("want a list or tuple, not %s", describe(v))
}

// Entries returns the keys and values of a dict, or of a class that is one.
func Entries(v any) (types.Dict, bool) {
	switch d := v.(type) {
	case *types.Dict:
		return *d, true
	case *dictLike:
		return d.items, true
	case *types.OrderedDict:
		out := make(types.Dict, 0, d.Len())
		for e := d.List.Front(); e != nil; e = e.Next() {
			if entry, ok := e.Value.(*types.OrderedDictEntry); ok {
				out = append(out, types.DictEntry{Key: entry.Key, Value: entry.Value})
			}
		}
		return out, true
	}
	return nil, false
}

// Dict returns the entries of a dict whose keys are all text and differ.
func Dict(v any) (map[string]any, error) {
	d, ok := Entries(v)
	if !ok {
		return nil, fmt.Errorf("want a dict, not %s", describe(v))
	}
	out := make(map[string]any, len(d))
	for _, e := range d {
		k, ok := e.Key.(string)
		if !ok {
			return nil, fmt.Errorf("want a dict with text keys, not %s", describe(e.Key))
		}
		if _, twice := out[k]; twice {
			return nil, fmt.Errorf("a dict has the key %.60q twice", k)
		}
		out[k] = e.Value
	}
	return out, nil
}

// ArrayOf returns v as an array.
func ArrayOf(v any) (*Array, error) {
	switch a := v.(type) {
	case *Array:
		if a.ready {
			return a, nil
		}
	case *wrappedArray:
		if a.array != nil && a.array.ready {
			return a.array, nil
		}
	}
	return nil, fmt.Errorf("want a numpy array, not %s", describe(v))
}

// describe names the kind of a value for error texts. It never prints the value, which may be huge.
func describe(v any) string {
	switch t := unbox(v).(type) {
	case nil:
		return "None"
	case bool:
		return "a boolean"
	case int, int64, uint64, *big.Int:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "text"
	case []byte, *types.ByteArray:
		return "bytes"
	case *types.List:
		return "a list"
	case *types.Tuple:
		return "a tuple"
	case *types.Dict, *dictLike, *types.OrderedDict:
		return "a dict"
	case *Array, *wrappedArray:
		return "a numpy array"
	case *Object:
		return "a " + t.Class.Name
	}
	return "something else"
}

package pickle

import "errors"

// A pandas Index holds the names of columns, and a ColumnTransformer may have been given one. It is read as the array
// within it.

// newIndex is pandas.core.indexes.base._new_Index(class, {"data": array, …}).
func newIndex(args []any) (any, error) {
	if len(args) == 2 {
		state, err := Dict(args[1])
		if err != nil {
			return nil, err
		}
		if b, ok := state["data"].(*backed); ok {
			return ArrayOf(b.array)
		}
		return ArrayOf(state["data"])
	}
	return nil, errors.New("a pandas Index wants a class and its data")
}

// backed is a pandas array that consists of a numpy array.
type backed struct{ array any }

// newBacked is pandas._libs.arrays.__pyx_unpickle_NDArrayBacked(class, checksum, state).
func newBacked([]any) (any, error) { return &backed{}, nil }

// PySetState takes the numpy array of a state such as (type, array, attributes).
func (b *backed) PySetState(state any) error {
	parts, err := Sequence(state)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := ArrayOf(part); err == nil {
			b.array = part
		}
	}
	return nil
}

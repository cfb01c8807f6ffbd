package pickle

import (
	"errors"
	"fmt"
)

// wrappedArray is joblib's NumpyArrayWrapper: its state describes an array whose content follows in the file, outside
// of the pickle: a byte with the length of the padding (joblib 1.2 and later), the padding, and the raw elements. An
// object array follows as a pickle of its own, of protocol 2.
type wrappedArray struct {
	finder *finder
	array  *Array
}

// PySetState takes the description and reads the content.
func (w *wrappedArray) PySetState(state any) error {
	if w.array != nil {
		return errors.New("a joblib array gets its state twice")
	}
	attrs, err := Dict(state)
	if err != nil {
		return fmt.Errorf("state of a joblib array: %w", err)
	}
	d, ok := attrs["dtype"].(*DType)
	if !ok {
		return errors.New("state of a joblib array: it has no type")
	}
	if d.Kind == 'O' {
		return w.readObjects()
	}
	_, n, err := parseShape(attrs["shape"], d)
	if err != nil {
		return err
	}
	if _, padded := attrs["numpy_array_alignment_bytes"]; padded {
		if err := w.skipPadding(); err != nil {
			return err
		}
	}
	b, err := w.finder.guard.array(n*d.Size, d)
	if err != nil {
		return err
	}
	w.array = &Array{}
	return w.array.fill(d, attrs["shape"], attrs["order"] == "F", b)
}

func (w *wrappedArray) skipPadding() error {
	n, err := w.finder.guard.raw(1)
	if err != nil {
		return err
	}
	_, err = w.finder.guard.raw(int(n[0]))
	return err
}

func (w *wrappedArray) readObjects() error {
	outer := w.finder.guard
	if _, err := outer.raw(0); err != nil {
		return err
	}
	inner, err := outer.nested()
	if err != nil {
		return err
	}
	w.finder.guard = inner
	v, err := w.finder.load(inner)
	w.finder.guard = outer
	if err != nil {
		return err
	}
	outer.resume(inner)
	w.array, err = ArrayOf(v)
	return err
}

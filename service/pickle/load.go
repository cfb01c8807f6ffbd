// Package pickle reads Python pickles and joblib files that hold scikit-learn estimators, from files that nobody
// vouches for.
//
// It builds on gopickle and puts a guard in front of it (guard.go), so that no file can crash the process or use far
// more memory than its size. A file can name only the classes on an exact list; nothing is run: a class is a name with
// attributes, and the few functions that are called are numpy's constructors of arrays, types and scalars, which this
// package has as its own.
//
// Formats: pickle protocols 0 to 5 (https://docs.python.org/3/library/pickletools.html), numpy's array and type
// states, and joblib's numpy_pickle, plain or compressed with zlib, gzip, bz2, xz, lzma or
// lz4.
package pickle

import (
	"errors"
	"fmt"
	"io"

	gopickle "github.com/nlpodyssey/gopickle/pickle"
)

// Read reads the one object in a file, compressed or not, as Load does. It returns how many bytes the file has without
// compression, too.
func Read(file []byte, known func(Global) bool) (v any, size int, err error) {
	data, err := Unpack(file, known)
	if err != nil {
		return nil, 0, err
	}
	v, _, err = load(data, len(file), known, nil)
	return v, len(data), err
}

// Load reads the one object in data. Instances of the classes that known accepts become *Object; an unknown name
// makes the load fail with a *RefusedError that lists all of them.
//
// Data is not compressed: see Unpack. The result may share memory with it.
func Load(data []byte, known func(Global) bool) (any, error) {
	v, _, err := load(data, len(data), known, nil)
	return v, err
}

// maxText caps a pickle of protocol 0 or 1, which is rewritten before it is read.
const maxText = 16 << 20

// load is Load for content from a file of size bytes; it returns its guard too, if it came to that. Taken, if not nil,
// is told of the arrays that lie between opcodes.
func load(data []byte, size int, known func(Global) bool, taken func(from, to int)) (any, *guard, error) {
	if len(data) == 0 {
		return nil, nil, errors.New("the file is empty")
	}
	if isText(data) {
		if len(data) > maxText {
			return nil, nil, fmt.Errorf("a pickle of protocol 0 or 1 has %d bytes: want at most %d; "+
				"write the file with pickle.dump(model, file, protocol=4)", len(data), maxText)
		}
		var err error
		if data, err = upgrade(data); err != nil {
			return nil, nil, err
		}
	}
	g := newGuard(data, size)
	g.taken = taken
	f := &finder{known: known, guard: g}
	f.load = f.unpickle
	v, err := f.unpickle(g)
	if len(f.refused) > 0 {
		return nil, g, &RefusedError{f.refused}
	}
	if err != nil {
		return nil, g, err
	}
	if g.pos != len(data) {
		return nil, g, g.errorf("%d bytes follow the end of the pickle", len(data)-g.pos)
	}
	return v, g, nil
}

// unpickle runs gopickle over one guarded pickle.
func (f *finder) unpickle(g *guard) (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, g.errorf("the pickle is damaged: %.200s", fmt.Sprint(r))
		}
	}()
	u := gopickle.NewUnpickler(g)
	u.FindClass = f.find
	v, err = u.Load()
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, g.errorf("the pickle is cut off: %w", err)
	}
	return v, err
}

package pickle

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
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
	b, err := w.finder.guard.raw(n * d.Size)
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
	outer.pos, outer.end = inner.pos, inner.pos
	w.array, err = ArrayOf(v)
	return err
}

// Caps on what a compressed file may grow to.
const (
	maxUnpacked   = 2 << 30
	baseUnpacked  = 64 << 20
	unpackedRatio = 100
)

// compressions are the file formats around a pickle, by their first bytes. Those without open are only named.
var compressions = []struct {
	name, magic string
	open        func(io.Reader) (io.Reader, error)
}{
	{"gzip", "\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"bz2", "BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	{"zlib", "\x78\x01", openZlib},
	{"zlib", "\x78\x5e", openZlib},
	{"zlib", "\x78\x9c", openZlib},
	{"zlib", "\x78\xda", openZlib},
	{"xz", "\xfd7zXZ", nil},
	{"lzma", "\x5d\x00", nil},
	{"lz4", "\x04\x22\x4d\x18", nil},
	{"joblib before 0.10", "ZF", nil},
}

func openZlib(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }

// Unpack undoes the compression that joblib.dump can add; other data it returns as it is.
func Unpack(data []byte) ([]byte, error) {
	for _, c := range compressions {
		if !bytes.HasPrefix(data, []byte(c.magic)) {
			continue
		}
		if c.open == nil {
			return nil, fmt.Errorf("the file is in the format %s, which is not supported: "+
				"write it uncompressed or with joblib.dump(model, path, compress=('zlib', 3))", c.name)
		}
		r, err := c.open(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", c.name, err)
		}
		return unpackFrom(c.name, r, len(data))
	}
	return data, nil
}

func unpackFrom(name string, r io.Reader, packed int) ([]byte, error) {
	limit := min(maxUnpacked, baseUnpacked+unpackedRatio*packed)
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(out) > limit {
		return nil, fmt.Errorf("the %s content grows beyond %d bytes from %d", name, limit, packed)
	}
	return out, nil
}

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

	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"
)

// Caps on what a compressed file may grow to, and on the memory that its decoder may ask for.
const (
	maxUnpacked   = 2 << 30
	baseUnpacked  = 64 << 20
	unpackedRatio = 100
	maxDictionary = 64 << 20
)

// compressions are the file formats around a pickle, by their first bytes. Those without open are only named.
var compressions = []struct {
	name, magic string
	open        func([]byte) (io.Reader, error)
}{
	{"gzip", "\x1f\x8b", func(b []byte) (io.Reader, error) { return gzip.NewReader(bytes.NewReader(b)) }},
	{"bz2", "BZh", func(b []byte) (io.Reader, error) { return bzip2.NewReader(bytes.NewReader(b)), nil }},
	{"zlib", "\x78\x01", openZlib},
	{"zlib", "\x78\x5e", openZlib},
	{"zlib", "\x78\x9c", openZlib},
	{"zlib", "\x78\xda", openZlib},
	{"xz", xzMagic, openXZ},
	{"lzma", "\x5d\x00", openLZMA},
	{"lz4", "\x04\x22\x4d\x18", func(b []byte) (io.Reader, error) { return lz4.NewReader(bytes.NewReader(b)), nil }},
	{"joblib before 0.10", "ZF", nil},
}

func openZlib(b []byte) (io.Reader, error) { return zlib.NewReader(bytes.NewReader(b)) }

func openLZMA(b []byte) (io.Reader, error) {
	return lzma.ReaderConfig{DictCap: maxDictionary}.NewReader(bufio.NewReader(bytes.NewReader(b)))
}

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
		r, err := c.open(data)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", c.name, err)
		}
		return unpackFrom(c.name, r, len(data))
	}
	return data, nil
}

func unpackFrom(name string, r io.Reader, packed int) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("read %s: the content is damaged: %.200s", name, fmt.Sprint(p))
		}
	}()
	limit := min(maxUnpacked, baseUnpacked+unpackedRatio*packed)
	out, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read %s: the content is cut off: %w", name, err)
		}
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(out) > limit {
		return nil, fmt.Errorf("the %s content grows beyond %d bytes from %d", name, limit, packed)
	}
	return out, nil
}

package pickle

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"
)

// Caps on what a compressed file may grow to, and on the memory that its decoder may ask for.
const (
	maxUnpacked   = 2 << 30
	baseUnpacked  = 24 << 20
	unpackedRatio = 32
	unpackedChunk = 1 << 20
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

// openLZMA reads the format of https://tukaani.org/lzma/ before xz: a byte of properties, the size of the dictionary, and
// that of the content.
func openLZMA(b []byte) (io.Reader, error) {
	if len(b) < lzma.HeaderLen {
		return nil, io.ErrUnexpectedEOF
	}
	asked := binary.LittleEndian.Uint32(b[1:5])
	if asked > maxDictionary {
		return nil, fmt.Errorf("it asks for a dictionary of more than %d bytes", maxDictionary)
	}
	header := bytes.Clone(b[:lzma.HeaderLen])
	binary.LittleEndian.PutUint32(header[1:5], uint32(dictionary(int(asked), len(b))))
	r := io.MultiReader(bytes.NewReader(header), bytes.NewReader(b[lzma.HeaderLen:]))
	return lzma.ReaderConfig{DictCap: maxDictionary}.NewReader(bufio.NewReader(r))
}

// dictionary is what a decoder needs of the dictionary that a file asks for: no more than the content may have.
func dictionary(asked, packed int) int { return max(lzma.MinDictCap, min(asked, maxContent(packed))) }

// maxContent caps what so many compressed bytes may grow to.
func maxContent(packed int) int { return min(maxUnpacked, baseUnpacked+unpackedRatio*packed) }

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
	limit := maxContent(packed)
	chunks, size, err := readChunks(r, limit)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read %s: the content is cut off: %w", name, err)
		}
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if size > limit {
		return nil, fmt.Errorf("the %s content grows beyond %d bytes from %d: write the file uncompressed if it is honest",
			name, limit, packed)
	}
	return slices.Concat(chunks...), nil
}

// readChunks reads up to one chunk more than limit. Growing one buffer would take twice the memory.
func readChunks(r io.Reader, limit int) (chunks [][]byte, size int, err error) {
	for size <= limit {
		chunk := make([]byte, 0, unpackedChunk)
		for len(chunk) < cap(chunk) && err == nil {
			var n int
			n, err = r.Read(chunk[len(chunk):cap(chunk)])
			chunk = chunk[:len(chunk)+n]
		}
		chunks, size = append(chunks, chunk), size+len(chunk)
		if err == io.EOF { //nolint:errorlint // the Reader contract is this value itself
			return chunks, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return chunks, size, nil
}

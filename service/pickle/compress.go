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
	maxDictionary = 64 << 20 // of level 9
	// What a decoder gets: a file of level 9 that is far smaller than its content may need more, and is refused.
	baseDictionary  = 24 << 20
	dictionaryRatio = 10
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

// dictionary is what a decoder gets of the dictionary that a file asks for: no more than the content may have.
func dictionary(asked, packed int) int {
	return max(lzma.MinDictCap, min(asked, maxContent(packed), baseDictionary+dictionaryRatio*packed))
}

// maxContent caps what so many compressed bytes may grow to.
func maxContent(packed int) int { return min(maxUnpacked, baseUnpacked+unpackedRatio*packed) }

// directly is the content up to which a file is unpacked without a look at it before.
const directly = 8 << 20

// Unpack undoes the compression that joblib.dump can add; other data it returns as it is. Content that is large is
// probed before: it must be a complete pickle that names only classes that known accepts.
func Unpack(data []byte, known func(Global) bool) ([]byte, error) {
	for _, c := range compressions {
		if !bytes.HasPrefix(data, []byte(c.magic)) {
			continue
		}
		if c.open == nil {
			return nil, fmt.Errorf("the file is in the format %s, which is not supported: "+
				"write it uncompressed or with joblib.dump(model, path, compress=('zlib', 3))", c.name)
		}
		out, err := unpack(data, c.open, known)
		switch refused := (*RefusedError)(nil); {
		case errors.As(err, &refused):
			return nil, err
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("read %s: the content is cut off: %w", c.name, err)
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", c.name, err)
		}
		return out, nil
	}
	return data, nil
}

func unpack(data []byte, open func([]byte) (io.Reader, error), known func(Global) bool) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("the content is damaged: %.200s", fmt.Sprint(p))
		}
	}()
	r, err := open(data)
	if err != nil {
		return nil, err
	}
	chunks, size, err := readChunks(r, min(directly, maxContent(len(data))))
	if err != nil {
		return nil, err
	}
	if size <= directly {
		return slices.Concat(chunks...), nil
	}
	chunks = nil //nolint:ineffassign,wastedassign // so that it doesn't add to what follows
	if r, err = open(data); err != nil {
		return nil, err
	}
	if size, err = probeContent(r, len(data), known); err != nil {
		return nil, err
	}
	if r, err = open(data); err != nil {
		return nil, err
	}
	out = make([]byte, size)
	_, err = io.ReadFull(r, out)
	return out, err
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

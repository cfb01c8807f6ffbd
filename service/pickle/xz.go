package pickle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The container of https://tukaani.org/xz/xz-file-format.txt, as far as Python writes it: one stream of one block with
// one LZMA2 filter. It is read here, because libraries allocate whatever dictionary a block header asks for.
const (
	xzMagic      = "\xfd7zXZ\x00"
	xzHeader     = 12 // bytes of the stream header
	filterLZMA2  = 0x21
	maxDictPower = 28 // the header's code of a dictionary of 64 MiB
)

var errXZ = errors.New("the header is damaged or of a kind that Python's lzma module doesn't write")

// xzReader hands out a block's content and then compares its checksum.
type xzReader struct {
	block io.Reader
	input *bytes.Reader
	sum   hash.Hash // nil: the file has none
	start int       // bytes left in input where the block's body begins
	big   bool      // the hash writes its sum in the other byte order
}

func openXZ(b []byte) (io.Reader, error) {
	if len(b) < xzHeader+8 || crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:12]) {
		return nil, errXZ
	}
	body, power, err := xzBlockHeader(b[xzHeader:])
	if err != nil {
		return nil, err
	}
	r := &xzReader{input: bytes.NewReader(body), start: len(body), big: true}
	switch b[7] & 0xf {
	case 0:
	case 1:
		r.sum = crc32.NewIEEE()
	case 4:
		r.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		r.sum, r.big = sha256.New(), false
	default:
		return nil, errXZ
	}
	r.block, err = lzma.Reader2Config{DictCap: dictionary((2|int(power&1))<<(power/2+11), len(b))}.NewReader2(r.input)
	return r, err
}

// xzBlockHeader checks the header of the only block and returns what follows it, and the code of its dictionary's size.
func xzBlockHeader(b []byte) (body []byte, power byte, err error) {
	size := 4 * (int(b[0]) + 1)
	if b[0] == 0 || size > len(b) || crc32.ChecksumIEEE(b[:size-4]) != binary.LittleEndian.Uint32(b[size-4:size]) {
		return nil, 0, errXZ
	}
	flags, rest := b[1], b[2:size-4]
	for _, bit := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&bit != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return nil, 0, errXZ
			}
			rest = rest[n:]
		}
	}
	if flags&0x3f != 0 || len(rest) < 3 || rest[0] != filterLZMA2 || rest[1] != 1 {
		return nil, 0, errXZ
	}
	if rest[2] > maxDictPower {
		return nil, 0, fmt.Errorf("it asks for a dictionary of more than %d bytes", maxDictionary)
	}
	return b[size:], rest[2], nil
}

// Read hands out content. At its end the checksum must agree.
func (r *xzReader) Read(p []byte) (int, error) {
	n, err := r.block.Read(p)
	if r.sum != nil {
		_, _ = r.sum.Write(p[:n])
	}
	if err == io.EOF { //nolint:errorlint // the Reader contract is this value itself
		return n, r.finish()
	}
	return n, err
}

func (r *xzReader) finish() error {
	if r.sum == nil {
		return io.EOF
	}
	padding := (4 - (r.start-r.input.Len())%4) % 4
	found := make([]byte, padding+r.sum.Size())
	if _, err := io.ReadFull(r.input, found); err != nil {
		return fmt.Errorf("its checksum is cut off: %w", err)
	}
	want := r.sum.Sum(nil)
	if r.big {
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
			want[i], want[j] = want[j], want[i]
		}
	}
	if !bytes.Equal(found[padding:], want) {
		return errors.New("its checksum is wrong: the file is damaged")
	}
	if next, err := r.input.ReadByte(); err != nil || next != 0 { // the index follows
		return errors.New("it has several blocks: Python's lzma module writes one")
	}
	return io.EOF
}

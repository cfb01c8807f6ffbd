package pickle

import (
	"encoding/binary"
	"math"
)

// Column are numbers that lie at equal distances: the elements of an array, or one field of its records.
type Column struct {
	data   []byte // from the first number on
	stride int
	typ    *DType
	plain  byte // the type's kind where it has 8 bytes, the smallest first; 'b' where it has 1 without a sign
}

func newColumn(data []byte, stride, offset int, t *DType) Column {
	c := Column{data: data[min(offset, len(data)):], stride: stride, typ: t}
	if t.Size == 8 && !t.big {
		c.plain = t.Kind
	}
	if t.Size == 1 && t.Kind != 'i' {
		c.plain = 'b'
	}
	return c
}

// floatColumn makes a column of numbers.
func floatColumn(v []float64) Column {
	data := make([]byte, 0, 8*len(v))
	for _, f := range v {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(f))
	}
	return newColumn(data, 8, 0, &DType{Kind: 'f', Size: 8})
}

// Float returns number i.
func (c *Column) Float(i int) float64 {
	b := c.data[i*c.stride:]
	if c.plain == 'f' {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return c.typ.Number(b)
}

// Int returns number i, which is an integer or a boolean.
func (c *Column) Int(i int) int64 {
	b := c.data[i*c.stride:]
	switch c.plain {
	case 'i':
		return int64(binary.LittleEndian.Uint64(b))
	case 'b':
		return int64(b[0])
	}
	return c.typ.Int(b)
}

// From returns the numbers from i on.
func (c Column) From(i int) *Column {
	c.data = c.data[min(i*c.stride, len(c.data)):]
	return &c
}

// Ints writes the first len(out) numbers. One beyond the range of out's type becomes -2.
func (c *Column) Ints(out []int32) {
	for i, b := 0, c.data; i < len(out); i++ {
		var v int64
		switch c.plain {
		case 'i':
			v = int64(binary.LittleEndian.Uint64(b))
		case 'b':
			v = int64(b[0])
		default:
			v = c.typ.Int(b)
		}
		if out[i] = int32(v); int64(out[i]) != v {
			out[i] = -2
		}
		b = b[min(c.stride, len(b)):]
	}
}

// Floats writes the first len(out) numbers.
func (c *Column) Floats(out []float64) {
	for i, b := 0, c.data; i < len(out); i++ {
		if c.plain == 'f' {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b))
		} else {
			out[i] = c.typ.Number(b)
		}
		b = b[min(c.stride, len(b)):]
	}
}

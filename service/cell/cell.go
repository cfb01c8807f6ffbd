// Package cell puts text into a row of numbers, so that rows of numbers and rows with text are the same thing to all
// that only hands them on: a text stands in the row as a NaN that carries its place in a table of texts.
package cell

import "math"

// A text's NaN: a quiet one with this in its upper half, which no arithmetic makes, and the place in its lower half.
const (
	tag  = 0xfffc << 48
	mask = 0xffffffff << 32
)

// Max is the number of texts that a table can have.
const Max = 1 << 32

// Text returns the cell of the text at place i of a table.
func Text(i int) float64 { return math.Float64frombits(tag | uint64(uint32(i))) }

// Index returns the place of the text that a cell stands for. For a number, NaN too, it is false.
func Index(v float64) (int, bool) {
	b := math.Float64bits(v)
	return int(uint32(b)), b&mask == tag
}

// Number returns a number that came from elsewhere as a cell: each NaN is the same one, and no text.
func Number(v float64) float64 {
	if v != v {
		return math.NaN()
	}
	return v
}

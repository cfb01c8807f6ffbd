package wire

import (
	"math"

	"github.com/weirhq/weir/service/cell"
)

// Rows is the content of a request. It is reused from request to request.
type Rows struct {
	X      []float64 // all cells, row by row: numbers, and texts as cell.Text
	Texts  [][]byte  // what the cells that are texts stand for
	Count  int       // rows
	Width  int       // cells in each row
	Nested bool      // x was a list of rows

	Missing       bool // x has a null: a NaN in X
	Probabilities bool // the member probabilities is true
	Decision      bool // the member decision is true

	seen  []uint32 // of an object's columns: the number of the object that had it last
	stamp uint32   // the number of the current object
}

// Reset makes room for rows that come from elsewhere than from JSON. Until they are set, all cells are missing.
func (r *Rows) Reset(count, width int) {
	r.clear()
	r.Count, r.Width, r.Nested, r.Missing = count, width, true, true
	for range count * width {
		r.X = append(r.X, math.NaN())
	}
}

// SetNumber sets a cell after Reset. NaN is a missing number.
func (r *Rows) SetNumber(row, column int, v float64) { r.X[row*r.Width+column] = cell.Number(v) }

// SetText sets a cell after Reset. It keeps text, which must be valid UTF-8.
func (r *Rows) SetText(row, column int, text []byte) { r.X[row*r.Width+column] = r.text(text) }

// text adds a text to the table.
func (r *Rows) text(text []byte) float64 {
	r.Texts = append(r.Texts, text)
	return cell.Text(len(r.Texts) - 1)
}

func (r *Rows) clear() {
	clear(r.Texts)
	*r = Rows{X: r.X[:0], Texts: r.Texts[:0], seen: r.seen, stamp: r.stamp}
}

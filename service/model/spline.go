package model

import (
	"math"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// bspline is a set of B-splines over one column: splines numbers for each x, sums of basis functions.
type bspline struct {
	knots         []float64
	degree        int
	basis         int       // number of basis functions
	coef          []float64 // basis × splines
	splines       int
	ends          int       // splines that go on beyond each end of the range
	low, high     float64   // the range of the column in training
	atLow         []float64 // values and slopes at the two ends
	atHigh        []float64
	slopeLow      []float64
	slopeHigh     []float64
	extrapolation string
}

// maxSplineDegree caps the degree of a spline.
const maxSplineDegree = 32

// buildSplineTransformer gives the values of bsplines_ for each column:
// https://scikit-learn.org/stable/modules/generated/sklearn.preprocessing.SplineTransformer.html
func buildSplineTransformer(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	columns, err := a.bsplines(n)
	if err != nil {
		return nil, err
	}
	bias, err := a.flag("include_bias")
	if err != nil {
		return nil, err
	}
	size := columns[0].splines
	kept := size
	if !bias {
		kept--
	}
	zeros := a.text("handle_missing") == "zeros"
	refuse := a.text("extrapolation") == "error"
	e, err := a.transformer(n, n*kept, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v, work := s.floats(size), s.floats(columns[0].degree+1)
		for i, f := range x {
			c := columns[i%n]
			if refuse && (f < c.low || f > c.high) {
				return &RangeError{Row: i / n, Column: i % n, Reason: "the number is beyond the knots that the model was fitted with"}
			}
			clear(v)
			if f == f {
				c.values(f, v, work)
			}
			copy(out[i*kept:(i+1)*kept], v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing = zeros
	return e, nil
}

// bsplines reads bsplines_, one scipy.interpolate.BSpline for each of n columns.
func (a attrs) bsplines(n int) ([]*bspline, error) {
	items, err := a.sequence("bsplines_")
	if err != nil {
		return nil, err
	}
	if len(items) != n {
		return nil, a.errorf("bsplines_", "want %d, not %d", n, len(items))
	}
	out, outer := make([]*bspline, n), 0
	for j, item := range items {
		o, ok := item.(*pickle.Object)
		if ok && o.Attrs["_delegate_to"] != nil { // since scipy 1.18
			o, ok = o.Attrs["_delegate_to"].(*pickle.Object)
		}
		if !ok || strings.TrimPrefix(o.Class.Name, "_") != "BSpline" {
			return nil, a.errorf("bsplines_", "want splines")
		}
		if out[j], err = (attrs{o, a.l}).bspline(a.text("extrapolation")); err != nil {
			return nil, a.errorf("bsplines_", "column %d: %w", j, err)
		}
		if out[j].splines != out[0].splines || out[j].degree != out[0].degree {
			return nil, a.errorf("bsplines_", "they are of different sizes")
		}
		if j == 0 {
			outer = out[j].degree
		}
		if len(out[j].knots) <= 2*outer {
			return nil, a.errorf("bsplines_", "column %d has %d knots", j, len(out[j].knots))
		}
		out[j].limit(outer)
		if out[j].ends = outer; a.text("extrapolation") == "linear" && outer <= 1 {
			outer++ // so does scikit-learn, and keeps it for the columns that follow
			out[j].ends = outer
		}
	}
	return out, nil
}

// bspline reads one; newer versions of scipy put an underscore before the names.
func (a attrs) bspline(extrapolation string) (*bspline, error) {
	knots, coef := "t", "c"
	if _, ok := a.o.Attrs[knots]; !ok {
		knots, coef = "_t", "_c"
	}
	b := &bspline{extrapolation: extrapolation}
	var err error
	if b.degree, err = a.integer("k"); err != nil {
		return nil, err
	}
	if b.knots, err = a.scoresOf(knots); err != nil {
		return nil, err
	}
	b.basis = len(b.knots) - b.degree - 1
	if b.degree < 0 || b.degree > maxSplineDegree || b.basis < b.degree+1 {
		return nil, a.errorf("k", "it is %d for %d knots", b.degree, len(b.knots))
	}
	for i, t := range b.knots[1:] {
		if !(t >= b.knots[i]) {
			return nil, a.errorf(knots, "they don't rise")
		}
	}
	v, shape, err := a.floats(coef)
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || shape[0] < b.basis || shape[1] < 1 {
		return nil, a.errorf(coef, "it has the shape %v for %d knots", shape, len(b.knots))
	}
	b.coef, b.splines = v, shape[1]
	return b, nil
}

// limit says how many knots in front of the range and behind it there are, and computes the values and slopes at its
// ends.
func (b *bspline) limit(outer int) {
	b.low, b.high = b.knots[outer], b.knots[len(b.knots)-1-outer]
	at := func(x float64, slope bool) []float64 {
		out, work := make([]float64, b.splines), make([]float64, b.degree+1)
		b.inside(x, out, work, slope)
		return out
	}
	b.atLow, b.atHigh = at(b.low, false), at(b.high, false)
	b.slopeLow, b.slopeHigh = at(b.low, true), at(b.high, true)
}

// values adds the splines at x to out, which is 0. Work has degree+1 numbers.
func (b *bspline) values(x float64, out, work []float64) {
	below, above := x < b.low, x > b.high
	switch b.extrapolation {
	case "periodic":
		if span := b.high - b.low; span > 0 {
			x = b.low + pythonMod(x-b.low, span)
		} else {
			x = 0
		}
	case "constant":
		if below {
			copy(out, b.atLow[:b.degree])
		} else if above {
			copy(out[b.splines-b.degree:], b.atHigh[b.splines-b.degree:])
		}
		if below || above {
			return
		}
	case "linear":
		if below || above {
			b.straight(x, below, out)
			return
		}
	}
	b.inside(x, out, work, false)
}

// straight continues the outermost splines in a straight line.
func (b *bspline) straight(x float64, below bool, out []float64) {
	for j := range min(b.ends, b.splines) {
		if below {
			out[j] = b.atLow[j] + (x-b.low)*b.slopeLow[j]
		} else {
			k := b.splines - 1 - j
			out[k] = b.atHigh[k] + (x-b.high)*b.slopeHigh[k]
		}
	}
}

// inside adds the splines at x, or their slopes. Beyond the knots it continues the outermost polynomials.
func (b *bspline) inside(x float64, out, work []float64, slope bool) {
	at := b.degree
	for at < b.basis-1 && x >= b.knots[at+1] {
		at++
	}
	b.basisFunctions(x, at, work, slope)
	for i, w := range work {
		for j, c := range b.coef[(at-b.degree+i)*b.splines:][:b.splines] {
			out[j] += w * c
		}
	}
}

// basisFunctions computes the degree+1 functions that differ from 0 between the knots at and at+1, or their slopes, by
// the recursion of de Boor and Cox.
func (b *bspline) basisFunctions(x float64, at int, n []float64, slope bool) {
	clear(n)
	n[0] = 1
	for d := 1; d <= b.degree; d++ {
		last := slope && d == b.degree
		carried := 0.0
		for r := range d {
			right, left := b.knots[at+r+1], b.knots[at+r+1-d]
			share := 0.0
			if right > left {
				share = n[r] / (right - left)
			}
			if last {
				n[r], carried = carried-float64(d)*share, float64(d)*share
			} else {
				n[r], carried = carried+share*(right-x), share*(x-left)
			}
		}
		n[d] = carried
	}
	if slope && b.degree == 0 {
		n[0] = 0
	}
}

// pythonMod is Python's %: its sign is that of m.
func pythonMod(v, m float64) float64 {
	r := math.Mod(v, m)
	if r != 0 && (r < 0) != (m < 0) {
		r += m
	}
	return r
}

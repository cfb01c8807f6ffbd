package model

import (
	"math"

	"github.com/weirhq/weir/service/pickle"
)

// randomProjection reads random_weights_ (columns × parts) and random_offset_ as linear functions.
func (a attrs) randomProjection() (*linear, error) {
	offset, err := a.scoresOf("random_offset_")
	if err != nil {
		return nil, err
	}
	weights, parts, err := a.matrix("random_weights_", -1, len(offset))
	if err != nil {
		return nil, err
	}
	in := len(weights) / parts
	return &linear{in: in, out: parts, coef: transposed(weights, in, parts), intercept: offset}, nil
}

// cosines makes the features of Rahimi and Recht, "Random Features for Large-Scale Kernel Machines".
func (l *linear) cosines(x []float64, rows int, out []float64, s *Scratch) error {
	err := l.values(x, rows, out, s)
	scale := math.Sqrt(2 / float64(l.out))
	for i, v := range out {
		out[i] = math.Cos(v) * scale
	}
	return err
}

func buildRBFSampler(a attrs) (*estimator, error) {
	l, err := a.randomProjection()
	if err != nil {
		return nil, err
	}
	return a.transformer(l.in, l.out, l.cosines)
}

// buildSkewedChi2 does it with the logarithm of each number and skewedness.
func buildSkewedChi2(a attrs) (*estimator, error) {
	l, err := a.randomProjection()
	if err != nil {
		return nil, err
	}
	skew, err := a.number("skewedness")
	if err != nil {
		return nil, err
	}
	return a.transformer(l.in, l.out, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(len(x))
		for i, f := range x {
			if f <= -skew {
				return &RangeError{Row: i / l.in, Column: i % l.in, Reason: "the number is not above -skewedness"}
			}
			v[i] = math.Log(f + skew)
		}
		return l.cosines(v, rows, out, s)
	})
}

// buildAdditiveChi2 samples the Fourier transform of the kernel: Vedaldi and Zisserman, "Efficient additive kernels via
// explicit feature maps".
func buildAdditiveChi2(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	steps, err := a.integer("sample_steps")
	if err != nil {
		return nil, err
	}
	interval, ok := map[int]float64{1: 0.8, 2: 0.5, 3: 0.4}[steps]
	if v := a.o.Attrs["sample_interval"]; v != nil {
		if interval, err = a.number("sample_interval"); err != nil {
			return nil, err
		}
	} else if !ok {
		return nil, a.errorf("sample_steps", "want 1, 2 or 3, or a sample_interval")
	}
	if steps < 1 || steps > maxSteps {
		return nil, a.errorf("sample_steps", "it is %d", steps)
	}
	out := n * (2*steps - 1)
	return a.transformer(n, out, func(x []float64, rows int, to []float64, _ *Scratch) error {
		clear(to)
		for i, v := range x {
			if v < 0 {
				return &RangeError{Row: i / n, Column: i % n, Reason: "the number is below 0"}
			}
			if v > 0 {
				sampleChi2(v, interval, to[i/n*out:(i/n+1)*out], i%n, n, steps)
			}
		}
		return nil
	})
}

func sampleChi2(v, interval float64, out []float64, j, n, steps int) {
	out[j] = math.Sqrt(v * interval)
	angle := interval * math.Log(v)
	for k := 1; k < steps; k++ {
		f := math.Sqrt(2 * v * interval / math.Cosh(math.Pi*float64(k)*interval))
		out[(2*k-1)*n+j] = f * math.Cos(float64(k)*angle)
		out[2*k*n+j] = f * math.Sin(float64(k)*angle)
	}
}

// maxSketch caps the parts of a count sketch, whose products cost their square.
const maxSketch = 1 << 12

// buildCountSketch multiplies count sketches of a row as polynomials: Pham and Pagh, "Fast and scalable polynomial
// kernels via explicit feature maps".
func buildCountSketch(a attrs) (*estimator, error) {
	parts, err := a.integer("n_components")
	if err != nil {
		return nil, err
	}
	degree, err := a.integer("degree")
	if err != nil {
		return nil, err
	}
	if parts < 1 || parts > maxSketch || degree < 1 || degree > maxSplineDegree {
		return nil, a.errorf("n_components", "want 1 to %d, and a degree of 1 to %d", maxSketch, maxSplineDegree)
	}
	place, columns, err := a.matrix("indexHash_", degree, -1)
	if err != nil {
		return nil, err
	}
	sign, _, err := a.matrix("bitHash_", degree, columns)
	if err != nil {
		return nil, err
	}
	for _, v := range place {
		if !(v >= 0 && v < float64(parts)) {
			return nil, a.errorf("indexHash_", "want 0 to %d", parts-1)
		}
	}
	n, gamma, bias, err := a.sketchedColumns(columns)
	if err != nil {
		return nil, err
	}
	return a.transformer(n, parts, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		sketch, product := s.floats(parts), s.floats(parts)
		for r := range rows {
			row, to := x[r*n:(r+1)*n], out[r*parts:(r+1)*parts]
			for d := range degree {
				clear(sketch)
				for j := range columns {
					v := bias
					if j < n {
						v = row[j] * gamma
					}
					sketch[int(place[d*columns+j])] += v * sign[d*columns+j]
				}
				if d == 0 {
					copy(to, sketch)
					continue
				}
				cyclicProduct(to, sketch, product)
				copy(to, product)
			}
		}
		return nil
	})
}

// sketchedColumns returns the columns of a row, without the one that coef0 adds, and the roots of gamma and coef0.
func (a attrs) sketchedColumns(columns int) (n int, gamma, bias float64, err error) {
	coef0, err := a.number("coef0")
	if err != nil {
		return 0, 0, 0, err
	}
	g, err := a.number("gamma")
	if coef0 != 0 {
		columns--
	}
	return columns, math.Sqrt(g), math.Sqrt(coef0), err
}

// cyclicProduct multiplies polynomials whose powers wrap around.
func cyclicProduct(a, b, out []float64) {
	clear(out)
	n := len(out)
	for i, v := range a {
		for j, w := range b {
			out[(i+j)%n] += v * w
		}
	}
}

// buildRandomProjection gives x·components_, which may be sparse.
func buildRandomProjection(a attrs) (*estimator, error) {
	if _, ok := a.o.Attrs["components_"].(*pickle.Object); !ok {
		return buildTruncatedSVD(a)
	}
	l, err := a.sparseComponents()
	if err != nil {
		return nil, err
	}
	return a.transformer(l.in, l.out, l.values)
}

// sparseComponents reads a scipy.sparse matrix in rows: of row k the columns indices[indptr[k]:indptr[k+1]] hold data.
func (a attrs) sparseComponents() (*linear, error) {
	o, ok := a.o.Attrs["components_"].(*pickle.Object)
	if !ok || o.Class.Name != "csr_matrix" && o.Class.Name != "csr_array" {
		return nil, a.errorf("components_", "want a matrix")
	}
	m := attrs{o, a.l}
	shape, err := numbers(o.Attrs["_shape"])
	if err != nil || len(shape) != 2 {
		return nil, m.errorf("_shape", "want two numbers")
	}
	out, in := int(shape[0]), int(shape[1])
	if out < 1 || in < 1 || out > maxWidth || in > maxWidth {
		return nil, m.errorf("_shape", "it is %v", shape)
	}
	if err := a.l.spend(8 * out * in); err != nil {
		return nil, m.errorf("_shape", "%w", err)
	}
	starts, err := m.vector("indptr", out+1)
	if err != nil {
		return nil, err
	}
	data, _, err := m.floats("data")
	if err != nil {
		return nil, err
	}
	columns, err := m.vector("indices", len(data))
	if err != nil {
		return nil, err
	}
	l := &linear{in: in, out: out, coef: make([]float64, out*in), intercept: make([]float64, out)}
	for k := range out {
		from, to := starts[k], starts[k+1]
		if !(from >= 0 && to >= from && to <= float64(len(data))) {
			return nil, m.errorf("indptr", "it leads out of the matrix")
		}
		for i := int(from); i < int(to); i++ {
			if !(columns[i] >= 0 && columns[i] < float64(in)) {
				return nil, m.errorf("indices", "want 0 to %d", in-1)
			}
			l.coef[k*in+int(columns[i])] += data[i]
		}
	}
	return l, nil
}

package model

import (
	"math"

	"github.com/weirhq/weir/service/pickle"
)

func otherEntries() []entry {
	out := in("sklearn.dummy", buildDummyClassifier, "DummyClassifier")
	for _, list := range [][]entry{
		in("sklearn.dummy", buildDummyRegressor, "DummyRegressor"),
		in("sklearn.neural_network._multilayer_perceptron", buildMLPClassifier, "MLPClassifier"),
		in("sklearn.neural_network._multilayer_perceptron", buildMLPRegressor, "MLPRegressor"),
		in("sklearn.neural_network._stochastic_optimizers", nil, "AdamOptimizer", "SGDOptimizer"),
		in("sklearn.cross_decomposition._pls", buildPLS, "PLSRegression", "PLSCanonical", "CCA"),
		in("sklearn.gaussian_process._gpr", buildGaussianProcess, "GaussianProcessRegressor"),
		in("sklearn.gaussian_process._gpc", buildProcessClassifier, "GaussianProcessClassifier"),
		in("sklearn.gaussian_process._gpc", buildLaplace, "_BinaryGaussianProcessClassifierLaplace"),
		in("sklearn.gaussian_process.kernels", nil, "ConstantKernel", "WhiteKernel", "RBF", "Matern", "RationalQuadratic",
			"DotProduct", "Sum", "Product", "Exponentiation", "ExpSineSquared"),
	} {
		out = append(out, list...)
	}
	return out
}

// kernel compares two rows.
type kernel func(a, b []float64) float64

// buildGaussianProcess gives the mean: the kernel with each training row times alpha_.
func buildGaussianProcess(a attrs) (*estimator, error) {
	rows, n, err := a.matrix("X_train_", -1, -1)
	if err != nil {
		return nil, err
	}
	count := len(rows) / n
	alpha, shape, err := a.floats("alpha_")
	if err != nil {
		return nil, err
	}
	if len(shape) == 0 || shape[0] != count || len(alpha)%count != 0 || len(alpha) == 0 || len(shape) > 2 {
		return nil, a.errorf("alpha_", "it has the shape %v for %d rows", shape, count)
	}
	outputs := len(alpha) / count
	mean, err := a.spread("_y_train_mean", outputs)
	if err != nil {
		return nil, err
	}
	scale, err := a.spread("_y_train_std", outputs)
	if err != nil {
		return nil, err
	}
	k, err := a.kernel("kernel_", n, 0)
	if err != nil {
		return nil, err
	}
	return a.regressor(n, outputs, len(shape) == 2, eachRow(n, outputs, func(x, out []float64) {
		clear(out)
		for i := range count {
			v := k(x, rows[i*n:(i+1)*n])
			for o := range out {
				out[o] += v * alpha[i*outputs+o]
			}
		}
		for o := range out {
			out[o] = out[o]*scale[o] + mean[o]
		}
	}))
}

// spread reads n numbers, or one for all.
func (a attrs) spread(name string, n int) ([]float64, error) {
	v, _, err := a.floats(name)
	if err != nil {
		return nil, err
	}
	if len(v) == 1 {
		out := ones(n)
		for i := range out {
			out[i] = v[0]
		}
		return out, nil
	}
	if len(v) != n {
		return nil, a.errorf(name, "want %d numbers, not %d", n, len(v))
	}
	return v, nil
}

// kernel reads an attribute that is a kernel, for rows of n numbers.
func (a attrs) kernel(name string, n, depth int) (kernel, error) {
	o, ok := a.o.Attrs[name].(*pickle.Object)
	if !ok || depth > maxDepth {
		return nil, a.errorf(name, "want a kernel")
	}
	if a.l.built++; a.l.built > maxEstimators {
		return nil, a.errorf(name, "it has far too many parts")
	}
	k := attrs{o, a.l}
	switch k.class() {
	case "Sum", "Product":
		first, err := k.kernel("k1", n, depth+1)
		if err != nil {
			return nil, err
		}
		second, err := k.kernel("k2", n, depth+1)
		if err != nil {
			return nil, err
		}
		if k.class() == "Sum" {
			return func(x, y []float64) float64 { return first(x, y) + second(x, y) }, nil
		}
		return func(x, y []float64) float64 { return first(x, y) * second(x, y) }, nil
	case "Exponentiation":
		inner, err := k.kernel("kernel", n, depth+1)
		if err != nil {
			return nil, err
		}
		power, err := k.number("exponent")
		return func(x, y []float64) float64 { return math.Pow(inner(x, y), power) }, err
	case "WhiteKernel": // between different rows there is none of it
		return func(_, _ []float64) float64 { return 0 }, nil
	case "ConstantKernel":
		v, err := k.number("constant_value")
		return func(_, _ []float64) float64 { return v }, err
	case "DotProduct":
		sigma, err := k.number("sigma_0")
		return func(x, y []float64) float64 { return dot(x, y) + sigma*sigma }, err
	}
	return k.stationary(n)
}

// kernelDiagonal is the kernel of a row with itself: there white noise counts.
func (a attrs) kernelDiagonal(name string, n int, k kernel) (func(x []float64) float64, error) {
	same := func(x []float64) float64 { return k(x, x) }
	o, _ := a.o.Attrs[name].(*pickle.Object)
	if o == nil {
		return same, nil
	}
	parts := attrs{o, a.l}
	part := func(name string) (func(x []float64) float64, error) {
		inner, err := parts.kernel(name, n, 1)
		if err != nil {
			return nil, err
		}
		return parts.kernelDiagonal(name, n, inner)
	}
	switch o.Class.Name {
	case "WhiteKernel":
		level, err := parts.number("noise_level")
		return func([]float64) float64 { return level }, err
	case "Exponentiation":
		inner, err := part("kernel")
		if err != nil {
			return nil, err
		}
		power, err := parts.number("exponent")
		return func(x []float64) float64 { return math.Pow(inner(x), power) }, err
	case "Sum", "Product":
		first, err := part("k1")
		if err != nil {
			return nil, err
		}
		second, err := part("k2")
		if o.Class.Name == "Sum" {
			return func(x []float64) float64 { return first(x) + second(x) }, err
		}
		return func(x []float64) float64 { return first(x) * second(x) }, err
	}
	return same, nil
}

// number reads an attribute that is one number.
func (a attrs) number(name string) (float64, error) {
	v, _, err := a.floats(name)
	if err == nil && len(v) != 1 {
		err = a.errorf(name, "want one number")
	}
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// stationary reads a kernel of the distance between rows, in units of length_scale.
func (a attrs) stationary(n int) (kernel, error) {
	scale, err := a.spread("length_scale", n)
	if err != nil {
		return nil, err
	}
	squared := func(x, y []float64) float64 {
		sum := 0.0
		for j, v := range x {
			d := (v - y[j]) / scale[j]
			sum += d * d
		}
		return sum
	}
	switch a.class() {
	case "RBF":
		return func(x, y []float64) float64 { return math.Exp(-squared(x, y) / 2) }, nil
	case "RationalQuadratic":
		alpha, err := a.number("alpha")
		return func(x, y []float64) float64 { return math.Pow(1+squared(x, y)/(2*alpha), -alpha) }, err
	case "ExpSineSquared":
		period, err := a.number("periodicity")
		length := scale[0]
		return func(x, y []float64) float64 {
			d := math.Sin(math.Pi / period * math.Sqrt(squared(x, y)) * length)
			return math.Exp(-2 * d / length * d / length)
		}, err
	case "Matern":
		return a.matern(squared)
	}
	return nil, a.errorf("kernel", "it is not supported")
}

func (a attrs) matern(squared kernel) (kernel, error) {
	nu, err := a.number("nu")
	if err != nil {
		return nil, err
	}
	switch nu {
	case 0.5:
		return func(x, y []float64) float64 { return math.Exp(-math.Sqrt(squared(x, y))) }, nil
	case 1.5:
		return func(x, y []float64) float64 {
			d := math.Sqrt(3 * squared(x, y))
			return (1 + d) * math.Exp(-d)
		}, nil
	case 2.5:
		return func(x, y []float64) float64 {
			d := math.Sqrt(5 * squared(x, y))
			return (1 + d + d*d/3) * math.Exp(-d)
		}, nil
	}
	if math.IsInf(nu, 1) {
		return func(x, y []float64) float64 { return math.Exp(-squared(x, y) / 2) }, nil
	}
	return nil, a.errorf("nu", "it is %v: want 0.5, 1.5, 2.5 or infinity", nu)
}

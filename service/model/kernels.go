package model

import (
	"maps"
	"math"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func kernelEntries() []entry {
	const k = "sklearn.kernel_approximation"
	return slices.Concat(
		in("sklearn.kernel_ridge", buildKernelRidge, "KernelRidge"),
		in("sklearn.decomposition._kernel_pca", buildKernelPCA, "KernelPCA"),
		in("sklearn.preprocessing._data", nil, "KernelCenterer"),
		in(k, buildNystroem, "Nystroem"),
		in(k, buildRBFSampler, "RBFSampler"),
		in(k, buildSkewedChi2, "SkewedChi2Sampler"),
		in(k, buildAdditiveChi2, "AdditiveChi2Sampler"),
		in(k, buildCountSketch, "PolynomialCountSketch"),
	)
}

// kernelValues compares each row with n others.
func kernelValues(k kernel, others []float64, in, n int) rowsFunc {
	return eachRow(in, n, func(x, out []float64) {
		for i := range out {
			out[i] = k(x, others[i*in:(i+1)*in])
		}
	})
}

// kernelSettings are a kernel's parameters: gamma, degree and coef0.
type kernelSettings struct{ gamma, degree, coef0 float64 }

// pairKernel reads kernel and its settings: https://scikit-learn.org/stable/modules/metrics.html
func (a attrs) pairKernel(n int) (kernel, error) {
	name := a.text("kernel")
	s := kernelSettings{gamma: 1 / float64(n), degree: 3, coef0: 1}
	if name == "chi2" {
		s.gamma = 1
	}
	for field, to := range map[string]*float64{"gamma": &s.gamma, "degree": &s.degree, "coef0": &s.coef0} {
		if v := a.o.Attrs[field]; v == nil {
			continue
		}
		f, err := a.number(field)
		if err != nil {
			return nil, err
		}
		*to = f
	}
	if given, ok := pickle.Entries(a.o.Attrs["kernel_params"]); ok && len(given) > 0 {
		return nil, a.errorf("kernel_params", "set gamma, degree and coef0 themselves")
	}
	k := s.kernel(name)
	if k == nil {
		return nil, a.errorf("kernel", "want one of linear, poly, rbf, sigmoid, laplacian, cosine, chi2 and additive_chi2; "+
			"functions are not run")
	}
	return k, nil
}

func (s kernelSettings) kernel(name string) kernel {
	switch name {
	case "linear":
		return dot
	case "poly", "polynomial":
		return func(a, b []float64) float64 { return math.Pow(s.gamma*dot(a, b)+s.coef0, s.degree) }
	case "sigmoid":
		return func(a, b []float64) float64 { return math.Tanh(s.gamma*dot(a, b) + s.coef0) }
	case "rbf":
		return func(a, b []float64) float64 { return math.Exp(-s.gamma * squaredDistance(a, b)) }
	case "laplacian":
		return func(a, b []float64) float64 { return math.Exp(-s.gamma * manhattan(a, b)) }
	case "cosine":
		return func(a, b []float64) float64 { return dot(a, b) / (norm("l2", a) * norm("l2", b)) }
	case "chi2":
		return func(a, b []float64) float64 { return math.Exp(-s.gamma * chi2(a, b)) }
	case "additive_chi2":
		return func(a, b []float64) float64 { return -chi2(a, b) }
	}
	return nil
}

func manhattan(a, b []float64) float64 {
	sum := 0.0
	for j, v := range a {
		sum += math.Abs(v - b[j])
	}
	return sum
}

func chi2(a, b []float64) float64 {
	sum := 0.0
	for j, v := range a {
		if both := v + b[j]; both != 0 {
			sum += (v - b[j]) * (v - b[j]) / both
		}
	}
	return sum
}

// weighted makes a rowsFunc of linear functions (outputs × n) of what f computes, n numbers a row.
func weighted(f rowsFunc, n int, l *linear) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		if err := f(x, rows, v, s); err != nil {
			return err
		}
		return l.values(v, rows, out, s)
	}
}

// buildKernelRidge adds up the kernel with each training row times dual_coef_.
func buildKernelRidge(a attrs) (*estimator, error) {
	rows, in, err := a.matrix("X_fit_", -1, -1)
	if err != nil {
		return nil, err
	}
	n := len(rows) / in
	coef, shape, err := a.floats("dual_coef_")
	if err != nil {
		return nil, err
	}
	if len(shape) == 0 || len(shape) > 2 || shape[0] != n || len(coef) == 0 {
		return nil, a.errorf("dual_coef_", "it has the shape %v for %d rows", shape, n)
	}
	k, err := a.pairKernel(in)
	if err != nil {
		return nil, err
	}
	outputs := len(coef) / n
	l := &linear{in: n, out: outputs, coef: transposed(coef, n, outputs), intercept: make([]float64, outputs)}
	return a.regressor(in, outputs, len(shape) == 2, weighted(kernelValues(k, rows, in, n), n, l))
}

// buildKernelPCA gives the centred kernel with each training row times the eigenvectors, by the root of their values.
func buildKernelPCA(a attrs) (*estimator, error) {
	rows, in, err := a.matrix("X_fit_", -1, -1)
	if err != nil {
		return nil, err
	}
	n := len(rows) / in
	values, vectors, err := a.eigen(n)
	if err != nil {
		return nil, err
	}
	centre, err := a.object("_centerer", "KernelCenterer")
	if err != nil {
		return nil, err
	}
	means, err := centre.vector("K_fit_rows_", n)
	if err != nil {
		return nil, err
	}
	all, err := centre.number("K_fit_all_")
	if err != nil {
		return nil, err
	}
	c := a
	if v, ok := a.o.Attrs["gamma_"]; ok {
		c = a.with("gamma", v)
	}
	k, err := c.pairKernel(in)
	if err != nil {
		return nil, err
	}
	parts := len(values)
	l := &linear{in: n, out: parts, coef: transposed(vectors, n, parts), intercept: make([]float64, parts)}
	for i := range l.coef {
		if v := values[i/n]; v != 0 {
			l.coef[i] /= math.Sqrt(v)
		} else {
			l.coef[i] = 0
		}
	}
	return a.transformer(in, parts, weighted(eachRow(in, n, func(x, out []float64) {
		for i := range out {
			out[i] = k(x, rows[i*in:(i+1)*in])
		}
		mean := total(out) / float64(n)
		for i := range out {
			out[i] += all - mean - means[i]
		}
	}), n, l))
}

// eigen reads the eigenvalues and eigenvectors (n × parts), which had other names before 1.0.
func (a attrs) eigen(n int) (values, vectors []float64, err error) {
	names := [2]string{"eigenvalues_", "eigenvectors_"}
	if _, ok := a.o.Attrs[names[0]]; !ok {
		names = [2]string{"lambdas_", "alphas_"}
	}
	if values, err = a.scoresOf(names[0]); err != nil {
		return nil, nil, err
	}
	vectors, _, err = a.matrix(names[1], n, len(values))
	return values, vectors, err
}

// with returns attributes of which one has another value.
func (a attrs) with(name string, value any) attrs {
	o := *a.o
	o.Attrs = maps.Clone(a.o.Attrs)
	o.Attrs[name] = value
	return attrs{&o, a.l}
}

// buildNystroem compares rows with components_ and normalises the result.
func buildNystroem(a attrs) (*estimator, error) {
	rows, in, err := a.matrix("components_", -1, -1)
	if err != nil {
		return nil, err
	}
	n := len(rows) / in
	coef, _, err := a.matrix("normalization_", n, n)
	if err != nil {
		return nil, err
	}
	k, err := a.pairKernel(in)
	if err != nil {
		return nil, err
	}
	l := &linear{in: n, out: n, coef: coef, intercept: make([]float64, n)}
	return a.transformer(in, n, weighted(kernelValues(k, rows, in, n), n, l))
}

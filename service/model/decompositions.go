package model

import (
	"math"
	"slices"
)

func decompositionEntries() []entry {
	const d = "sklearn.decomposition."
	return slices.Concat(
		in(d+"_fastica", buildFastICA, "FastICA"),
		in(d+"_factor_analysis", buildFactorAnalysis, "FactorAnalysis"),
		in(d+"_sparse_pca", buildSparsePCA, "SparsePCA", "MiniBatchSparsePCA"),
		in("sklearn.random_projection", buildRandomProjection, "GaussianRandomProjection", "SparseRandomProjection"),
		in("scipy.sparse._csr scipy.sparse.csr", nil, "csr_matrix", "csr_array"),
		in("scipy.interpolate._bsplines", nil, "BSpline", "_BSpline"),
		in("sklearn.preprocessing._polynomial", buildSplineTransformer, "SplineTransformer"),
		in("sklearn.impute._knn", buildKNNImputer, "KNNImputer"),
	)
}

// centred subtracts mean_ from rows before linear functions, if there is one.
func (a attrs) centred(l *linear) error {
	if a.o.Attrs["mean_"] == nil {
		return nil
	}
	mean, err := a.vector("mean_", l.in)
	if err != nil {
		return err
	}
	for k := range l.out {
		l.intercept[k] -= dot(mean, l.coef[k*l.in:(k+1)*l.in])
	}
	return nil
}

// buildFastICA gives (x - mean_)·components_.
func buildFastICA(a attrs) (*estimator, error) {
	l, err := a.components()
	if err != nil {
		return nil, err
	}
	if whiten, err := a.flag("whiten"); err != nil || whiten { // text since 1.1
		if err := a.centred(l); err != nil {
			return nil, err
		}
	}
	return a.transformer(l.in, l.out, l.values)
}

// buildFactorAnalysis gives the expected factors: Barber, "Bayesian Reasoning and Machine Learning", 21.2.
func buildFactorAnalysis(a attrs) (*estimator, error) {
	l, err := a.components()
	if err != nil {
		return nil, err
	}
	noise, err := a.vector("noise_variance_", l.in)
	if err != nil {
		return nil, err
	}
	scaled := slices.Clone(l.coef)
	for i := range scaled {
		scaled[i] /= noise[i%l.in]
	}
	if err := a.project(l, scaled, 1); err != nil {
		return nil, err
	}
	return a.transformer(l.in, l.out, l.values)
}

// buildSparsePCA fits a ridge regression of each row on the components.
func buildSparsePCA(a attrs) (*estimator, error) {
	l, err := a.components()
	if err != nil {
		return nil, err
	}
	alpha, err := a.number("ridge_alpha")
	if err != nil {
		return nil, err
	}
	if err := a.project(l, slices.Clone(l.coef), alpha); err != nil {
		return nil, err
	}
	return a.transformer(l.in, l.out, l.values)
}

// maxProjected caps the components whose square matrix is inverted.
const maxProjected = 1 << 11

// project makes l the functions (ridge·I + S·Cᵀ)⁻¹·S of centred rows, where C are l's functions and S scaled ones.
func (a attrs) project(l *linear, scaled []float64, ridge float64) error {
	k := l.out
	if k > maxProjected {
		return a.errorf("components_", "there are more than %d", maxProjected)
	}
	if err := a.l.spend(16 * k * k); err != nil {
		return a.errorf("components_", "%w", err)
	}
	m := make([]float64, k*k)
	for i := range k {
		for j := range k {
			m[i*k+j] = dot(scaled[i*l.in:(i+1)*l.in], l.coef[j*l.in:(j+1)*l.in])
		}
		m[i*k+i] += ridge
	}
	if !solve(m, k, scaled, l.in) {
		return a.errorf("components_", "they depend on one another")
	}
	l.coef = scaled
	return a.centred(l)
}

// solve turns b (n × columns) into m⁻¹·b, by elimination with pivots; m (n × n) is used up. False: there is none.
func solve(m []float64, n int, b []float64, columns int) bool {
	for i := range n {
		best := i
		for r := i + 1; r < n; r++ {
			if math.Abs(m[r*n+i]) > math.Abs(m[best*n+i]) {
				best = r
			}
		}
		if p := m[best*n+i]; p == 0 || p != p {
			return false
		}
		swapRows(m, n, i, best)
		swapRows(b, columns, i, best)
		for r := range n {
			if f := m[r*n+i] / m[i*n+i]; r != i && f != 0 {
				takeRow(m, n, r, i, f)
				takeRow(b, columns, r, i, f)
			}
		}
	}
	for i := range b {
		b[i] /= m[i/columns*n+i/columns]
	}
	return true
}

func swapRows(m []float64, columns, i, j int) {
	for c := range columns {
		m[i*columns+c], m[j*columns+c] = m[j*columns+c], m[i*columns+c]
	}
}

// takeRow subtracts f times row i from row r.
func takeRow(m []float64, columns, r, i int, f float64) {
	for c := range columns {
		m[r*columns+c] -= f * m[i*columns+c]
	}
}

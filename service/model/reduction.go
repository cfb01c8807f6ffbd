package model

import (
	"math"
	"slices"
)

func reductionEntries() []entry {
	const d, f = "sklearn.decomposition.", "sklearn.feature_selection."
	return slices.Concat(
		in(d+"_pca", buildPCA, "PCA"),
		in(d+"_incremental_pca", buildPCA, "IncrementalPCA"),
		in(d+"_truncated_svd", buildTruncatedSVD, "TruncatedSVD"),
		in(f+"_univariate_selection", buildSelector, "SelectKBest", "SelectPercentile", "SelectFpr", "SelectFdr",
			"SelectFwe"),
		in(f+"_variance_threshold", buildVarianceThreshold, "VarianceThreshold"),
	)
}

// buildPCA gives (x - mean_)·components_, divided by the deviations if whiten says so.
func buildPCA(a attrs) (*estimator, error) {
	l, err := a.components()
	if err != nil {
		return nil, err
	}
	if v := a.o.Attrs["mean_"]; v != nil {
		mean, err := a.vector("mean_", l.in)
		if err != nil {
			return nil, err
		}
		for k := range l.out {
			l.intercept[k] = -dot(mean, l.coef[k*l.in:(k+1)*l.in])
		}
	}
	scale := ones(l.out)
	if whiten, err := a.flag("whiten"); err == nil && whiten {
		variance, err := a.vector("explained_variance_", l.out)
		if err != nil {
			return nil, err
		}
		for k, v := range variance {
			scale[k] = max(math.Sqrt(v), 2.220446049250313e-16)
		}
	}
	return a.transformer(l.in, l.out, func(x []float64, rows int, out []float64, s *Scratch) error {
		err := l.values(x, rows, out, s)
		for i := range out {
			out[i] /= scale[i%l.out]
		}
		return err
	})
}

// components reads components_ (outputs × columns) as linear functions.
func (a attrs) components() (*linear, error) {
	coef, shape, err := a.floats("components_")
	if err != nil {
		return nil, err
	}
	if len(shape) != 2 || len(coef) == 0 {
		return nil, a.errorf("components_", "want outputs × columns")
	}
	return &linear{in: shape[1], out: shape[0], coef: coef, intercept: make([]float64, shape[0])}, nil
}

// buildTruncatedSVD gives x·components_.
func buildTruncatedSVD(a attrs) (*estimator, error) {
	l, err := a.components()
	if err != nil {
		return nil, err
	}
	e, err := a.transformer(l.in, l.out, l.values)
	if err != nil {
		return nil, err
	}
	return e.takesSparse(), nil
}

package model

import "github.com/weirhq/weir/service/pickle"

// buildTransformedTarget undoes with transformer_ what was done to the target before regressor_ was fitted.
func buildTransformedTarget(a attrs) (*estimator, error) {
	e, err := a.inner("regressor_")
	if err != nil {
		return nil, err
	}
	if e.Kind != Regressor {
		return nil, a.errorf("regressor_", "want a regressor")
	}
	v, err := a.get("transformer_")
	if err != nil {
		return nil, err
	}
	o, ok := v.(*pickle.Object)
	if !ok {
		return nil, a.errorf("transformer_", "want a transformer")
	}
	undo, err := attrs{o, a.l}.inverse(e.Out)
	if err != nil {
		return nil, a.errorf("transformer_", "%w", err)
	}
	dims, err := a.integer("_training_dim")
	if err != nil {
		return nil, err
	}
	c := *e
	c.Vector, c.proba, c.decision = dims > 1, nil, nil
	c.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		if err := e.apply(x, rows, out, s); err != nil {
			return err
		}
		for i, v := range out {
			out[i] = undo(i%e.Out, v)
		}
		return nil
	}
	return &c, nil
}

// inverse returns a transformer's inverse for one number of column j.
func (a attrs) inverse(n int) (func(j int, v float64) float64, error) {
	switch a.class() {
	case "FunctionTransformer":
		f, err := a.function("inverse_func")
		return func(_ int, v float64) float64 { return f(v) }, err
	case "StandardScaler":
		mean, err := a.optional("with_mean", "mean_", n)
		if err != nil {
			return nil, err
		}
		scale, err := a.optional("with_std", "scale_", n)
		if err != nil {
			return nil, err
		}
		return func(j int, v float64) float64 {
			if scale != nil {
				v *= scale[j]
			}
			if mean != nil {
				v += mean[j]
			}
			return v
		}, nil
	case "MinMaxScaler":
		scale, err := a.vector("scale_", n)
		if err != nil {
			return nil, err
		}
		shift, err := a.vector("min_", n)
		return func(j int, v float64) float64 { return (v - shift[j]) / scale[j] }, err
	}
	return nil, a.errorf("inverse_transform", "it is supported for FunctionTransformer, StandardScaler and "+
		"MinMaxScaler only")
}

// buildSearch answers with best_estimator_.
func buildSearch(a attrs) (*estimator, error) { return a.inner("best_estimator_") }

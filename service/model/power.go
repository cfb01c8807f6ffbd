package model

import "math"

// buildPowerTransformer makes columns more like a normal distribution, by Yeo and Johnson, or by Box and Cox.
func buildPowerTransformer(a attrs) (*estimator, error) {
	lambdas, shape, err := a.floats("lambdas_")
	if err != nil {
		return nil, err
	}
	if len(shape) != 1 || len(lambdas) == 0 {
		return nil, a.errorf("lambdas_", "want a number for each column")
	}
	n := len(lambdas)
	f := yeoJohnson
	switch a.text("method") {
	case "yeo-johnson":
	case "box-cox":
		f = boxCox
	default:
		return nil, a.errorf("method", "want yeo-johnson or box-cox, not %q", a.text("method"))
	}
	e, err := a.transformer(n, n, func(x []float64, rows int, out []float64, _ *Scratch) error {
		for i, v := range x {
			if out[i] = f(v, lambdas[i%n]); out[i] != out[i] && v == v {
				return &RangeError{Row: i / n, Column: i % n, Reason: "the Box-Cox transformation takes positive numbers only"}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.Missing, e.columnwise = true, true
	standardize, err := a.flag("standardize")
	if err != nil || !standardize {
		return e, err
	}
	scaler, err := a.inner("_scaler")
	if err != nil {
		return nil, err
	}
	return a.chain([]*estimator{e, scaler})
}

func boxCox(x, lambda float64) float64 {
	switch {
	case x <= 0:
		return nan
	case lambda == 0:
		return math.Log(x)
	}
	return math.Expm1(lambda*math.Log(x)) / lambda
}

func yeoJohnson(x, lambda float64) float64 {
	const eps = 2.220446049250313e-16
	switch {
	case x >= 0 && math.Abs(lambda) < eps:
		return math.Log1p(x)
	case x >= 0:
		return math.Expm1(lambda*math.Log1p(x)) / lambda
	case math.Abs(lambda-2) > eps:
		return -math.Expm1((2-lambda)*math.Log1p(-x)) / (2 - lambda)
	}
	return -math.Log1p(-x)
}

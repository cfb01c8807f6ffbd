package model

// buildPLS is a linear function of centred columns. How coef_ is turned, and whether the columns are scaled before it,
// depends on the version.
func buildPLS(a attrs) (*estimator, error) {
	name := "coef_"
	if _, ok := a.o.Attrs["_coef_"]; ok { // 1.1 and 1.2
		name = "_coef_"
	}
	coef, shape, err := a.floats(name)
	if err != nil {
		return nil, err
	}
	mean, meanShape, err := a.floats("_x_mean")
	if err != nil {
		return nil, err
	}
	n := len(mean)
	if len(shape) != 2 || len(meanShape) != 1 || n == 0 || len(coef) == 0 || len(coef)%n != 0 {
		return nil, a.errorf(name, "it has the shape %v for %d columns", shape, n)
	}
	l := &linear{in: n, out: len(coef) / n, coef: coef}
	if a.version() < 101 {
		l.coef = transposed(coef, n, l.out)
	}
	intercept := "intercept_"
	if _, ok := a.o.Attrs[intercept]; !ok {
		intercept = "_y_mean"
	}
	if l.intercept, err = a.vector(intercept, l.out); err != nil {
		return nil, err
	}
	if a.version() < 105 {
		scale, err := a.vector("_x_std", n)
		if err != nil {
			return nil, err
		}
		for i := range l.coef {
			l.coef[i] /= scale[i%n]
		}
	}
	for k := range l.out {
		l.intercept[k] -= dot(mean, l.coef[k*n:(k+1)*n])
	}
	flat, err := a.flag("_predict_1d")
	return a.regressor(n, l.out, err != nil || !flat, l.values)
}

// transposed returns a matrix of rows × columns as columns × rows.
func transposed(v []float64, rows, columns int) []float64 {
	out := make([]float64, len(v))
	for i := range rows {
		for j := range columns {
			out[j*rows+i] = v[i*columns+j]
		}
	}
	return out
}

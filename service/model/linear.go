package model

// linear is a set of linear functions: coef[k]·x + intercept[k].
type linear struct {
	sig       Signature
	coef      []float64 // outputs × In
	intercept []float64 // outputs
}

// Signature describes the rows.
func (l *linear) Signature() Signature { return l.sig }

// value is the k-th function of one row.
func (l *linear) value(k int, x []float64) float64 {
	sum := 0.0
	for j, c := range l.coef[k*l.sig.In : (k+1)*l.sig.In] {
		sum += c * x[j]
	}
	return sum + l.intercept[k]
}

// linearRegression gives the functions' values.
type linearRegression struct{ linear }

// Apply computes the values of each row.
func (l *linearRegression) Apply(x []float64, rows int, out []float64, _ *Scratch) error {
	n, k := l.sig.In, l.sig.Out
	for r := range rows {
		for j := range k {
			out[r*k+j] = l.value(j, x[r*n:(r+1)*n])
		}
	}
	return nil
}

// logisticRegression picks the class with the largest function, or by the sign of the only one. Which loss it was
// fitted with makes no difference to the choice: softmax and the logistic function keep the order.
type logisticRegression struct{ linear }

// Apply picks the class of each row.
func (l *logisticRegression) Apply(x []float64, rows int, out []float64, _ *Scratch) error {
	for r := range rows {
		out[r] = float64(l.class(x[r*l.sig.In : (r+1)*l.sig.In]))
	}
	return nil
}

func (l *logisticRegression) class(x []float64) int {
	if len(l.intercept) == 1 {
		if l.value(0, x) > 0 {
			return 1
		}
		return 0
	}
	best, at := l.value(0, x), 0
	for k := 1; k < len(l.intercept); k++ {
		if v := l.value(k, x); v > best {
			best, at = v, k
		}
	}
	return at
}

// buildLinearRegression reads coef_ (columns, or outputs × columns) and intercept_ (a number or one for each output).
func buildLinearRegression(a attrs) (Estimator, error) {
	l, vector, err := buildLinear(a)
	if err != nil {
		return nil, err
	}
	l.sig, err = a.signature(Regressor, l.sig.In, l.sig.Out)
	l.sig.Vector = vector
	return &linearRegression{l}, err
}

// buildLogisticRegression reads coef_ (1 or classes × columns), intercept_ and classes_.
func buildLogisticRegression(a attrs) (Estimator, error) {
	l, _, err := buildLinear(a)
	if err != nil {
		return nil, err
	}
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	if functions := l.sig.Out; functions != len(labels) && (functions != 1 || len(labels) != 2) || len(labels) < 2 {
		return nil, a.errorf("coef_", "it has %d rows for %d classes", l.sig.Out, len(labels))
	}
	l.sig, err = a.signature(Classifier, l.sig.In, 1)
	l.sig.Labels = labels
	return &logisticRegression{l}, err
}

// buildLinear reads the functions. Out of the signature is their number.
func buildLinear(a attrs) (l linear, vector bool, err error) {
	coef, shape, err := a.floats("coef_")
	if err != nil {
		return l, false, err
	}
	l.coef = coef
	switch len(shape) {
	case 1:
		l.sig.Out, l.sig.In = 1, shape[0]
	case 2:
		l.sig.Out, l.sig.In = shape[0], shape[1]
	default:
		return l, false, a.errorf("coef_", "want one or two dimensions, not the shape %v", shape)
	}
	intercept, ishape, err := a.floats("intercept_")
	if err != nil {
		return l, false, err
	}
	if len(ishape) == 0 { // one number for all: 0.0 of a fit without intercept
		number := intercept[0]
		intercept = make([]float64, l.sig.Out)
		for k := range intercept {
			intercept[k] = number
		}
	}
	if len(ishape) > 1 || len(intercept) != l.sig.Out {
		return l, false, a.errorf("intercept_", "want %d numbers, not the shape %v", l.sig.Out, ishape)
	}
	l.intercept = intercept
	return l, len(shape) == 2, nil
}

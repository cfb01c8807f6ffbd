package model

import "math"

var nan = math.NaN()

// linear is a set of linear functions: coef[k]·x + intercept[k].
type linear struct {
	in, out   int
	coef      []float64 // outputs × in
	intercept []float64 // outputs
}

// values computes all functions of each row.
func (l *linear) values(x []float64, rows int, out []float64, s *Scratch) error {
	if x == nil {
		l.sparseValues(s.in, rows, out)
		return nil
	}
	for r := range rows {
		row := x[r*l.in : (r+1)*l.in]
		for k := range l.out {
			out[r*l.out+k] = dot(row, l.coef[k*l.in:(k+1)*l.in]) + l.intercept[k]
		}
	}
	return nil
}

// buildLinearRegression reads coef_ (columns, or outputs × columns) and intercept_ (a number or one for each output).
func buildLinearRegression(a attrs) (*estimator, error) {
	l, vector, err := a.linear()
	if err != nil {
		return nil, err
	}
	e, err := a.regressor(l.in, l.out, vector, l.values)
	if err != nil {
		return nil, err
	}
	return e.takesSparse(), nil
}

// buildLogisticRegression reads coef_ (1 or classes × columns), intercept_ and classes_. Which loss it was fitted with
// makes no difference to the choice, but to the probabilities.
func buildLogisticRegression(a attrs) (*estimator, error) {
	e, l, err := a.linearClassifier()
	if err != nil {
		return nil, err
	}
	multinomial := a.multinomial()
	classes := len(e.Labels)
	return e.withProba(classes, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * l.out)
		if err := l.values(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			logisticProba(v[r*l.out:(r+1)*l.out], out[r*classes:(r+1)*classes], multinomial)
		}
		return nil
	}), nil
}

// multinomial reports whether the probabilities are a softmax. multi_class is "auto" from 0.22 on, "deprecated" from
// 1.5 on, and gone since 1.8.
func (a attrs) multinomial() bool {
	classes, _ := a.labels()
	switch a.text("multi_class") {
	case "ovr":
		return false
	case "multinomial":
		return true
	}
	return a.text("solver") != "liblinear" && len(classes) > 2
}

func logisticProba(v, out []float64, multinomial bool) {
	switch {
	case len(v) == 1 && multinomial:
		out[0], out[1] = -v[0], v[0]
		softmax(out)
	case len(v) == 1:
		out[1] = sigmoid(v[0])
		out[0] = 1 - out[1]
	case multinomial:
		copy(out, v)
		softmax(out)
	default:
		for k, f := range v {
			out[k] = sigmoid(f)
		}
		normalise(out)
	}
}

// linearClassifier reads the functions and the classes. It decides by them.
func (a attrs) linearClassifier() (*estimator, *linear, error) {
	l, _, err := a.linear()
	if err != nil {
		return nil, nil, err
	}
	labels, err := a.labels()
	if err != nil {
		return nil, nil, err
	}
	if l.out != len(labels) && (l.out != 1 || len(labels) != 2) || len(labels) < 2 {
		return nil, nil, a.errorf("coef_", "it has %d rows for %d classes", l.out, len(labels))
	}
	e, err := a.classifier(l.in, labels)
	if err != nil {
		return nil, nil, err
	}
	return e.withDecision(l.out, l.values).picks(l.out, l.values).takesSparse(), l, nil
}

// linear reads coef_ and intercept_.
func (a attrs) linear() (l *linear, vector bool, err error) {
	l = &linear{}
	coef, shape, err := a.floats("coef_")
	if err != nil {
		return nil, false, err
	}
	l.coef = coef
	switch len(shape) {
	case 1:
		l.out, l.in = 1, shape[0]
	case 2:
		l.out, l.in = shape[0], shape[1]
	default:
		return nil, false, a.errorf("coef_", "want one or two dimensions, not the shape %v", shape)
	}
	if l.in < 1 || l.out < 1 || l.out > maxWidth {
		return nil, false, a.errorf("coef_", "it has the shape %v", shape)
	}
	intercept, ishape, err := a.floats("intercept_")
	if err != nil {
		return nil, false, err
	}
	if len(intercept) == 1 && l.out > 1 { // one number for all: 0.0 of a fit without intercept
		number := intercept[0]
		intercept = make([]float64, l.out)
		for k := range intercept {
			intercept[k] = number
		}
		ishape = nil
	}
	if len(ishape) > 1 || len(intercept) != l.out {
		return nil, false, a.errorf("intercept_", "want %d numbers, not the shape %v", l.out, ishape)
	}
	l.intercept = intercept
	return l, len(shape) == 2, nil
}

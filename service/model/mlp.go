package model

import "math"

// layer is one of a network: activation(x·weights + bias).
type layer struct {
	in, out    int
	weights    []float64 // in × out
	bias       []float64
	activation string
}

func (l *layer) apply(x, out []float64) {
	copy(out, l.bias)
	for i, v := range x {
		for o, w := range l.weights[i*l.out : (i+1)*l.out] {
			out[o] += v * w
		}
	}
	activate(l.activation, out)
}

func activate(kind string, v []float64) {
	switch kind {
	case "softmax":
		softmax(v)
	case "logistic":
		for i, f := range v {
			v[i] = sigmoid(f)
		}
	case "tanh":
		for i, f := range v {
			v[i] = math.Tanh(f)
		}
	case "relu":
		for i, f := range v {
			v[i] = max(0, f)
		}
	case "exp":
		for i, f := range v {
			v[i] = math.Exp(f)
		}
	}
}

// network reads coefs_, intercepts_ and the activations.
func (a attrs) network() (int, int, rowsFunc, error) {
	weights, err := a.arrays("coefs_", -1)
	if err != nil {
		return 0, 0, nil, err
	}
	bias, err := a.arrays("intercepts_", len(weights))
	if err != nil {
		return 0, 0, nil, err
	}
	layers, widest := make([]layer, len(weights)), 0
	for i, w := range weights {
		l := layer{out: len(bias[i]), weights: w, bias: bias[i], activation: a.text("activation")}
		if l.out > 0 {
			l.in = len(w) / l.out
		}
		if l.in < 1 || l.in*l.out != len(w) || i > 0 && l.in != layers[i-1].out {
			return 0, 0, nil, a.errorf("coefs_", "the layers don't fit together")
		}
		layers[i], widest = l, max(widest, l.out)
	}
	if len(layers) == 0 {
		return 0, 0, nil, a.errorf("coefs_", "there are no layers")
	}
	last := &layers[len(layers)-1]
	last.activation = a.text("out_activation_")
	for _, kind := range []string{a.text("activation"), last.activation} {
		switch kind {
		case "identity", "logistic", "tanh", "relu", "softmax", "exp":
		default:
			return 0, 0, nil, a.errorf("activation", "%q is not known", kind)
		}
	}
	in, out := layers[0].in, last.out
	return in, out, func(x []float64, rows int, to []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		bufs := [2][]float64{s.floats(widest), s.floats(widest)}
		for r := range rows {
			v := x[r*in : (r+1)*in]
			for i := range layers {
				next := bufs[i%2][:layers[i].out]
				layers[i].apply(v, next)
				v = next
			}
			copy(to[r*out:], v)
		}
		return nil
	}, nil
}

func buildMLPRegressor(a attrs) (*estimator, error) {
	in, out, f, err := a.network()
	if err != nil {
		return nil, err
	}
	return a.regressor(in, out, out > 1, f)
}

func buildMLPClassifier(a attrs) (*estimator, error) {
	in, out, f, err := a.network()
	if err != nil {
		return nil, err
	}
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	switch {
	case a.text("out_activation_") == "softmax" && out == len(labels):
		return e.withProba(out, f).picks(out, f), nil
	case out == 1 && len(labels) == 2:
		proba := complemented(f)
		return e.withProba(2, proba).picks(2, proba), nil
	case out > 1 && a.text("out_activation_") == "logistic":
		return e.multilabel(out, f), nil
	}
	return nil, a.errorf("classes_", "there are %d, and the network has %d outputs", len(labels), out)
}

// multilabel makes a classifier of several labels, each of which is there or not: by probabilities of n.
func (e *estimator) multilabel(n int, proba rowsFunc) *estimator {
	e.Labels, e.Outputs, e.Out, e.Vector = nil, nil, n, true
	for range n {
		e.Outputs = append(e.Outputs, sequentialLabels(2))
	}
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		err := proba(x, rows, out, s)
		for i, p := range out {
			out[i] = 0
			if p > 0.5 {
				out[i] = 1
			}
		}
		return err
	}
	return e.withProba(n, proba)
}

// complemented makes two probabilities of the second one.
func complemented(f rowsFunc) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows)
		err := f(x, rows, v, s)
		for r, p := range v {
			out[2*r], out[2*r+1] = 1-p, p
		}
		return err
	}
}

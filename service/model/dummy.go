package model

import "github.com/weirhq/weir/service/pickle"

// anyWidth is In of an estimator that doesn't look at its rows. The one around it knows their width.
const anyWidth = -1

// dummyWidth is the number of columns, as far as the file says it.
func (a attrs) dummyWidth() (int, error) {
	if v := a.o.Attrs["n_features_in_"]; v == nil {
		return anyWidth, nil
	}
	return a.width()
}

// buildDummyRegressor gives constant_.
func buildDummyRegressor(a attrs) (*estimator, error) {
	constant, _, err := a.floats("constant_")
	if err != nil {
		return nil, err
	}
	n, err := a.dummyWidth()
	if err != nil {
		return nil, err
	}
	if len(constant) == 0 || len(constant) > maxWidth {
		return nil, a.errorf("constant_", "there is nothing in it")
	}
	e := &estimator{Signature: Signature{
		Kind: Regressor, In: n, Out: len(constant), Vector: len(constant) > 1, Missing: true,
	}}
	e.apply = func(_ []float64, rows int, out []float64, _ *Scratch) error {
		for r := range rows {
			copy(out[r*len(constant):], constant)
		}
		return nil
	}
	return e, nil
}

// buildDummyClassifier gives the most frequent class, or a constant one. Random strategies are refused.
func buildDummyClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	n, err := a.dummyWidth()
	if err != nil {
		return nil, err
	}
	prior, err := a.vector("class_prior_", len(labels))
	if err != nil {
		return nil, err
	}
	p := make([]float64, len(labels))
	choice := argmax(prior)
	switch a.text("strategy") {
	case "prior":
		copy(p, prior)
	case "most_frequent":
		p[choice] = 1
	case "constant":
		if choice, err = a.constantClass(labels); err != nil {
			return nil, err
		}
		p[choice] = 1
	default:
		return nil, a.errorf("strategy", "%q answers at random: want prior, most_frequent or constant", a.text("strategy"))
	}
	e := &estimator{Signature: Signature{Kind: Classifier, In: n, Out: 1, Labels: labels, Missing: true}}
	e.apply = func(_ []float64, rows int, out []float64, _ *Scratch) error {
		for r := range rows {
			out[r] = float64(choice)
		}
		return nil
	}
	return e.withProba(len(p), func(_ []float64, rows int, out []float64, _ *Scratch) error {
		for r := range rows {
			copy(out[r*len(p):], p)
		}
		return nil
	}), nil
}

// constantClass finds the class that constant names.
func (a attrs) constantClass(labels []any) (int, error) {
	v, err := a.get("constant")
	if err != nil {
		return 0, err
	}
	if arr, err := pickle.ArrayOf(v); err == nil && arr.Len() == 1 {
		values, err := arr.Values()
		if err != nil {
			return 0, a.errorf("constant", "%w", err)
		}
		v = values[0]
	}
	label, err := pickle.Scalar(v)
	if err != nil {
		return 0, a.errorf("constant", "%w", err)
	}
	if i := labelIndex(label, labels); i >= 0 {
		return i, nil
	}
	return 0, a.errorf("constant", "it is none of the classes")
}

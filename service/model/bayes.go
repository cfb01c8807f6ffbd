package model

import (
	"math"

	"github.com/weirhq/weir/service/pickle"
)

func naiveBayesEntries() []entry {
	out := in("sklearn.naive_bayes", buildGaussianNB, "GaussianNB")
	out = append(out, in("sklearn.naive_bayes", buildMultinomialNB, "MultinomialNB", "ComplementNB", "BernoulliNB")...)
	return append(out, in("sklearn.naive_bayes", buildCategoricalNB, "CategoricalNB")...)
}

// byLogLikelihood makes a classifier of the joint log likelihoods of its classes.
func (a attrs) byLogLikelihood(in int, labels []any, joint rowsFunc) (*estimator, error) {
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	k := len(labels)
	e.picks(k, joint)
	return e.withProba(k, softmaxOf(joint, k)), nil
}

// softmaxOf turns k scores a row into probabilities.
func softmaxOf(scores rowsFunc, k int) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		err := scores(x, rows, out, s)
		for r := range rows {
			softmax(out[r*k : (r+1)*k])
		}
		return err
	}
}

// matrix reads an array of rows × columns; a negative number stands for any.
func (a attrs) matrix(name string, rows, columns int) ([]float64, int, error) {
	v, shape, err := a.floats(name)
	if err != nil {
		return nil, 0, err
	}
	if len(shape) != 2 || len(v) == 0 || rows >= 0 && shape[0] != rows || columns >= 0 && shape[1] != columns {
		return nil, 0, a.errorf(name, "want %d × %d numbers (-1: any), not the shape %v", rows, columns, shape)
	}
	return v, shape[1], nil
}

func buildGaussianNB(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	theta, n, err := a.matrix("theta_", len(labels), -1)
	if err != nil {
		return nil, err
	}
	name := "var_"
	if _, ok := a.o.Attrs[name]; !ok {
		name = "sigma_" // before 1.0
	}
	variance, _, err := a.matrix(name, len(labels), n)
	if err != nil {
		return nil, err
	}
	start, err := a.vector("class_prior_", len(labels))
	if err != nil {
		return nil, err
	}
	for k := range start {
		start[k] = math.Log(start[k])
		for _, v := range variance[k*n : (k+1)*n] {
			start[k] -= math.Log(2*math.Pi*v) / 2
		}
	}
	return a.byLogLikelihood(n, labels, eachRow(n, len(labels), func(x, out []float64) {
		for k := range out {
			sum := 0.0
			for j, v := range x {
				d := v - theta[k*n+j]
				sum += d * d / variance[k*n+j]
			}
			out[k] = start[k] - sum/2
		}
	}))
}

// buildMultinomialNB builds the three kinds whose log likelihood is linear in the row.
func buildMultinomialNB(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	coef, n, err := a.matrix("feature_log_prob_", len(labels), -1)
	if err != nil {
		return nil, err
	}
	l := &linear{in: n, out: len(labels), coef: coef}
	if l.intercept, err = a.vector("class_log_prior_", len(labels)); err != nil {
		return nil, err
	}
	switch a.class() {
	case "ComplementNB":
		if len(labels) > 1 {
			clear(l.intercept)
		}
	case "BernoulliNB":
		return a.bernoulli(labels, l)
	}
	return a.byLinear(labels, l)
}

// byLinear is byLogLikelihood of a linear function.
func (a attrs) byLinear(labels []any, l *linear) (*estimator, error) {
	e, err := a.byLogLikelihood(l.in, labels, l.values)
	if err != nil {
		return nil, err
	}
	return e.takesSparse(), nil
}

func (a attrs) bernoulli(labels []any, l *linear) (*estimator, error) {
	for i, p := range l.coef {
		no := math.Log(1 - math.Exp(p))
		l.coef[i] -= no
		l.intercept[i/l.in] += no
	}
	if a.o.Attrs["binarize"] == nil {
		return a.byLinear(labels, l)
	}
	threshold, _, err := a.floats("binarize")
	if err != nil {
		return nil, err
	}
	e, err := a.byLogLikelihood(l.in, labels, l.above(threshold[0]))
	if err != nil || threshold[0] < 0 {
		return e, err
	}
	return e.takesSparse(), nil
}

// above is values for rows of which only counts whether a number is above a threshold. Where that is 0 or more, rows may
// be sparse.
func (l *linear) above(threshold float64) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		for r := range rows {
			to := out[r*l.out : (r+1)*l.out]
			copy(to, l.intercept)
			if x == nil {
				at, values := s.in.row(r)
				for i, v := range values {
					l.addAbove(threshold, v, int(at[i]), to)
				}
				continue
			}
			for j, v := range x[r*l.in : (r+1)*l.in] {
				l.addAbove(threshold, v, j, to)
			}
		}
		return nil
	}
}

func (l *linear) addAbove(threshold, v float64, column int, out []float64) {
	if v > threshold {
		for k := range out {
			out[k] += l.coef[k*l.in+column]
		}
	}
}

func buildCategoricalNB(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	items, err := a.sequence("feature_log_prob_")
	if err != nil {
		return nil, err
	}
	prior, err := a.vector("class_log_prior_", len(labels))
	if err != nil {
		return nil, err
	}
	n, k := len(items), len(labels)
	tables, sizes := make([][]float64, n), make([]int, n)
	for j, item := range items {
		arr, err := pickle.ArrayOf(item)
		if err != nil || len(arr.Shape) != 2 || arr.Shape[0] != k {
			return nil, a.errorf("feature_log_prob_", "want %d × categories for column %d", k, j)
		}
		if err := a.l.spend(8 * arr.Len()); err != nil {
			return nil, err
		}
		if tables[j], err = arr.Floats(); err != nil {
			return nil, a.errorf("feature_log_prob_", "%w", err)
		}
		sizes[j] = arr.Shape[1]
	}
	return a.byLogLikelihood(n, labels, func(x []float64, rows int, out []float64, _ *Scratch) error {
		for r := range rows {
			to := out[r*k : (r+1)*k]
			copy(to, prior)
			for j, v := range x[r*n : (r+1)*n] {
				if !(v >= 0 && v < float64(sizes[j])) {
					return &RangeError{Row: r, Column: j, Reason: errUnknown}
				}
				for c := range to {
					to[c] += tables[j][c*sizes[j]+int(v)]
				}
			}
		}
		return nil
	})
}

package model

import (
	"math"

	"github.com/weirhq/weir/service/pickle"
)

func discriminantEntries() []entry {
	const m = "sklearn.discriminant_analysis"
	return append(in(m, buildLDA, "LinearDiscriminantAnalysis"), in(m, buildQDA, "QuadraticDiscriminantAnalysis")...)
}

// buildLDA decides by linear functions; their softmax, or the logistic function of a single one, is the probability.
func buildLDA(a attrs) (*estimator, error) {
	e, l, err := a.linearClassifier()
	if err != nil {
		return nil, err
	}
	return e.withProba(len(e.Labels), rawProba(l.values, l.out, len(e.Labels), 1)), nil
}

// quadratic is the log likelihood of one class: start - |(x - mean)·rotation|²/2.
type quadratic struct {
	start    float64
	mean     []float64
	rotation []float64 // columns × parts, already divided by the deviations
	parts    int
}

func (q *quadratic) value(x []float64) float64 {
	sum := 0.0
	for p := range q.parts {
		d := 0.0
		for j, v := range x {
			d += (v - q.mean[j]) * q.rotation[j*q.parts+p]
		}
		sum += d * d
	}
	return q.start - sum/2
}

func buildQDA(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	k := len(labels)
	means, n, err := a.matrix("means_", k, -1)
	if err != nil {
		return nil, err
	}
	priors, err := a.vector("priors_", k)
	if err != nil {
		return nil, err
	}
	rotations, err := a.arrays("rotations_", k)
	if err != nil {
		return nil, err
	}
	scalings, err := a.arrays("scalings_", k)
	if err != nil {
		return nil, err
	}
	classes := make([]quadratic, k)
	for c := range classes {
		parts := len(scalings[c])
		if parts == 0 || len(rotations[c]) != n*parts {
			return nil, a.errorf("rotations_", "class %d: they don't fit scalings_ and means_", c)
		}
		q := quadratic{math.Log(priors[c]), means[c*n : (c+1)*n], rotations[c], parts}
		for p, s := range scalings[c] {
			q.start -= math.Log(s) / 2
			for j := range n {
				q.rotation[j*parts+p] /= math.Sqrt(s)
			}
		}
		classes[c] = q
	}
	joint := eachRow(n, k, func(x, out []float64) {
		for c := range classes {
			out[c] = classes[c].value(x)
		}
	})
	e, err := a.byLogLikelihood(n, labels, joint)
	if err != nil {
		return nil, err
	}
	return e.withDecision(decisionOf(joint, k)), nil
}

// decisionOf is a classifier's decision by k scores: of two, how far the second is above the first.
func decisionOf(scores rowsFunc, k int) (int, rowsFunc) {
	if k != 2 {
		return k, scores
	}
	return 1, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(2 * rows)
		err := scores(x, rows, v, s)
		for r := range rows {
			out[r] = v[2*r+1] - v[2*r]
		}
		return err
	}
}

// arrays reads a list of n arrays of numbers.
func (a attrs) arrays(name string, n int) ([][]float64, error) {
	items, err := a.sequence(name)
	if err != nil {
		return nil, err
	}
	if n >= 0 && len(items) != n {
		return nil, a.errorf(name, "want %d arrays, not %d", n, len(items))
	}
	out := make([][]float64, len(items))
	for i, item := range items {
		arr, err := pickle.ArrayOf(item)
		if err != nil {
			return nil, a.errorf(name, "%w", err)
		}
		if err := a.l.spend(8 * arr.Len()); err != nil {
			return nil, a.errorf(name, "%w", err)
		}
		if out[i], err = arr.Floats(); err != nil {
			return nil, a.errorf(name, "%w", err)
		}
	}
	return out, nil
}

package model

import (
	"cmp"
	"math"
	"slices"
)

// adaMembers reads estimators_ and their weights.
func (a attrs) adaMembers() ([]*estimator, []float64, int, error) {
	members, err := a.estimators("estimators_")
	if err != nil {
		return nil, nil, 0, err
	}
	in, err := a.sameWidth(members)
	if err != nil {
		return nil, nil, 0, err
	}
	weights, _, err := a.floats("estimator_weights_")
	if err != nil {
		return nil, nil, 0, err
	}
	if len(weights) < len(members) {
		return nil, nil, 0, a.errorf("estimator_weights_", "want %d", len(members))
	}
	return members, weights, in, nil
}

// buildAdaBoostClassifier follows Zhu et al., "Multi-class AdaBoost": SAMME, or SAMME.R with probabilities, which there
// was before 1.6.
func buildAdaBoostClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	members, weights, in, err := a.adaMembers()
	if err != nil {
		return nil, err
	}
	sum := total(weights)
	classes := len(labels)
	if classes < 2 {
		return nil, a.errorf("classes_", "want at least two")
	}
	at := make([][]int, len(members))
	for i, m := range members {
		if at[i], err = places(m, labels, false); err != nil {
			return nil, a.errorf("estimators_", "%w", err)
		}
	}
	var scores rowsFunc
	if a.text("algorithm") == "SAMME.R" {
		for _, m := range members {
			if m.Proba != classes {
				return nil, a.errorf("estimators_", "want classifiers with %d probabilities", classes)
			}
		}
		scores = logProba(members, at, classes)
	} else {
		scores = votes(members, at, weights, classes)
		if a.version() >= 103 {
			scores = penalised(scores, total(weights[:len(members)]), classes)
		}
	}
	return a.adaClassifier(in, labels, divided(scores, sum))
}

// penalised takes weight/(classes-1) from each class for each member that did not choose it.
func penalised(scores rowsFunc, sum float64, classes int) rowsFunc {
	other := 1 / float64(classes-1)
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		err := scores(x, rows, out, s)
		for i, v := range out {
			out[i] = v - other*(sum-v)
		}
		return err
	}
}

// logProba is SAMME.R's sum over the members: (K-1) * (log p - mean of log p).
func logProba(members []*estimator, at [][]int, classes int) rowsFunc {
	const eps = 2.220446049250313e-16
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		clear(out)
		p := s.floats(rows * classes)
		for i, m := range members {
			if err := m.proba(x, rows, p, s); err != nil {
				return err
			}
			for r := range rows {
				row, mean := p[r*classes:(r+1)*classes], 0.0
				for k, v := range row {
					row[k] = math.Log(max(eps, v))
					mean += row[k] / float64(classes)
				}
				for k, v := range row {
					out[r*classes+at[i][k]] += float64(classes-1) * (v - mean)
				}
			}
		}
		return nil
	}
}

func (a attrs) adaClassifier(in int, labels []any, scores rowsFunc) (*estimator, error) {
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	classes := len(labels)
	decision, n := scores, classes
	if classes == 2 {
		n = 1
		decision = func(x []float64, rows int, out []float64, s *Scratch) error {
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
	e.withDecision(n, decision).picks(n, decision)
	return e.withProba(classes, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		if err := decision(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			to := out[r*classes : (r+1)*classes]
			if n == 1 {
				to[0], to[1] = -v[r]/2, v[r]/2
			} else {
				for k := range to {
					to[k] = v[r*n+k] / float64(classes-1)
				}
			}
			softmax(to)
		}
		return nil
	}), nil
}

// buildAdaBoostRegressor gives the weighted median of the members.
func buildAdaBoostRegressor(a attrs) (*estimator, error) {
	members, weights, in, err := a.adaMembers()
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.Kind != Regressor || m.Out != 1 {
			return nil, a.errorf("estimators_", "want regressors of one output")
		}
	}
	n := len(members)
	return a.regressor(in, 1, false, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(n * rows)
		for i, m := range members {
			if err := m.apply(x, rows, v[i*rows:(i+1)*rows], s); err != nil {
				return err
			}
		}
		order := grow(&s.order, n)
		for r := range rows {
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(v[i*rows+r], v[j*rows+r]) })
			out[r] = v[weightedMedian(order, weights)*rows+r]
		}
		return nil
	})
}

// weightedMedian returns the first in order at which half of the weight is reached.
func weightedMedian(order []int, weights []float64) int {
	half, sum := 0.0, 0.0
	for _, i := range order {
		half += weights[i] / 2
	}
	for _, i := range order {
		if sum += weights[i]; sum >= half {
			return i
		}
	}
	return order[len(order)-1]
}

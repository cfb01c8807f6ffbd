package model

import (
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// estimators builds all estimators of a list, which take the same columns. One that is 'drop' or None is left out.
func (a attrs) estimators(name string) ([]*estimator, error) {
	v, err := a.get(name)
	if err != nil {
		return nil, err
	}
	items, err := pickle.Sequence(v)
	if arr, isArray := pickle.ArrayOf(v); isArray == nil {
		items, err = a.values(name, arr)
	}
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	var out []*estimator
	for i, item := range items {
		if item == nil || item == "drop" {
			continue
		}
		e, err := a.l.build(item)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: estimator %d: %w", a.class(), name, i, err)
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, a.errorf(name, "there is no estimator in it")
	}
	return out, nil
}

// sameWidth returns the columns that all members take.
func (a attrs) sameWidth(members []*estimator) (int, error) {
	n := anyWidth
	for _, m := range members {
		if n == anyWidth {
			n = m.In
		}
		if m.In != n && m.In != anyWidth {
			return 0, fmt.Errorf("%s: its estimators take %d and %d columns", a.class(), n, m.In)
		}
	}
	if n == anyWidth {
		return a.width()
	}
	return n, nil
}

// relabelled gives a classifier that was fitted on the numbers 0 to n-1 the labels that they stand for.
func relabelled(e *estimator, labels []any) (*estimator, error) {
	if e.Kind != Classifier || e.Outputs != nil || len(e.Labels) != len(labels) {
		return nil, fmt.Errorf("want a classifier of %d classes within it", len(labels))
	}
	if !sameLabels(e.Labels, labels) && !encoded(e.Labels) {
		return nil, fmt.Errorf("the classifier within it has other classes")
	}
	c := *e
	c.Labels = labels
	return &c, nil
}

// encoded reports whether labels are 0 to n-1.
func encoded(labels []any) bool {
	for i, label := range labels {
		if labelNumber(label) != float64(i) {
			return false
		}
	}
	return true
}

// places returns for each label of a member the index in labels that it stands for: the same label, or the number that
// the label was encoded as.
func places(e *estimator, labels []any, asNumber bool) ([]int, error) {
	if e.Kind != Classifier || e.Outputs != nil {
		return nil, fmt.Errorf("want a classifier of one output within it")
	}
	out := make([]int, len(e.Labels))
	for i, label := range e.Labels {
		out[i] = labelIndex(label, labels)
		if asNumber {
			n := labelNumber(label)
			if out[i] = int(n); n != float64(out[i]) {
				out[i] = -1
			}
		}
		if out[i] < 0 || out[i] >= len(labels) {
			return nil, fmt.Errorf("a classifier within it has a class of its own")
		}
	}
	return out, nil
}

// votes counts, for each class, the members that choose it: weights[i] for member i.
func votes(members []*estimator, at [][]int, weights []float64, classes int) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		clear(out)
		v := s.floats(rows)
		for i, m := range members {
			if err := m.apply(x, rows, v, s); err != nil {
				return err
			}
			for r := range rows {
				out[r*classes+at[i][int(v[r])]] += weights[i]
			}
		}
		return nil
	}
}

// sumProba adds up the members' probabilities: weights[i] times those of member i.
func sumProba(members []*estimator, at [][]int, weights []float64, classes int) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		clear(out)
		for i, m := range members {
			n := m.Proba
			v := s.floats(rows * n)
			if err := m.proba(x, rows, v, s); err != nil {
				return err
			}
			for r := range rows {
				for k, to := range at[i] {
					out[r*classes+to] += weights[i] * v[r*n+k]
				}
			}
			s.release(mark)
		}
		return nil
	}
}

// divided divides what f computes.
func divided(f rowsFunc, by float64) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		err := f(x, rows, out, s)
		for i := range out {
			out[i] /= by
		}
		return err
	}
}

// sumValues adds up what the members give: weights[i] times what f gives of member i, n numbers a row.
func sumValues(members []*estimator, weights []float64, n int, f func(*estimator) rowsFunc) rowsFunc {
	parts := make([]rowsFunc, len(members))
	for i, m := range members {
		parts[i] = f(m)
	}
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		clear(out)
		v := s.floats(rows * n)
		for i, part := range parts {
			if err := part(x, rows, v, s); err != nil {
				return err
			}
			for j, f := range v {
				out[j] += weights[i] * f
			}
		}
		return nil
	}
}

func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

func total(v []float64) float64 {
	sum := 0.0
	for _, f := range v {
		sum += f
	}
	return sum
}

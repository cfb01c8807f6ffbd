package model

import (
	"math"
	"sort"

	"github.com/weirhq/weir/service/pickle"
)

// buildCalibrated gives the mean of its calibrated classifiers' probabilities.
func buildCalibrated(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	items, err := a.sequence("calibrated_classifiers_")
	if err != nil {
		return nil, err
	}
	k := len(labels)
	members := make([]*estimator, len(items))
	for i, item := range items {
		o, ok := item.(*pickle.Object)
		if !ok || o.Class.Name != "_CalibratedClassifier" {
			return nil, a.errorf("calibrated_classifiers_", "place %d holds something else", i)
		}
		if members[i], err = (attrs{o, a.l}).calibrated(k); err != nil {
			return nil, err
		}
	}
	if len(members) == 0 {
		return nil, a.errorf("calibrated_classifiers_", "there are none")
	}
	in, err := a.sameWidth(members)
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	proba := divided(sumValues(members, ones(len(members)), k, func(m *estimator) rowsFunc { return m.proba }),
		float64(len(members)))
	e.takingAs(members).allSparse(members)
	return e.withProba(k, proba).picks(k, proba), nil
}

// calibrated builds one of them: a classifier, and a curve for each of its scores.
func (a attrs) calibrated(k int) (*estimator, error) {
	name := "estimator"
	if _, ok := a.o.Attrs[name]; !ok {
		name = "base_estimator" // before 1.2
	}
	inner, err := a.inner(name)
	if err != nil {
		return nil, err
	}
	f, n := inner.scores()
	if inner.Kind != Classifier || f == nil || inner.Outputs != nil {
		return nil, a.errorf(name, "want a classifier with decision values or probabilities")
	}
	if inner.decision == nil && n == 2 {
		f, n = second(f), 1
	}
	if n != k && (n != 1 || k != 2) {
		return nil, a.errorf(name, "it has %d scores for %d classes", n, k)
	}
	curves, err := a.curves(n)
	if err != nil {
		return nil, err
	}
	e := *inner
	e.withProba(k, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		if err := f(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			to := out[r*k : (r+1)*k]
			if n == 1 {
				to[1] = curves[0](v[r])
				to[0] = 1 - to[1]
				continue
			}
			for c := range to {
				to[c] = curves[c](v[r*n+c])
			}
			normalise(to)
		}
		return nil
	})
	return e.allSparse([]*estimator{inner}), nil
}

// curves reads the calibrators: logistic functions, or steps between points.
func (a attrs) curves(n int) ([]func(float64) float64, error) {
	name := "calibrators"
	if _, ok := a.o.Attrs[name]; !ok {
		name = "calibrators_"
	}
	items, err := a.sequence(name)
	if err != nil {
		return nil, err
	}
	if len(items) != n {
		return nil, a.errorf(name, "want %d, not %d", n, len(items))
	}
	out := make([]func(float64) float64, n)
	for i, item := range items {
		o, ok := item.(*pickle.Object)
		if !ok {
			return nil, a.errorf(name, "place %d holds something else", i)
		}
		c := attrs{o, a.l}
		switch c.class() {
		case "_SigmoidCalibration":
			out[i], err = c.sigmoidCurve()
		case "IsotonicRegression":
			out[i], err = c.isotonicCurve()
		default:
			err = a.errorf(name, "a %s is not supported", c.class())
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a attrs) sigmoidCurve() (func(float64) float64, error) {
	slope, err := a.number("a_")
	if err != nil {
		return nil, err
	}
	shift, err := a.number("b_")
	return func(v float64) float64 { return sigmoid(-(slope*v + shift)) }, err
}

func (a attrs) isotonicCurve() (func(float64) float64, error) {
	xs, err := a.scoresOf("X_thresholds_")
	if err != nil {
		return nil, err
	}
	ys, err := a.vector("y_thresholds_", len(xs))
	if err != nil {
		return nil, err
	}
	if !sort.Float64sAreSorted(xs) {
		return nil, a.errorf("X_thresholds_", "they don't rise")
	}
	low, high := xs[0], xs[len(xs)-1]
	return func(v float64) float64 {
		if v = min(high, max(low, v)); math.IsNaN(v) {
			return v
		}
		return interpolate(v, xs, ys)
	}, nil
}

// buildIsotonic is the same curve by itself, for rows of one number. Beyond its ends out_of_bounds says what there is.
func buildIsotonic(a attrs) (*estimator, error) {
	curve, err := a.isotonicCurve()
	if err != nil {
		return nil, err
	}
	xs, err := a.scoresOf("X_thresholds_")
	if err != nil {
		return nil, err
	}
	low, high, beyond := xs[0], xs[len(xs)-1], a.text("out_of_bounds")
	if beyond != "nan" && beyond != "clip" && beyond != "raise" {
		return nil, a.errorf("out_of_bounds", "want nan, clip or raise, not %.40q", beyond)
	}
	return a.regressor(1, 1, false, func(x []float64, rows int, out []float64, _ *Scratch) error {
		for r, v := range x {
			switch outside := v < low || v > high; {
			case outside && beyond == "nan" && len(xs) > 1:
				out[r] = nan
			case outside && beyond == "raise" && len(xs) > 1:
				return &RangeError{Row: r, Reason: "the number is beyond those that the model was fitted with"}
			default:
				out[r] = curve(v)
			}
		}
		return nil
	})
}

package model

import (
	"maps"
	"math"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

func linearEntries() []entry {
	const lm = "sklearn.linear_model."
	var out []entry
	for module, classes := range map[string][]string{
		"_base base":           {"LinearRegression"},
		"_ridge ridge":         {"Ridge", "RidgeCV"},
		"_bayes bayes":         {"BayesianRidge", "ARDRegression"},
		"_huber huber":         {"HuberRegressor"},
		"_theil_sen theil_sen": {"TheilSenRegressor"},
		"_quantile":            {"QuantileRegressor"},
		"_stochastic_gradient": {"SGDRegressor"},
		"_passive_aggressive":  {"PassiveAggressiveRegressor"},
		"_omp":                 {"OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV"},
		"_least_angle":         {"Lars", "LassoLars", "LarsCV", "LassoLarsCV", "LassoLarsIC"},
		"_coordinate_descent": {
			"Lasso", "ElasticNet", "LassoCV", "ElasticNetCV", "MultiTaskLasso", "MultiTaskElasticNet", "MultiTaskLassoCV",
			"MultiTaskElasticNetCV",
		},
	} {
		out = append(out, in(prefixed(lm, module), buildLinearRegression, classes...)...)
	}
	for _, list := range [][]entry{
		in("sklearn.svm._classes sklearn.svm.classes", buildLinearRegression, "LinearSVR"),
		in("sklearn.svm._classes sklearn.svm.classes", buildLinearClassifier, "LinearSVC"),
		in(prefixed(lm, "_logistic logistic"), buildLogisticRegression, "LogisticRegression", "LogisticRegressionCV"),
		in(prefixed(lm, "_stochastic_gradient"), buildSGDClassifier, "SGDClassifier"),
		in(prefixed(lm, "_stochastic_gradient"), buildSGDOneClass, "SGDOneClassSVM"),
		in(prefixed(lm, "_perceptron"), buildLinearClassifier, "Perceptron"),
		in(prefixed(lm, "_passive_aggressive"), buildLinearClassifier, "PassiveAggressiveClassifier"),
		in(prefixed(lm, "_ridge ridge"), buildRidgeClassifier, "RidgeClassifier", "RidgeClassifierCV"),
		in(prefixed(lm, "_ransac ransac"), buildRANSAC, "RANSACRegressor"),
		in(prefixed(lm, "_glm.glm"), buildGLM, "PoissonRegressor", "GammaRegressor", "TweedieRegressor"),
	} {
		out = append(out, list...)
	}
	return out
}

// prefixed puts a prefix before each of several modules.
func prefixed(prefix, modules string) string {
	var out strings.Builder
	for m := range strings.FieldsSeq(modules) {
		out.WriteString(prefix + m + " ")
	}
	return out.String()
}

// buildLinearClassifier decides by linear functions and gives no probabilities.
func buildLinearClassifier(a attrs) (*estimator, error) {
	e, _, err := a.linearClassifier()
	return e, err
}

// buildSGDClassifier has probabilities for two losses:
// https://scikit-learn.org/stable/modules/generated/sklearn.linear_model.SGDClassifier.html
func buildSGDClassifier(a attrs) (*estimator, error) {
	e, l, err := a.linearClassifier()
	if err != nil {
		return nil, err
	}
	var convert func(float64) float64
	switch a.text("loss") {
	case "log", "log_loss":
		convert = sigmoid
	case "modified_huber":
		convert = func(v float64) float64 { return (min(1, max(-1, v)) + 1) / 2 }
	default:
		return e, nil
	}
	return e.withProba(len(e.Labels), oneVersusRest(l.values, l.out, len(e.Labels), convert)), nil
}

// oneVersusRest turns each of n scores into a probability by itself and makes them add up to 1. A single score is that
// of the second class.
func oneVersusRest(scores rowsFunc, n, classes int, convert func(float64) float64) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		if err := scores(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			to := out[r*classes : (r+1)*classes]
			if n == 1 {
				to[1] = convert(v[r])
				to[0] = 1 - to[1]
				continue
			}
			for k := range to {
				to[k] = convert(v[r*n+k])
			}
			normalise(to)
		}
		return nil
	}
}

// buildSGDOneClass tells inliers, 1, from outliers, -1: coef_·x - offset_ >= 0.
func buildSGDOneClass(a attrs) (*estimator, error) {
	coef, shape, err := a.floats("coef_")
	if err != nil {
		return nil, err
	}
	offset, _, err := a.floats("offset_")
	if err != nil {
		return nil, err
	}
	if len(offset) != 1 || len(shape) == 0 || len(coef) == 0 {
		return nil, a.errorf("coef_", "want the numbers of one function")
	}
	n := len(coef)
	return a.outlierDetector(n, eachRow(n, 1, func(x, out []float64) { out[0] = dot(coef, x) - offset[0] }))
}

// outlierDetector makes a classifier of inliers, 1, whose value is at least 0, and outliers, -1.
func (a attrs) outlierDetector(in int, decision rowsFunc) (*estimator, error) {
	e, err := a.classifier(in, []any{int64(-1), int64(1)})
	if err != nil {
		return nil, err
	}
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		if err := decision(x, rows, out, s); err != nil {
			return err
		}
		for r, v := range out {
			out[r] = 0
			if v >= 0 {
				out[r] = 1
			}
		}
		return nil
	}
	return e.withDecision(1, decision), nil
}

// buildRidgeClassifier has its classes in a LabelBinarizer. Each function of several labels says yes or no.
func buildRidgeClassifier(a attrs) (*estimator, error) {
	binarizer, err := a.object("_label_binarizer", "LabelBinarizer")
	if err != nil {
		return nil, err
	}
	if len(binarizer.text("y_type_")) > 10 && binarizer.text("y_type_")[:10] == "multilabel" {
		return a.linearMultilabel()
	}
	c := attrs{&pickle.Object{Class: a.o.Class, Attrs: map[string]any{}}, a.l}
	maps.Copy(c.o.Attrs, a.o.Attrs)
	c.o.Attrs["classes_"] = binarizer.o.Attrs["classes_"]
	return buildLinearClassifier(c)
}

func (a attrs) linearMultilabel() (*estimator, error) {
	l, _, err := a.linear()
	if err != nil {
		return nil, err
	}
	sig, err := a.signature(Classifier, l.in, l.out)
	sig.Vector = true
	for range l.out {
		sig.Outputs = append(sig.Outputs, sequentialLabels(2))
	}
	e := &estimator{Signature: sig}
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		err := l.values(x, rows, out, s)
		for i := range out {
			out[i] = pick(out[i : i+1])
		}
		return err
	}
	return e.withDecision(l.out, l.values), err
}

// buildRANSAC answers with its estimator_.
func buildRANSAC(a attrs) (*estimator, error) { return a.inner("estimator_") }

// inner builds an estimator that another one consists of.
func (a attrs) inner(name string) (*estimator, error) {
	v, err := a.get(name)
	if err != nil {
		return nil, err
	}
	e, err := a.l.build(v)
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	return e, nil
}

// buildGLM is a linear function behind a link: the exponential function, or none for a Tweedie power of 0 and less.
func buildGLM(a attrs) (*estimator, error) {
	l, vector, err := a.linear()
	if err != nil {
		return nil, err
	}
	exponential := true
	if a.class() == "TweedieRegressor" {
		power, _, err := a.floats("power")
		if err != nil {
			return nil, err
		}
		link := a.text("link")
		exponential = link == "log" || link != "identity" && power[0] > 0
	}
	return a.regressor(l.in, l.out, vector, func(x []float64, rows int, out []float64, s *Scratch) error {
		err := l.values(x, rows, out, s)
		if exponential {
			for i, v := range out {
				out[i] = math.Exp(v)
			}
		}
		return err
	})
}

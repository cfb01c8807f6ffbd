package model

import (
	"math"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func wrapperEntries() []entry {
	const s = "sklearn.model_selection._classification_threshold"
	return slices.Concat(
		in(s, buildThreshold, "FixedThresholdClassifier", "TunedThresholdClassifierCV"),
		in("sklearn.metrics._scorer "+s, nil, "_CurveScorer"),
		in("sklearn.frozen._frozen", buildFrozen, "FrozenEstimator"),
		in("sklearn.model_selection._search_successive_halving", buildSearch, "HalvingGridSearchCV", "HalvingRandomSearchCV"),
		in("sklearn.semi_supervised._self_training", buildSelfTraining, "SelfTrainingClassifier"),
		in("sklearn.semi_supervised._label_propagation", buildLabelPropagation, "LabelPropagation", "LabelSpreading"),
	)
}

// buildFrozen answers as its estimator does.
func buildFrozen(a attrs) (*estimator, error) { return a.inner("estimator") }

// buildSelfTraining answers as the classifier that it trained, which had another name before 1.6.
func buildSelfTraining(a attrs) (*estimator, error) {
	if _, ok := a.o.Attrs["estimator_"]; ok {
		return a.inner("estimator_")
	}
	return a.inner("base_estimator_")
}

// buildThreshold chooses one class of two from a score on that need not be the middle.
func buildThreshold(a attrs) (*estimator, error) {
	name := "estimator_"
	if _, ok := a.o.Attrs[name]; !ok {
		name = "estimator" // fitted before
	}
	inner, err := a.inner(name)
	if err != nil {
		return nil, err
	}
	if inner.Kind != Classifier || len(inner.Labels) != 2 {
		return nil, a.errorf(name, "want a classifier of two classes")
	}
	at, err := a.positiveClass(inner.Labels)
	if err != nil {
		return nil, err
	}
	score, middle, err := a.positiveScore(inner, at)
	if err != nil {
		return nil, err
	}
	threshold, err := a.threshold(middle)
	if err != nil {
		return nil, err
	}
	e := *inner
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		err := score(x, rows, out, s)
		for r, v := range out {
			out[r] = float64(1 - at)
			if v >= threshold {
				out[r] = float64(at)
			}
		}
		return err
	}
	return &e, nil
}

func (a attrs) threshold(middle float64) (float64, error) {
	if a.class() == "TunedThresholdClassifierCV" {
		return a.number("best_threshold_")
	}
	if a.text("threshold") == "auto" {
		return middle, nil
	}
	return a.number("threshold")
}

// positiveScore is the score of class at: its probability, or else the decision value.
func (a attrs) positiveScore(e *estimator, at int) (f rowsFunc, middle float64, err error) {
	method := a.text("response_method")
	switch {
	case e.Proba == 2 && (method == "auto" || method == "predict_proba"):
		return func(x []float64, rows int, out []float64, s *Scratch) error {
			mark := s.mark()
			defer s.release(mark)
			v := s.floats(2 * rows)
			err := e.proba(x, rows, v, s)
			for r := range out {
				out[r] = v[2*r+at]
			}
			return err
		}, 0.5, nil
	case e.Decision == 1 && (method == "auto" || method == "decision_function"):
		if at == 0 {
			return negated(e.decision), 0, nil
		}
		return e.decision, 0, nil
	}
	return nil, 0, a.errorf("response_method", "the classifier within it doesn't have %.40q", method)
}

// positiveClass is the index of pos_label: the second class, if it doesn't say.
func (a attrs) positiveClass(labels []any) (int, error) {
	v := a.o.Attrs["pos_label"]
	if scorer, ok := a.o.Attrs["_curve_scorer"].(*pickle.Object); ok {
		v = scorerLabel(scorer)
	}
	if v == nil {
		return 1, nil
	}
	label, err := pickle.Scalar(v)
	if err != nil {
		return 0, a.errorf("pos_label", "%w", err)
	}
	at := labelIndex(label, labels)
	if at < 0 {
		return 0, a.errorf("pos_label", "it is none of the classes")
	}
	return at, nil
}

// scorerLabel is the label that a measure counts as positive: for some it is 1 unless its arguments say otherwise.
func scorerLabel(scorer *pickle.Object) any {
	arguments, _ := pickle.Entries(scorer.Attrs["_kwargs"])
	for _, e := range arguments {
		if e.Key == "pos_label" {
			return e.Value
		}
	}
	f, _ := scorer.Attrs["_score_func"].(*pickle.Named)
	ones := []string{"f1_score", "precision_score", "recall_score", "jaccard_score"}
	if f != nil && slices.Contains(ones, f.Global.Name) {
		return 1
	}
	return nil
}

// buildLabelPropagation weighs the label distributions of the training rows by an RBF kernel, or takes those of the
// nearest rows: Zhou et al., "Learning with local and global consistency".
func buildLabelPropagation(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	classes := len(labels)
	rows, in, err := a.matrix("X_", -1, -1)
	if err != nil {
		return nil, err
	}
	b := &neighbours{rows: rows, in: in, n: len(rows) / in}
	shares, _, err := a.matrix("label_distributions_", b.n, classes)
	if err != nil {
		return nil, err
	}
	if err := b.readAffinity(a); err != nil {
		return nil, err
	}
	proba := b.eachNeighbourhood(classes, func(found []near, out []float64) {
		clear(out)
		for _, nb := range found {
			for c := range out {
				out[c] += nb.weight * shares[nb.row*classes+c]
			}
		}
		sum := total(out)
		for c := range out {
			out[c] /= sum
		}
	})
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	return e.withProba(classes, proba).picks(classes, proba), nil
}

// readAffinity reads kernel: the nearest rows alike, or all of them by exp(-gamma·d²).
func (b *neighbours) readAffinity(a attrs) (err error) {
	b.distance = euclidean
	switch a.text("kernel") {
	case "knn":
		b.k, err = a.integer("n_neighbors")
		if err == nil && (b.k < 1 || b.k > b.n) {
			err = a.errorf("n_neighbors", "it is %d, and there are %d rows", b.k, b.n)
		}
		return err
	case "rbf":
		gamma, err := a.number("gamma")
		b.radius, b.weight = math.Inf(1), func(d float64) float64 { return math.Exp(-gamma * d * d) }
		return err
	}
	return a.errorf("kernel", "want rbf or knn; functions are not run")
}

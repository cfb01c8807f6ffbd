package model

import (
	"math"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func boostingEntries() []entry {
	const e, h = "sklearn.ensemble.", "sklearn.ensemble._hist_gradient_boosting."
	return slices.Concat(
		in(e+"_gb", buildGradientBoostingClassifier, "GradientBoostingClassifier"),
		in(e+"_gb", buildGradientBoostingRegressor, "GradientBoostingRegressor"),
		in(e+"_weight_boosting", buildAdaBoostClassifier, "AdaBoostClassifier"),
		in(e+"_weight_boosting", buildAdaBoostRegressor, "AdaBoostRegressor"),
		in(h+"gradient_boosting", buildHistClassifier, "HistGradientBoostingClassifier"),
		in(h+"gradient_boosting", buildHistRegressor, "HistGradientBoostingRegressor"),
		in(h+"predictor", nil, "TreePredictor"),
		in(h+"binning", nil, "_BinMapper"),
	)
}

// histBoosting adds K groups of trees to a baseline. They compare in float64.
type histBoosting struct {
	in, k    int
	baseline []float64
	known    map[int][4]uint64 // of a category column: the categories seen in training, as bits
	forest   *forest
}

func (h *histBoosting) raw(x []float64, rows int, out []float64, s *Scratch) error {
	for r := range rows {
		copy(out[r*h.k:(r+1)*h.k], h.baseline)
	}
	return h.forest.add(x, rows, out, s)
}

// readHistBoosting reads _baseline_prediction, _predictors and the categories of _bin_mapper.
func readHistBoosting(a attrs) (*histBoosting, error) {
	in, err := a.width()
	if err != nil {
		return nil, err
	}
	if n, err := a.integer("_n_features"); err == nil { // what the trees see
		in = n
	}
	h := &histBoosting{in: in, known: map[int][4]uint64{}}
	if in < 1 || in > maxWidth {
		return nil, a.errorf("n_features_in_", "it is %d", in)
	}
	if h.baseline, _, err = a.floats("_baseline_prediction"); err != nil {
		return nil, err
	}
	h.k = len(h.baseline)
	if err := h.readCategories(a); err != nil {
		return nil, err
	}
	iterations, err := a.sequence("_predictors")
	if err != nil {
		return nil, err
	}
	p := a.l.newPacker(forestSpec{columns: in, outputs: h.k, width: 1, nan: true, infinite: true}, 0)
	for i, item := range iterations {
		trees, err := pickle.Sequence(item)
		if err != nil || len(trees) != h.k || h.k == 0 {
			return nil, a.errorf("_predictors", "iteration %d has not %d trees", i, h.k)
		}
		for k, v := range trees {
			if err := h.readTree(a, v, p, k); err != nil {
				return nil, a.errorf("_predictors", "tree %d of iteration %d: %w", k, i, err)
			}
		}
	}
	h.forest = p.forest()
	return h, nil
}

// preprocessed puts _preprocessor, which encodes categories since 1.4, in front.
func (a attrs) preprocessed(e *estimator, err error) (*estimator, error) {
	if err != nil {
		return nil, err
	}
	e.Missing = true
	if v, ok := a.o.Attrs["_preprocessor"]; !ok || v == nil {
		return e, nil
	}
	first, err := a.inner("_preprocessor")
	if err != nil {
		return nil, err
	}
	return a.chain([]*estimator{first, e})
}

func buildHistRegressor(a attrs) (*estimator, error) {
	h, err := readHistBoosting(a)
	if err != nil {
		return nil, err
	}
	if h.k != 1 {
		return nil, a.errorf("_baseline_prediction", "want one number")
	}
	exponential := a.text("loss") == "poisson" || a.text("loss") == "gamma"
	e, err := a.regressor(h.in, 1, false, func(x []float64, rows int, out []float64, s *Scratch) error {
		err := h.raw(x, rows, out, s)
		if exponential {
			for i, v := range out {
				out[i] = math.Exp(v)
			}
		}
		return err
	})
	return a.preprocessed(e, err)
}

func buildHistClassifier(a attrs) (*estimator, error) {
	h, err := readHistBoosting(a)
	if err != nil {
		return nil, err
	}
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	if h.k != len(labels) && (h.k != 1 || len(labels) != 2) {
		return nil, a.errorf("_baseline_prediction", "it has %d numbers for %d classes", h.k, len(labels))
	}
	e, err := a.classifier(h.in, labels)
	if err != nil {
		return nil, err
	}
	e.withDecision(h.k, h.raw).picks(h.k, h.raw).withProba(len(labels), rawProba(h.raw, h.k, len(labels), 1))
	return a.preprocessed(e, nil)
}

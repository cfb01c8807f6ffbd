package model

import (
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

func selectionModelEntries() []entry {
	const f = "sklearn.feature_selection."
	return slices.Concat(
		in(f+"_rfe", buildSupport, "RFE", "RFECV"),
		in(f+"_sequential", buildSupport, "SequentialFeatureSelector"),
		in(f+"_from_model", buildSelectFromModel, "SelectFromModel"),
		in(f+"_univariate_selection", buildGenericSelect, "GenericUnivariateSelect"),
	)
}

// buildSupport keeps the columns of support_. RFE also answers as the estimator that it was left with does.
func buildSupport(a attrs) (*estimator, error) {
	support, err := a.scoresOf("support_")
	if err != nil {
		return nil, err
	}
	mask := make([]bool, len(support))
	for j, v := range support {
		mask[j] = v != 0
	}
	chosen, err := a.selecting(mask)
	if err != nil {
		return nil, err
	}
	chosen.Missing = true
	if a.o.Attrs["estimator_"] == nil {
		return chosen, nil
	}
	last, err := a.inner("estimator_")
	if err != nil {
		return nil, err
	}
	return a.eliminating(chosen, last)
}

// eliminating makes one estimator of RFE's selection and its estimator: within a pipeline it is a transformer as long
// as it isn't the last step.
func (a attrs) eliminating(chosen, last *estimator) (*estimator, error) {
	e, err := a.chain([]*estimator{chosen, last})
	if err != nil {
		return nil, err
	}
	e.step = chosen
	return e, nil
}

// buildSelectFromModel keeps the columns that its estimator finds important enough.
func buildSelectFromModel(a attrs) (*estimator, error) {
	name := "estimator_"
	if a.o.Attrs[name] == nil {
		name = "estimator" // fitted before
	}
	o, ok := a.o.Attrs[name].(*pickle.Object)
	if !ok {
		return nil, a.errorf(name, "want a fitted estimator")
	}
	scores, err := a.importances(attrs{o, a.l})
	if err != nil {
		return nil, err
	}
	threshold, err := a.importanceThreshold(attrs{o, a.l}, scores)
	if err != nil {
		return nil, err
	}
	mask := make([]bool, len(scores))
	limit, err := a.maxFeatures(len(scores))
	if err != nil {
		return nil, err
	}
	for i, j := range descending(scores) {
		mask[j] = i < limit && !(scores[j] < threshold)
	}
	e, err := a.selecting(mask)
	if err != nil {
		return nil, err
	}
	e.Missing = true
	return e, nil
}

func descending(scores []float64) []int {
	order := make([]int, len(scores))
	for j := range order {
		order[j] = j
	}
	sort.SliceStable(order, func(i, j int) bool { return scores[order[i]] > scores[order[j]] })
	return order
}

// maxFeatures is how many of n columns may stay.
func (a attrs) maxFeatures(n int) (int, error) {
	if a.o.Attrs["max_features"] == nil {
		return n, nil
	}
	name := "max_features_"
	if a.o.Attrs[name] == nil {
		name = "max_features"
	}
	return a.integer(name)
}

// importances are those that scikit-learn's estimators have as coef_ or feature_importances_; of several rows of coef_
// it is the norm.
func (a attrs) importances(of attrs) ([]float64, error) {
	if getter, ok := a.o.Attrs["importance_getter"]; ok && getter != "auto" {
		name, ok := getter.(string)
		if !ok || name != "coef_" && name != "feature_importances_" {
			return nil, a.errorf("importance_getter", "want auto, coef_ or feature_importances_")
		}
	}
	if _, ok := of.o.Attrs["coef_"]; !ok {
		return of.treeImportances()
	}
	v, shape, err := of.floats("coef_")
	if err != nil {
		return nil, err
	}
	if len(shape) == 1 {
		for j, f := range v {
			v[j] = math.Abs(f)
		}
		return v, nil
	}
	if len(shape) != 2 || shape[1] < 1 || shape[1] > maxWidth {
		return nil, of.errorf("coef_", "it has the shape %v", shape)
	}
	order, err := a.normOrder()
	if err != nil {
		return nil, err
	}
	out := make([]float64, shape[1])
	for j := range out {
		out[j] = columnNorm(v, shape[1], j, order)
	}
	return out, nil
}

func (a attrs) normOrder() (float64, error) {
	if _, ok := a.o.Attrs["norm_order"]; !ok {
		return 1, nil
	}
	return a.number("norm_order")
}

func columnNorm(v []float64, columns, j int, order float64) float64 {
	sum, top, low := 0.0, 0.0, math.Inf(1)
	for i := j; i < len(v); i += columns {
		f := math.Abs(v[i])
		sum += math.Pow(f, order)
		top, low = max(top, f), min(low, f)
	}
	switch {
	case math.IsInf(order, 1):
		return top
	case math.IsInf(order, -1):
		return low
	}
	return math.Pow(sum, 1/order)
}

// importanceThreshold reads threshold: a number, "mean", "median" or a multiple such as "1.25*mean".
func (a attrs) importanceThreshold(of attrs, scores []float64) (float64, error) {
	v := a.o.Attrs["threshold"]
	if v == nil {
		v = "mean"
		if of.sparse() {
			return 1e-5, nil
		}
	}
	text, ok := v.(string)
	if !ok {
		f, err := pickle.Float(v)
		if err != nil {
			return 0, a.errorf("threshold", "%w", err)
		}
		return f, nil
	}
	factor, name := 1.0, text
	if before, after, found := strings.Cut(text, "*"); found {
		f, err := strconv.ParseFloat(strings.TrimSpace(before), 64)
		if err != nil {
			return 0, a.errorf("threshold", "want a number before the *")
		}
		factor, name = f, strings.TrimSpace(after)
	}
	switch name {
	case "mean":
		return factor * (total(scores) / float64(len(scores))), nil
	case "median":
		return factor * median(scores), nil
	}
	return 0, a.errorf("threshold", "want a number, mean or median, not %.40q", text)
}

// sparse reports whether an estimator was fitted with a penalty that makes coefficients 0, so that those that are left
// count.
func (a attrs) sparse() bool {
	class := a.class()
	if a.text("penalty") == "l1" || strings.Contains(class, "Lasso") {
		return true
	}
	name := map[string]string{
		"ElasticNet": "l1_ratio", "ElasticNetCV": "l1_ratio_", "LogisticRegression": "l1_ratio", "LogisticRegressionCV": "l1_ratio_",
	}[class]
	if name == "" || strings.HasPrefix(class, "Logistic") && a.version() < 108 || a.o.Attrs[name] == nil {
		return false
	}
	ratio, _, err := a.floats(name)
	return err == nil && !slices.ContainsFunc(ratio, func(v float64) bool { return math.Abs(v-1) > 1e-8 })
}

func median(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// buildGenericSelect is one of the other selectors by scores, by its mode.
func buildGenericSelect(a attrs) (*estimator, error) {
	mode := a.text("mode")
	as, ok := map[string][2]string{
		"percentile": {"SelectPercentile", "percentile"}, "k_best": {"SelectKBest", "k"}, "fpr": {"SelectFpr", "alpha"},
		"fdr": {"SelectFdr", "alpha"}, "fwe": {"SelectFwe", "alpha"},
	}[mode]
	if !ok {
		return nil, a.errorf("mode", "want percentile, k_best, fpr, fdr or fwe, not %.40q", mode)
	}
	c := a.with(as[1], a.o.Attrs["param"])
	c.o.Class.Name = as[0]
	return buildSelector(c)
}

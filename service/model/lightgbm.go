package model

import (
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func lightgbmEntries() []entry {
	const sklearn = "lightgbm.sklearn"
	return slices.Concat(
		in(sklearn, buildLGBMClassifier, "LGBMClassifier"),
		in(sklearn, buildLGBMRegressor, "LGBMRegressor", "LGBMRanker"),
		in("lightgbm.basic", buildLGBMBooster, "Booster"),
	)
}

// buildLGBMBooster gives what Booster.predict gives.
func buildLGBMBooster(a attrs) (*estimator, error) {
	m, err := a.readLGBM()
	if err != nil {
		return nil, err
	}
	e, err := a.regressor(m.in, m.margins, m.margins > 1, m.values)
	if err != nil {
		return nil, err
	}
	e.Missing, e.Names = true, m.names
	return a.recoded(e, m.recoder)
}

// lgbmBooster returns the booster of a scikit-learn wrapper.
func (a attrs) lgbmBooster() (attrs, error) {
	if a.o.Attrs["_Booster"] == nil {
		return a, a.errorf("_Booster", "it is not in the file; was the estimator fitted before it was written?")
	}
	return a.object("_Booster", "Booster")
}

func buildLGBMRegressor(a attrs) (*estimator, error) {
	b, err := a.lgbmBooster()
	if err != nil {
		return nil, err
	}
	return buildLGBMBooster(b)
}

// buildLGBMClassifier chooses by the probabilities that the booster gives: one, that of the second class, or one for each.
func buildLGBMClassifier(a attrs) (*estimator, error) {
	b, err := a.lgbmBooster()
	if err != nil {
		return nil, err
	}
	m, err := b.readLGBM()
	if err != nil {
		return nil, err
	}
	v, err := a.get("_classes")
	if err != nil {
		return nil, err
	}
	labels, err := a.labelsIn("_classes", v)
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(m.in, labels)
	if err != nil {
		return nil, err
	}
	e.Missing, e.Names = true, m.names
	if _, ok := a.o.Attrs["_fitted_with_feature_names"]; ok { // since 4.7, as decision_function
		e.withDecision(m.margins, m.sums)
	}
	n := len(labels)
	switch {
	case m.margins == n && n > 1:
		return a.recoded(e.withProba(n, m.values).picks(n, m.values), m.recoder)
	case m.margins == 1 && n == 2:
		return a.recoded(e.withProba(2, m.pair).picks(2, m.pair), m.recoder)
	}
	return nil, a.errorf("_classes", "%d classes and %d outputs of the booster don't fit", n, m.margins)
}

// readLGBM reads lightgbm.basic.Booster: its model as text, of which only the iterations up to best_iteration count.
func (a attrs) readLGBM() (*lgbModel, error) {
	name := "handle"
	if _, ok := a.o.Attrs[name]; !ok {
		name = "_handle" // since 4.0
	}
	v, err := a.get(name)
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if !ok {
		return nil, a.errorf(name, "want the text of a model: was the booster trained?")
	}
	rounds := 0
	if n, err := pickle.Int(a.o.Attrs["best_iteration"]); err == nil && n > 0 {
		rounds = n
	}
	m, err := newLGBModel(text, rounds, a.l)
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	m.recoder, err = a.lgbRecoder(m.infos)
	return m, err
}

// sums computes the sums of the trees: margins numbers for a row.
func (m *lgbModel) sums(x []float64, rows int, out []float64, s *Scratch) error {
	clear(out)
	if m.linear != nil {
		return m.linearSums(x, rows, out, s)
	}
	return m.trees.add(x, rows, out, s)
}

// values computes what Booster.predict gives: margins numbers for a row.
func (m *lgbModel) values(x []float64, rows int, out []float64, s *Scratch) error {
	err := m.sums(x, rows, out, s)
	if m.average {
		for i := range out {
			out[i] /= m.rounds
		}
	}
	for r := range rows {
		m.transform(out[r*m.margins : (r+1)*m.margins])
	}
	return err
}

// pair computes the probabilities of two classes from that of the second.
func (m *lgbModel) pair(x []float64, rows int, out []float64, s *Scratch) error {
	err := m.values(x, rows, out[:rows], s)
	for r := rows - 1; r >= 0; r-- {
		out[2*r], out[2*r+1] = 1-out[r], out[r]
	}
	return err
}

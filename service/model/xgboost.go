package model

import (
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func xgboostEntries() []entry {
	const sklearn = "xgboost.sklearn"
	return slices.Concat(
		in(sklearn, buildXGBClassifier, "XGBClassifier", "XGBRFClassifier"),
		in(sklearn, buildXGBRegressor, "XGBRegressor", "XGBRFRegressor", "XGBRanker"),
		in("xgboost.core", buildXGBBooster, "Booster"),
		in("xgboost.compat", nil, "XGBoostLabelEncoder"),
	)
}

// buildXGBBooster gives what Booster.predict gives, from all iterations.
func buildXGBBooster(a attrs) (*estimator, error) {
	m, err := a.readXGB(false)
	if err != nil {
		return nil, err
	}
	return a.xgbRegressor(m)
}

func buildXGBRegressor(a attrs) (*estimator, error) {
	m, err := a.xgbBooster()
	if err != nil {
		return nil, err
	}
	return a.xgbRegressor(m)
}

// xgbBooster reads the booster of a scikit-learn wrapper, up to its best iteration.
func (a attrs) xgbBooster() (*xgbModel, error) {
	b, err := a.object("_Booster", "Booster")
	if err != nil {
		return nil, err
	}
	m, err := b.readXGB(true)
	if err != nil {
		return nil, err
	}
	if v := a.o.Attrs["missing"]; v != nil {
		f, err := pickle.Float(v)
		if err != nil {
			return nil, a.errorf("missing", "%w", err)
		}
		m.missing = float32(f)
	}
	return m, nil
}

func (a attrs) xgbRegressor(m *xgbModel) (*estimator, error) {
	n := m.outputs()
	e, err := a.regressor(m.in, n, n > 1, m.values)
	if err != nil {
		return nil, err
	}
	e.Missing, e.Names = true, m.names
	return a.recoded(e, m.recoder)
}

// buildXGBClassifier chooses by the probabilities that the booster gives: one, that of the second class, or one for each.
func buildXGBClassifier(a attrs) (*estimator, error) {
	m, err := a.xgbBooster()
	if err != nil {
		return nil, err
	}
	labels, err := a.xgbLabels()
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(m.in, labels)
	if err != nil {
		return nil, err
	}
	e.Missing, e.Names = true, m.names
	switch {
	case m.objective.name == "multi:softmax" && m.margins == len(labels):
		e.withProba(m.margins, m.softmax).picks(m.margins, m.margin)
	case m.margins > 1 && len(labels) == m.margins && len(labels) > 2:
		e.withProba(m.margins, m.values).picks(m.margins, m.values)
	case m.margins > 1 && m.objective.name != "multi:softprob":
		e.manyLabels(m)
	case m.margins == 1 && len(labels) == 2:
		e.withProba(2, m.pair).picks(1, m.aboveHalf)
	default:
		return nil, a.errorf("n_classes_", "%d classes and %d outputs of the objective %s don't fit", len(labels), m.margins,
			m.objective.name)
	}
	return a.recoded(e, m.recoder)
}

// xgbLabels returns the classes. Since 1.6 they can only be 0 to n-1.
func (a attrs) xgbLabels() ([]any, error) {
	if _, ok := a.o.Attrs["classes_"]; ok {
		return a.labels()
	}
	n, err := a.integer("n_classes_")
	if err != nil {
		return nil, err
	}
	if n < 2 || n > maxWidth {
		return nil, a.errorf("n_classes_", "it is %d", n)
	}
	return sequentialLabels(n), nil
}

// softmax computes the probabilities of an objective that gives a class.
func (m *xgbModel) softmax(x []float64, rows int, out []float64, s *Scratch) error {
	err := m.margin(x, rows, out, s)
	for r := range rows {
		xgbSoftmax(out[r*m.margins : (r+1)*m.margins])
	}
	return err
}

// pair computes the probabilities of two classes from that of the second.
func (m *xgbModel) pair(x []float64, rows int, out []float64, s *Scratch) error {
	err := m.values(x, rows, out[:rows], s)
	for r := rows - 1; r >= 0; r-- {
		p := out[r]
		out[2*r], out[2*r+1] = float64(1-float32(p)), p
	}
	return err
}

// aboveHalf computes how far the probability of the second class is above 0.5.
func (m *xgbModel) aboveHalf(x []float64, rows int, out []float64, s *Scratch) error {
	err := m.values(x, rows, out, s)
	for r := range out {
		out[r] -= 0.5
	}
	return err
}

// manyLabels makes it a classifier whose labels are each there or not.
func (e *estimator) manyLabels(m *xgbModel) {
	e.Labels, e.Out, e.Vector = nil, m.margins, true
	for range m.margins {
		e.Outputs = append(e.Outputs, sequentialLabels(2))
	}
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		err := m.values(x, rows, out, s)
		for i, p := range out {
			if out[i] = 0; p > 0.5 {
				out[i] = 1
			}
		}
		return err
	}
	e.withProba(m.margins, m.values)
}

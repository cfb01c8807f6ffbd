// Package model evaluates scikit-learn estimators in Go.
//
// A file is read by package pickle into plain objects. A registry (registry.go) says for each class which builder turns
// its attributes into an estimator. To support a further class, write its builder and add one line to the registry.
package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

// RangeError is a cell in a request that the estimator can't take.
type RangeError struct {
	Row, Column int    // Column is -1 if it is none of the request's, but one that a step of the model made
	Name        string // of the column, if the file has it
	Reason      string
}

// Error says where the cell is and what is wrong with it.
func (e *RangeError) Error() string {
	switch {
	case e.Column < 0:
		return fmt.Sprintf("row %d: %s", e.Row, e.Reason)
	case e.Name != "":
		return fmt.Sprintf("row %d, column %d (%.60q): %s", e.Row, e.Column, e.Name, e.Reason)
	}
	return fmt.Sprintf("row %d, column %d: %s", e.Row, e.Column, e.Reason)
}

// Model is an estimator that was read from a file.
type Model struct {
	Signature
	Class   string   // such as "Pipeline"
	Sklearn string   // version of scikit-learn that wrote the file, "" if it doesn't say
	Columns []Column // that it takes; none where In is -1
	est     *estimator
	checks  bool // cells of all requests are checked, because columns differ in what they take
}

// Predict computes the estimator's answers: rows*In cells from x, rows*Out numbers to out. For a classifier they are
// indices into Labels, or into the labels of each of Outputs. Where x holds texts or missing cells, s.SetInput is to be
// called before; a *RangeError is about a cell that the model can't take.
func (m *Model) Predict(x []float64, rows int, out []float64, s *Scratch) error {
	return m.run(m.est.apply, m.Out, x, rows, out, s)
}

// Probabilities computes rows*Proba numbers: the probability of each class, as predict_proba gives them.
func (m *Model) Probabilities(x []float64, rows int, out []float64, s *Scratch) error {
	return m.run(m.est.proba, m.Proba, x, rows, out, s)
}

// DecisionValues computes rows*Decision numbers, as decision_function gives them.
func (m *Model) DecisionValues(x []float64, rows int, out []float64, s *Scratch) error {
	return m.run(m.est.decision, m.Decision, x, rows, out, s)
}

func (m *Model) run(f rowsFunc, width int, x []float64, rows int, out []float64, s *Scratch) error {
	if f == nil {
		return errors.New("the model doesn't have this")
	}
	if m.In >= 0 && len(x) != rows*m.In || len(out) != rows*width {
		return fmt.Errorf("predict: want %d cells for %d rows, not %d", rows*m.In, rows, len(x))
	}
	s.reset()
	if m.checks || s.given > 0 || s.missing && !m.Missing {
		if err := m.est.check(x, rows, s); err != nil {
			return m.named(err)
		}
	}
	if err := f(x, rows, out, s); err != nil {
		return m.named(err)
	}
	if m.est.texts {
		return numbersOnly(out, width, s)
	}
	return nil
}

// numbersOnly refuses an answer that has text: one of transformers that hand it on.
func numbersOnly(out []float64, width int, s *Scratch) error {
	for i, v := range out {
		if _, ok := s.text(v); ok {
			return &RangeError{Row: i / width, Column: -1, Reason: "the model's answer is text, and only numbers can be given: " +
				"put an encoder behind it"}
		}
	}
	return nil
}

// named adds to an error which column it is about.
func (m *Model) named(err error) error {
	if e := (*RangeError)(nil); errors.As(err, &e) && e.Column >= 0 && e.Column < len(m.Columns) {
		named := *e
		named.Name = m.Columns[e.Column].Name
		return &named
	}
	return err
}

// maxAnswer caps the numbers that are computed for a request.
const maxAnswer = 1 << 24

// MaxRows returns how many rows can be asked at once, so that what the model gives for them stays within bounds.
func (m *Model) MaxRows() int { return max(1, maxAnswer/max(m.Out, m.Proba, m.Decision, 1)) }

// TakesText reports whether text may stand in some column.
func (m *Model) TakesText() bool {
	return m.est.takesAny || slices.ContainsFunc(m.est.takes, func(t Takes) bool { return t&Texts != 0 })
}

// Load builds the model from a file's content. It never panics, whatever the content.
func Load(data []byte) (*Model, error) {
	m, _, err := load(data)
	return m, err
}

// load is Load; it returns the loader too, which knows what was in the file.
func load(data []byte) (m *Model, l *loader, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, l, err = nil, nil, fmt.Errorf("the file is damaged: %.200s", fmt.Sprint(r))
		}
	}()
	v, size, err := pickle.Read(data, Known)
	if err != nil {
		return nil, nil, advised(err)
	}
	o, ok := v.(*pickle.Object)
	if !ok {
		return nil, nil, errors.New("the file holds no estimator: want one fitted estimator of scikit-learn, XGBoost or LightGBM")
	}
	l = newLoader(size)
	l.root = o
	est, err := l.build(o)
	if err != nil {
		return nil, nil, err
	}
	m = &Model{Signature: est.Signature, Class: o.Class.Name, est: est, Columns: est.columns()}
	m.checks = est.takes != nil
	m.Sklearn, _ = o.Attrs["_sklearn_version"].(string)
	return m, l, m.check()
}

// maxWidth caps the numbers in a row, so that a file can't make a small request cost much memory.
const maxWidth = 1 << 20

func (m *Model) check() error {
	if m.In < 1 && m.In != anyWidth || m.In > maxWidth || m.Out < 1 || m.Out > maxWidth {
		return fmt.Errorf("%s takes %d numbers and gives %d: want 1 to %d", m.Class, m.In, m.Out, maxWidth)
	}
	if m.est.apply == nil {
		return fmt.Errorf("%s only works within another estimator", m.Class)
	}
	return nil
}

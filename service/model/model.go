// Package model evaluates scikit-learn estimators in Go.
//
// A file is read by package pickle into plain objects. A registry (registry.go) says for each class which builder turns
// its attributes into an estimator. To support a further class, write its builder and add one line to the registry.
package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// RangeError is a number in a request that the estimator can't take.
type RangeError struct {
	Row, Column int
	Reason      string
}

// Error says where the number is and what is wrong with it.
func (e *RangeError) Error() string {
	return fmt.Sprintf("row %d, column %d: %s", e.Row, e.Column, e.Reason)
}

// Model is an estimator that was read from a file.
type Model struct {
	Signature
	Class   string // such as "Pipeline"
	Sklearn string // version of scikit-learn that wrote the file, "" if it doesn't say
	est     *estimator
}

// Predict computes the estimator's answers: rows*In numbers from x, rows*Out numbers to out. For a classifier they are
// indices into Labels, or into the labels of each of Outputs.
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
		return fmt.Errorf("predict: want %d numbers for %d rows, not %d", rows*m.In, rows, len(x))
	}
	s.reset()
	return f(x, rows, out, s)
}

// ErrDigest means that a file is not the one that was meant.
var ErrDigest = errors.New("the file's digest is not the expected one")

// maxFile is the largest model file that is read.
const maxFile = 2 << 30

// LoadFile reads the model in a file. If digest is not empty ("sha256:" and 64 hex digits, the prefix may be left out),
// the file must have that SHA-256. It returns the file's digest with the prefix.
func LoadFile(path, digest string) (*Model, string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("read model: %w", err)
	}
	if info.Size() > maxFile {
		return nil, "", fmt.Errorf("read model %s: it has %d bytes: want at most %d", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("read model: %w", err)
	}
	sum := sha256.Sum256(data)
	got := "sha256:" + hex.EncodeToString(sum[:])
	if want := "sha256:" + strings.ToLower(strings.TrimPrefix(digest, "sha256:")); digest != "" && got != want {
		return nil, got, fmt.Errorf("check model %s: %w: want %s, but it has %s", path, ErrDigest, want, got)
	}
	m, err := Load(data)
	if err != nil {
		return nil, got, fmt.Errorf("load model %s: %w", path, err)
	}
	return m, got, nil
}

// Load builds the model from a file's content. It never panics, whatever the content.
func Load(data []byte) (m *Model, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("the file is damaged: %.200s", fmt.Sprint(r))
		}
	}()
	if data, err = pickle.Unpack(data); err != nil {
		return nil, err
	}
	v, err := pickle.Load(data, Known)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*pickle.Object)
	if !ok {
		return nil, errors.New("the file holds no estimator: want one fitted scikit-learn estimator")
	}
	est, err := newLoader(len(data)).build(o)
	if err != nil {
		return nil, err
	}
	m = &Model{Signature: est.Signature, Class: o.Class.Name, est: est}
	m.Sklearn, _ = o.Attrs["_sklearn_version"].(string)
	return m, m.check()
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

// Package model evaluates scikit-learn estimators in Go.
//
// A file is read by package pickle into plain objects. A registry (registry.go) says for each class which builder turns
// its attributes into an Estimator. To support a further class, write its builder and add one line to the registry.
package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// Kind says what an estimator computes for a row.
type Kind string

// The kinds of estimators.
const (
	Transformer Kind = "transformer" // a new row
	Regressor   Kind = "regressor"   // numbers
	Classifier  Kind = "classifier"  // the index of a class
)

// Signature describes the rows that an estimator takes and gives.
type Signature struct {
	Kind   Kind
	In     int      // numbers in a row it takes
	Out    int      // numbers that it gives for a row
	Vector bool     // it gives a list for a row, even where Out is 1
	Labels []any    // of a classifier: int64, uint64, float64, bool or string
	Names  []string // of the columns it takes, if the file has them
}

// Estimator computes something for each row. It is safe for concurrent use with a Scratch for each caller.
type Estimator interface {
	Signature() Signature
	// Apply reads rows*In numbers from x, row by row, and writes rows*Out numbers to out. It leaves x as it is.
	Apply(x []float64, rows int, out []float64, s *Scratch) error
}

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
	est     Estimator
}

// Predict computes the estimator's answers: rows*In numbers from x, rows*Out numbers to out. For a classifier they are
// indices into Labels.
func (m *Model) Predict(x []float64, rows int, out []float64, s *Scratch) error {
	if len(x) != rows*m.In || len(out) != rows*m.Out {
		return fmt.Errorf("predict: want %d numbers for %d rows, not %d", rows*m.In, rows, len(x))
	}
	return m.est.Apply(x, rows, out, s)
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
	m = &Model{Signature: est.Signature(), Class: o.Class.Name, est: est}
	m.Sklearn, _ = o.Attrs["_sklearn_version"].(string)
	return m, m.check()
}

// maxWidth caps the numbers in a row, so that a file can't make a small request cost much memory.
const maxWidth = 1 << 20

func (m *Model) check() error {
	if m.In < 1 || m.In > maxWidth || m.Out < 1 || m.Out > maxWidth {
		return fmt.Errorf("%s takes %d numbers and gives %d: want 1 to %d", m.Class, m.In, m.Out, maxWidth)
	}
	return nil
}

// argmax returns the index of the largest number, the first of equal ones, as numpy does.
func argmax(v []float64) int {
	best, at := math.Inf(-1), 0
	for i, f := range v {
		if f > best {
			best, at = f, i
		}
	}
	return at
}

package model_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
)

// fixture is what scikit-learn says about a model file: see service/testdata/make_fixtures.py.
type fixture struct {
	Class      string      `json:"class"`
	Classes    []any       `json:"classes"`
	Vector     bool        `json:"vector"`
	X          [][]float64 `json:"x"`
	Prediction []any       `json:"prediction"`
	path       string
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	paths, err := filepath.Glob("../testdata/sklearn-*/*.json")
	if err != nil || len(paths) < 80 {
		t.Fatalf("found %d fixtures: want at least 80 (%v)", len(paths), err)
	}
	var out []fixture
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var f fixture
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		base := strings.TrimSuffix(path, ".json")
		if f.path = base + ".pkl"; !exists(f.path) {
			f.path = base + ".joblib"
		}
		out = append(out, f)
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestPredictsAsScikitLearn(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(strings.TrimPrefix(f.path, "../testdata/"), func(t *testing.T) {
			m, _, err := model.LoadFile(f.path, "")
			if err != nil {
				t.Fatal(err)
			}
			if m.Class != f.Class || m.Vector != f.Vector {
				t.Errorf("class %s, vector %v: want %s, %v", m.Class, m.Vector, f.Class, f.Vector)
			}
			batch := predict(t, m, f.X)
			for i, want := range f.Prediction {
				check(t, fmt.Sprintf("row %d in a batch", i), batch[i], want)
				check(t, fmt.Sprintf("row %d alone", i), predict(t, m, f.X[i:i+1])[0], want)
			}
		})
	}
}

// predict returns for each row a label, a number or a list of numbers, as JSON has them.
func predict(t testing.TB, m *model.Model, x [][]float64) []any {
	t.Helper()
	var flat []float64
	for _, row := range x {
		flat = append(flat, row...)
	}
	out := make([]float64, len(x)*m.Out)
	if err := m.Predict(flat, len(x), out, &model.Scratch{}); err != nil {
		t.Fatal(err)
	}
	answers := make([]any, len(x))
	for i := range x {
		answers[i] = answer(m, out[i*m.Out:(i+1)*m.Out])
	}
	return answers
}

func answer(m *model.Model, out []float64) any {
	if m.Kind == model.Classifier {
		switch label := m.Labels[int(out[0])].(type) {
		case int64:
			return float64(label)
		default:
			return label
		}
	}
	if !m.Vector {
		return out[0]
	}
	list := make([]any, len(out))
	for i, v := range out {
		list[i] = v
	}
	return list
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	switch w := want.(type) {
	case float64:
		g, ok := got.(float64)
		if ok && math.Abs(g-w) <= 1e-9*max(1, math.Abs(w)) {
			return
		}
	case []any:
		g, ok := got.([]any)
		if ok && len(g) == len(w) {
			for i := range w {
				check(t, what, g[i], w[i])
			}
			return
		}
	default:
		if reflect.DeepEqual(got, want) {
			return
		}
	}
	t.Errorf("%s: got %v, want %v", what, got, want)
}

func TestFixturesCoverBothVersions(t *testing.T) {
	versions := map[string]bool{}
	for _, f := range fixtures(t) {
		m, _, err := model.LoadFile(f.path, "")
		if err != nil {
			t.Fatal(err)
		}
		versions[m.Sklearn] = true
	}
	if !versions["1.2.1"] || len(versions) < 2 {
		t.Errorf("versions of scikit-learn: %v", versions)
	}
}

package model_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/cell"
	"github.com/weirhq/weir/service/model"
)

// fixture is what scikit-learn says about a model file: see service/testdata/make_fixtures.py and make_models.py.
type fixture struct {
	Class         string   `json:"class"`
	Version       string   `json:"version"`
	Format        string   `json:"format"`
	Vector        bool     `json:"vector"`
	Float32       bool     `json:"float32"` // scikit-learn computes it in 32 bits
	X             []any    `json:"x"`       // rows, null being what is missing; or texts
	Columns       []string `json:"columns"` // names of the columns, if scikit-learn was asked with them
	Prediction    []any    `json:"prediction"`
	Probabilities []any    `json:"probabilities"`
	Decision      []any    `json:"decision"`
	name          string
	content       []byte
	texts         [][]byte // that cells of rows stand for
}

// fixtures reads the model files that lie open and those in the bundles.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	files := map[string][]byte{}
	paths, err := filepath.Glob("../testdata/*-*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../testdata/")
		if before, ok := strings.CutSuffix(name, ".zip"); ok {
			unzip(t, path, before, files)
		} else if before, ok := strings.CutSuffix(name, ".tar.gz"); ok {
			untar(t, b, before, files)
		} else {
			files[name] = b
		}
	}
	var out []fixture
	for name, b := range files {
		if base, ok := strings.CutSuffix(name, ".json"); ok {
			out = append(out, newFixture(t, base, b, files))
		}
	}
	if len(out) < 250 {
		t.Fatalf("found %d fixtures: want at least 250", len(out))
	}
	return out
}

func newFixture(t testing.TB, base string, b []byte, files map[string][]byte) fixture {
	t.Helper()
	var f fixture
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%s: %v", base, err)
	}
	for _, suffix := range []string{".pkl", ".joblib"} {
		if content, ok := files[base+suffix]; ok {
			f.name, f.content = base+suffix, content
		}
	}
	for _, row := range f.X {
		for _, v := range list(row) {
			if text, ok := v.(string); ok {
				f.texts = append(f.texts, []byte(text))
			}
		}
	}
	return f
}

// list is a row as a list: a text is one of one cell.
func list(row any) []any {
	if cells, ok := row.([]any); ok {
		return cells
	}
	return []any{row}
}

func unzip(t testing.TB, path, prefix string, files map[string][]byte) {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer func() { _ = z.Close() }()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[prefix+"/"+f.Name] = b
	}
}

func untar(t testing.TB, content []byte, prefix string, files map[string][]byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%s: %v", prefix, err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", prefix, err)
		}
		if files[prefix+"/"+h.Name], err = io.ReadAll(r); err != nil {
			t.Fatalf("%s: %v", prefix, err)
		}
	}
}

func TestPredictsAsScikitLearn(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			if tolerance = 1e-9; f.Float32 {
				tolerance = 1e-5
			}
			m, err := model.Load(f.content)
			if err != nil {
				t.Fatal(err)
			}
			if m.Class != f.Class || m.Vector != f.Vector {
				t.Errorf("class %s, vector %v: want %s, %v", m.Class, m.Vector, f.Class, f.Vector)
			}
			x, s := f.rows(), f.scratch()
			batch := predictWith(t, m, x, s)
			for i, want := range f.Prediction {
				check(t, fmt.Sprintf("row %d in a batch", i), batch[i], want)
				check(t, fmt.Sprintf("row %d alone", i), predictWith(t, m, x[i:i+1], s)[0], want)
			}
			if f.Format == "" {
				return // of make_fixtures.py, which writes predictions only
			}
			checkScores(t, "probabilities", m, m.Proba, m.Probabilities, x, s, f.Probabilities)
			checkScores(t, "decision values", m, m.Decision, m.DecisionValues, x, s, f.Decision)
		})
	}
}

func checkScores(t *testing.T, what string, m *model.Model, n int,
	f func([]float64, int, []float64, *model.Scratch) error, x [][]float64, s *model.Scratch, want []any,
) {
	t.Helper()
	if (n > 0) != (want != nil) {
		t.Errorf("%s: the model gives %d a row, and scikit-learn gives them for %d rows", what, n, len(want))
		return
	}
	if n == 0 {
		return
	}
	out := make([]float64, n*len(x))
	if err := f(flat(x), len(x), out, s); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		check(t, fmt.Sprintf("%s of row %d", what, i), scores(m, out[i*n:(i+1)*n]), want[i])
	}
}

// scores are the numbers of one row as JSON has them: a list, a list for each output, or a single decision value.
func scores(m *model.Model, row []float64) any {
	list := func(v []float64) any {
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out
	}
	switch {
	case len(row) == 1 && m.Proba != 1:
		return row[0]
	case !m.Grouped() || m.Proba != len(row):
		return list(row)
	}
	var out []any
	for _, labels := range m.Outputs {
		out = append(out, list(row[:len(labels)]))
		row = row[len(labels):]
	}
	return out
}

// rows is X with NaN, and with texts as cells.
func (f *fixture) rows() [][]float64 {
	out, texts := make([][]float64, len(f.X)), 0
	for i, row := range f.X {
		for _, v := range list(row) {
			number := math.NaN()
			switch v := v.(type) {
			case float64:
				number = v
			case bool:
				number = map[bool]float64{true: 1}[v]
			case string:
				number = cell.Text(texts)
				texts++
			}
			out[i] = append(out[i], number)
		}
	}
	return out
}

// scratch is one for the fixture's rows.
func (f *fixture) scratch() *model.Scratch {
	s := &model.Scratch{}
	s.SetInput(f.texts, true)
	return s
}

// predict returns for each row a label, a number or a list of them, as JSON has them.
func predict(t testing.TB, m *model.Model, x [][]float64) []any {
	t.Helper()
	return predictWith(t, m, x, &model.Scratch{})
}

func predictWith(t testing.TB, m *model.Model, x [][]float64, s *model.Scratch) []any {
	t.Helper()
	out := make([]float64, len(x)*m.Out)
	if err := m.Predict(flat(x), len(x), out, s); err != nil {
		t.Fatal(err)
	}
	answers := make([]any, len(x))
	for i := range x {
		answers[i] = answer(m, out[i*m.Out:(i+1)*m.Out])
	}
	return answers
}

func flat(x [][]float64) []float64 {
	var out []float64
	for _, row := range x {
		out = append(out, row...)
	}
	return out
}

func answer(m *model.Model, out []float64) any {
	list := make([]any, len(out))
	for i, v := range out {
		list[i] = v
		if m.Kind == model.Classifier {
			labels := m.Labels
			if m.Outputs != nil {
				labels = m.Outputs[i]
			}
			list[i] = plain(labels[int(v)])
		}
	}
	if !m.Vector {
		return list[0]
	}
	return list
}

// plain turns a label into what JSON has for it.
func plain(label any) any {
	switch label := label.(type) {
	case int64:
		return float64(label)
	case uint64:
		return float64(label)
	}
	return label
}

// tolerance of check, relative to numbers above 1.
var tolerance = 1e-9

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	switch w := want.(type) {
	case nil:
		if g, ok := got.(float64); ok && math.IsNaN(g) {
			return
		}
	case float64:
		g, ok := got.(float64)
		if ok && math.Abs(g-w) <= tolerance*max(1, math.Abs(w)) {
			return
		}
	case bool:
		g, ok := got.(float64) // of a transformer that hands a boolean on
		if ok && g == map[bool]float64{true: 1}[w] || got == want {
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

func TestFixturesCoverSeveralVersions(t *testing.T) {
	versions := map[string]bool{}
	for _, f := range fixtures(t) {
		m, err := model.Load(f.content)
		if err != nil {
			t.Fatal(err)
		}
		versions[m.Sklearn] = true
	}
	for _, want := range []string{
		"0.24.2", "1.0.2", "1.1.3", "1.2.1", "1.3.2", "1.4.2", "1.5.2", "1.6.1", "1.7.2", "1.8.0", "1.9.1",
	} {
		if !versions[want] {
			t.Errorf("no fixture of scikit-learn %s", want)
		}
	}
}

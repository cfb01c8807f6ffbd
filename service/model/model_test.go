package model_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/cell"
	"github.com/weirhq/weir/service/model"
)

const iris = "../../test/testdata/iris-v1.0.0.pkl"

func TestChecksTheDigest(t *testing.T) {
	_, digest, err := model.LoadFile(iris, "")
	if err != nil || !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("digest %q, %v", digest, err)
	}
	for _, want := range []string{digest, strings.TrimPrefix(digest, "sha256:"), strings.ToUpper(digest[7:])} {
		if _, _, err := model.LoadFile(iris, want); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	other := strings.Repeat("0", 64)
	_, _, err = model.LoadFile(iris, other)
	if !errors.Is(err, model.ErrDigest) || !strings.Contains(err.Error(), digest) {
		t.Errorf("another digest: %v", err)
	}
	if _, _, err := model.LoadFile(filepath.Join(t.TempDir(), "none.pkl"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	huge := filepath.Join(t.TempDir(), "huge.pkl")
	if err := errors.Join(os.WriteFile(huge, nil, 0o600), os.Truncate(huge, 3<<30)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := model.LoadFile(huge, ""); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a file of 3 GB: %v", err)
	}
}

func TestEveryCutIsRefused(t *testing.T) {
	for _, path := range []string{iris, "../testdata/sklearn-1.2.1/logistic-object.plain.joblib"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			if m, err := model.Load(data[:n]); err == nil {
				t.Fatalf("%s: the first %d of %d bytes loaded as %v", path, n, len(data), m)
			}
		}
	}
}

func TestRefusesNumbersBeyondFloat32(t *testing.T) {
	m, _, err := model.LoadFile("../../test/testdata/iris-v1.1.0.pkl", "")
	if err != nil {
		t.Fatal(err)
	}
	var bad *model.RangeError
	err = m.Predict([]float64{1, 1, 1, 1, 1, 1e39, 1, 1}, 2, make([]float64, 2), &model.Scratch{})
	if !errors.As(err, &bad) || bad.Row != 1 || bad.Column != 1 {
		t.Errorf("got %v", err)
	}
}

func TestNamesOfColumns(t *testing.T) {
	m, _, err := model.LoadFile("../testdata/sklearn-1.9.1/pipeline-names.pkl", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Names, " "); got != "length width depth weight age" {
		t.Errorf("got %q", got)
	}
}

// TestBatchesAgree checks that a row's answer doesn't depend on what is beside it: alone, in a block, and in a batch
// that several goroutines share.
func TestBatchesAgree(t *testing.T) {
	for _, name := range []string{"forest-classifier", "forest-regressor", "forest-classifier-wide", "pipeline-forest"} {
		m, _, err := model.LoadFile("../testdata/sklearn-1.2.1/"+name+".pkl", "")
		if err != nil {
			t.Fatal(err)
		}
		const rows = 20_001
		rng := rand.New(rand.NewPCG(1, 2))
		x := make([]float64, rows*m.In)
		for i := range x {
			x[i] = rng.NormFloat64() * 10
		}
		out := make([]float64, rows)
		if err := m.Predict(x, rows, out, &model.Scratch{}); err != nil {
			t.Fatal(err)
		}
		var s model.Scratch
		one := make([]float64, 1)
		for r := 0; r < rows; r += 97 {
			if err := m.Predict(x[r*m.In:(r+1)*m.In], 1, one, &s); err != nil {
				t.Fatal(err)
			}
			if math.Float64bits(one[0]) != math.Float64bits(out[r]) {
				t.Fatalf("%s: row %d: %v alone, %v in the batch", name, r, one[0], out[r])
			}
		}
	}
}

// fuzzTexts are what cells that are texts stand for.
var fuzzTexts = [][]byte{[]byte("red"), []byte("A quick ΣΑΣ\u00a0 fox; naïve \u0301 日本"), {}, []byte("\xff\xfea b"), nil}

// FuzzLoad checks that no file makes the loader panic, and that what loads can be asked.
func FuzzLoad(f *testing.F) {
	smallest := map[string][]byte{} // of each class: with thousands of seeds a worker only ever reads seeds
	for _, fx := range fixtures(f) {
		b := fx.content
		if old, ok := smallest[fx.Class]; len(b) < 8192 && b[0] == 0x80 && (!ok || len(b) < len(old)) {
			smallest[fx.Class] = b
		}
	}
	for _, b := range smallest {
		f.Add(b)
	}
	f.Add(honest().pickle())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := model.Load(data)
		if err != nil || max(m.In, m.Out, m.Proba, m.Decision) > 1000 {
			return
		}
		const rows = 3
		x, out, s := make([]float64, rows*max(1, m.In)), make([]float64, rows*1000), &model.Scratch{}
		for i := range x {
			if x[i] = float64(i % 5); m.Missing && i%4 == 3 {
				x[i] = math.NaN()
			} else if m.In > 0 && m.Columns[i%m.In].Takes&model.Texts != 0 && i%4 != 1 {
				x[i] = cell.Text(i % len(fuzzTexts))
			}
		}
		s.SetInput(fuzzTexts, m.Missing)
		for n, f := range map[int]func([]float64, int, []float64, *model.Scratch) error{
			m.Out: m.Predict, m.Proba: m.Probabilities, m.Decision: m.DecisionValues,
		} {
			if n > 0 {
				_ = f(x, rows, out[:rows*n], s)
			}
		}
		if m.Kind != model.Classifier || m.Predict(x, rows, out[:rows*m.Out], s) != nil {
			return
		}
		for i, v := range out[:rows*m.Out] {
			labels := m.Labels
			if m.Outputs != nil {
				labels = m.Outputs[i%m.Out]
			}
			if !(v >= 0 && int(v) < len(labels)) {
				t.Fatalf("answer %v for %d labels", v, len(labels))
			}
		}
	})
}

func BenchmarkPredict(b *testing.B) {
	for _, name := range []string{"logistic-multinomial", "forest-classifier", "forest-regressor", "pipeline-forest"} {
		m, _, err := model.LoadFile("../testdata/sklearn-1.2.1/"+name+".pkl", "")
		if err != nil {
			b.Fatal(err)
		}
		for _, rows := range []int{1, 1000} {
			b.Run(strings.Join([]string{name, map[int]string{1: "one", 1000: "thousand"}[rows]}, "/"), func(b *testing.B) {
				x, out := make([]float64, rows*m.In), make([]float64, rows*m.Out)
				for i := range x {
					x[i] = float64(i%7) - 3
				}
				var s model.Scratch
				b.ReportAllocs()
				for b.Loop() {
					if err := m.Predict(x, rows, out, &s); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

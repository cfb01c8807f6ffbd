package server_test

import (
	"archive/zip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bundled unpacks a model that is in one of the bundles of the newest version, as FAMILY/NAME.
func bundled(t testing.TB, name string) string {
	t.Helper()
	family, name, _ := strings.Cut(name, "/")
	z, err := zip.OpenReader("../testdata/sklearn-1.9.1/" + family + ".zip")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	f, err := z.Open(name + ".pkl")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.pkl")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServesTextsAndTables(t *testing.T) {
	for _, tt := range []struct{ model, body, want string }{
		{"text/logistic", `{"x":["the cat and the dog cat","a tree near the house"]}`, `["cat","tree"]`},
		{"text/logistic", `{"x":[["the cat and the dog cat"],["a tree near the house"]]}`, `["cat","tree"]`},
		{"text/logistic", `{"x":["the c\u0061t \u0026 the dog\tcat"]}`, `["cat"]`},
		{"columns/ordinal", `{"x":[{"size":"small","color":"red"}]}`, `[[4,2]]`},
		{"columns/ordinal", `{"x":{"size":"small","color":"red"}}`, `[[4,2]]`},
		{"columns/ordinal", `{"x":["red","small"]}`, `[[4,2]]`},
		{"columns/ordinal-missing", `{"x":[[null],["Rome"]]}`, `[[-9],[1]]`},
		{"columns/ordinal", `{"x":["violet","small"]}`, `row 0, column 0 (\"color\"): the model doesn't know this category`},
		{"columns/ordinal", `{"x":[["red","small"],["red",7]]}`, `row 1, column 1 (\"size\"): the model takes text here, but this is a number`},
		{"columns/ordinal", `{"x":[{"color":"red"}]}`, `row 0 of x has no \"size\"`},
	} {
		t.Run(tt.model+" "+tt.body, func(t *testing.T) {
			i := startReady(t, bundled(t, tt.model))
			res, body := i.do(t, "POST", "/predict", tt.body)
			code := http.StatusOK
			if !strings.HasPrefix(tt.want, "[") {
				code = http.StatusBadRequest
			}
			if res.StatusCode != code || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s: want %d and %s", res.StatusCode, body, code, tt.want)
			}
		})
	}
}

// TestTextsAllocateNothing is TestPredictAllocatesNextToNothing for rows that are objects, and texts.
func TestTextsAllocateNothing(t *testing.T) {
	for name, body := range map[string]string{
		"columns/table-logistic": `{"x":{"length":1.5,"shop":"a","width":null,"city":"Rome"}}`,
		"text/logistic":          `{"x":["the cat and the dog, cat"]}`,
	} {
		h, p := loaded(t, bundled(t, name)), newReplay("/predict", body)
		n := testing.AllocsPerRun(500, func() { p.send(h) })
		if p.sink.code != http.StatusOK || n > maxAllocs && !raceDetector {
			t.Errorf("%s: %d, %v allocations: want at most %d", name, p.sink.code, n, maxAllocs)
		}
	}
}

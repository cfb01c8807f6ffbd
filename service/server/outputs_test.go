package server_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// fromBundle copies one model of a bundle of fixtures to a file, and returns its path and what scikit-learn says.
func fromBundle(t *testing.T, bundle, name string) (path string, said map[string]json.RawMessage) {
	t.Helper()
	z, err := zip.OpenReader("../testdata/" + bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	read := func(name string) []byte {
		f, err := z.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	path = filepath.Join(t.TempDir(), "model.pkl")
	if err := os.WriteFile(path, read(name+".pkl"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(read(name+".json"), &said); err != nil {
		t.Fatal(err)
	}
	return path, said
}

// TestAnswersAsScikitLearn has models of several outputs, of labels that are there or not, and with missing numbers, and
// asks for all that they have.
func TestAnswersAsScikitLearn(t *testing.T) {
	for name, bundle := range map[string]string{
		"tree-pairs-text": "sklearn-1.5.2/trees.zip", "mlp-labels": "sklearn-1.9.1/clusters.zip",
		"tree-pairs-equal": "sklearn-1.2.1/trees.zip", "hist-missing-names": "sklearn-1.9.1/boosting.zip",
		"svc-probability-four": "sklearn-1.5.2/svms.zip", "imputer-indicator": "sklearn-1.2.1/preprocessing.zip", "isolation": "sklearn-0.24.2/trees.zip",
		"minmax-missing": "sklearn-1.9.1/preprocessing.zip", "knn-pairs": "sklearn-1.9.1/bayes.zip",
	} {
		t.Run(name, func(t *testing.T) {
			path, said := fromBundle(t, bundle, name)
			request := fmt.Sprintf(`{"x":%s,"probabilities":%t,"decision":%t}`, said["x"], said["probabilities"] != nil,
				said["decision"] != nil)
			res, body := startReady(t, path).do(t, "POST", "/predict", request)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			var got map[string]json.RawMessage
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			for _, member := range []string{"prediction", "probabilities", "decision"} {
				if (got[member] == nil) != (said[member] == nil) {
					t.Errorf("%s: got %.200s, want %.200s", member, got[member], said[member])
				} else if said[member] != nil && !near(t, got[member], said[member]) {
					t.Errorf("%s:\ngot  %.300s\nwant %.300s", member, got[member], said[member])
				}
			}
		})
	}
}

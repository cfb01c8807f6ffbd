package server_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// described is what the tests read of an OpenAPI document.
type described struct {
	Openapi    string
	Paths      map[string]any
	Components struct{ Schemas map[string]any }
}

func (i *instance) document(t *testing.T) (d described, text string) {
	t.Helper()
	res, text := i.do(t, "GET", "/openapi.json", "")
	if err := json.Unmarshal([]byte(text), &d); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: %s", res.StatusCode, err, text)
	}
	return d, text
}

func TestDocumentKnowsTheModel(t *testing.T) {
	i := startReady(t, fixtures+"logistic-text.pkl")
	d, text := i.document(t)
	if d.Openapi != "3.1.0" || d.Paths["/v2/models/iris/infer"] == nil {
		t.Errorf("%.300s", text)
	}
	for _, want := range []string{
		`"enum":["iris","rose","tülip"]`, `"maxItems":5,"minItems":5`, `"const":"v1.0.0"`, `"maxItems":10000`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(text, -1) {
		if d.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	for path, methods := range d.Paths {
		for method := range methods.(map[string]any) {
			if res, _ := i.do(t, strings.ToUpper(method), path, ""); res.StatusCode == 404 || res.StatusCode == 405 {
				t.Errorf("%s %s: %d", method, path, res.StatusCode)
			}
		}
	}
	_, named := startReady(t, "../testdata/sklearn-1.9.1/pipeline-names.pkl").document(t)
	if !strings.Contains(named, `"required":["length",`) || !strings.Contains(named, `"title":"length"`) {
		t.Errorf("no names of columns: %s", named)
	}
}

// TestExamplesOfTheDocumentWork sends the examples to models of all kinds.
func TestExamplesOfTheDocumentWork(t *testing.T) {
	bundled := func(bundle, name string) string {
		path, _ := fromBundle(t, "sklearn-1.9.1/"+bundle, name)
		return path
	}
	for _, path := range []string{
		iris, fixtures + "linear-two-outputs.pkl", fixtures + "scaler.pkl", "../testdata/sklearn-1.9.1/pipeline-names.pkl",
		bundled("text.zip", "bernoulli"), bundled("columns.zip", "imputer-default"),
		bundled("bayes.zip", "knn-pairs"),
	} {
		i := startReady(t, path)
		d, _ := i.document(t)
		for schema, to := range map[string]string{"Request": "/predict", "InferenceRequest": "/v2/models/iris/infer"} {
			examples, _ := d.Components.Schemas[schema].(map[string]any)["examples"].([]any)
			if len(examples) != 1 {
				t.Fatalf("%s has %d examples", schema, len(examples))
			}
			body, err := json.Marshal(examples[0])
			if err != nil {
				t.Fatal(err)
			}
			if res, answer := i.do(t, "POST", to, string(body)); res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s: %d %s", path, body, res.StatusCode, answer)
			}
		}
	}
}

func TestPageIsSelfContained(t *testing.T) {
	i := startReady(t, iris)
	res, body := i.do(t, "GET", "/docs", "")
	policy := res.Header.Get("Content-Security-Policy")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") ||
		strings.Count(policy, "'sha256-") != 2 {
		t.Errorf("policy %s", policy)
	}
	foreign := regexp.MustCompile(`(src|href)="?(https?:|//|/)|@import|\burl\(| on\w+=|style=`)
	if other := foreign.FindString(body); other != "" {
		t.Errorf("the page needs %q", other)
	}
	for id := range strings.SplitSeq("title about request row cells options path body send answer curl", " ") {
		if !strings.Contains(body, `id="`+id+`"`) {
			t.Errorf("no element %s", id)
		}
	}
	if len(body) > 10_000 {
		t.Errorf("the page has %d bytes", len(body))
	}
}

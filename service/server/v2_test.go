package server_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/server"
)

const irisTensor = `{"name":"x","datatype":"FP64","shape":[2,4],"data":[5.1,3.5,1.4,0.2,6.3,3.3,6,2.5]}`

func TestAnswersInferenceProtocol(t *testing.T) {
	i := startReady(t, iris)
	infer := func(more string) string { return `{"inputs":[` + irisTensor + `]` + more + `}` }
	predict := `{"name":"predict","datatype":"INT64","shape":[2,1],"parameters":{"content_type":"np"},"data":[0,2]}`
	answer := func(id string) string {
		return `{"model_name":"iris","model_version":"v1.0.0","id":"` + id + `","parameters":{},"outputs":[` + predict + `]}`
	}
	for _, tt := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", "/v2/models/iris/ready", "", 200, `{"name":"iris","ready":true}`},
		{"GET", "/v2/models/iris/versions/v1.0.0/ready", "", 200, `{"name":"iris","ready":true}`},
		{"GET", "/v2/models/wine/ready", "", 404, `{"error":"there is no model \"wine\" here: want iris"}`},
		{"GET", "/v2/models/iris/versions/2", "", 404, `{"error":"the model has no version \"2\" here: want v1.0.0"}`},
		{"GET", "/v2/models/iris", "", 200, `{"name":"iris","versions":["v1.0.0"],"platform":"sklearn_pickle","inputs":[` +
			`{"name":"x","datatype":"FP64","shape":[-1,4]}],"outputs":[{"name":"predict","datatype":"INT64","shape":[-1,1]},` +
			`{"name":"predict_proba","datatype":"FP64","shape":[-1,3]},` +
			`{"name":"decision_function","datatype":"FP64","shape":[-1,3]}]}`},
		{"POST", "/v2/models/iris/infer", infer(`,"id":"mine"`), 200, answer("mine")},
		{"POST", "/v2/models/iris/versions/v1.0.0/infer", infer(``), 200, answer("from-header")},
		{"POST", "/v2/models/wine/infer", infer(``), 404, `{"error":"there is no model \"wine\" here: want iris"}`},
		{
			"POST", "/v2/models/iris/infer", infer(`,"outputs":[{"name":"classes"}]`), 400,
			`{"error":"the model has no output \"classes\": it has predict, predict_proba, decision_function"}`,
		},
		{"POST", "/v2/models/iris/infer", `{"inputs":[]}`, 400, `{"error":"want at least one tensor in \"inputs\""}`},
	} {
		res, body := i.do(t, tt.method, tt.path, tt.body, "X-Request-Id", "from-header")
		if res.StatusCode != tt.code || body != tt.want {
			t.Errorf("%s %s: %d %s\nwant %d %s", tt.method, tt.path, res.StatusCode, body, tt.code, tt.want)
		}
	}
	res, body := i.do(t, "GET", "/v2", "")
	if res.StatusCode != 200 || !strings.HasPrefix(body, `{"name":"weir","version":"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res, _ := i.do(t, "GET", "/v2/models/iris/infer", ""); res.StatusCode != 405 || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET infer: %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
	if n := i.sample(t, "weir_errors_total", `kind="not_found"`); n != 1 {
		t.Errorf("%v requests for another model are counted, want 1", n)
	}
	if lines := i.ring(t, ""); len(lines) != 6 || lines[0].RequestID != "from-header" || lines[1].Prediction != 2. {
		t.Errorf("ring: %+v", lines)
	}
}

// TestInferenceSaysWhatPredictSays asks both interfaces for all outputs of models of all kinds.
func TestInferenceSaysWhatPredictSays(t *testing.T) {
	for name, bundle := range map[string]string{
		"tree-pairs-text": "sklearn-1.5.2/trees.zip", "hist-missing-names": "sklearn-1.9.1/boosting.zip",
		"isolation": "sklearn-0.24.2/trees.zip", "minmax-missing": "sklearn-1.9.1/preprocessing.zip",
		"svc-probability-four": "sklearn-1.5.2/svms.zip", "gb-huber": "sklearn-1.9.1/boosting.zip",
	} {
		t.Run(name, func(t *testing.T) {
			path, said := fromBundle(t, bundle, name)
			var x [][]any
			if err := json.Unmarshal(said["x"], &x); err != nil {
				t.Fatal(err)
			}
			members := map[string]string{
				"predict": "prediction", "transform": "prediction", "predict_proba": "probabilities", "decision_function": "decision",
			}
			i := startReady(t, path)
			var meta struct{ Outputs []struct{ Name string } }
			_, body := i.do(t, "GET", "/v2/models/iris", "")
			if err := json.Unmarshal([]byte(body), &meta); err != nil {
				t.Fatal(err)
			}
			for _, o := range meta.Outputs {
				res, body := i.do(t, "POST", "/v2/models/iris/infer", fmt.Sprintf(`{"inputs":[{"name":"input-0","datatype":"FP64",
					"shape":[%d,%d],"data":%s}],"outputs":[{"name":%q}]}`, len(x), len(x[0]), said["x"], o.Name))
				if res.StatusCode != http.StatusOK {
					t.Fatalf("%s: %d %s", o.Name, res.StatusCode, body)
				}
				var got struct {
					Outputs []struct {
						Shape []int
						Data  []any
					}
				}
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Fatal(err)
				}
				member := members[o.Name]
				var want any
				if err := json.Unmarshal(said[member], &want); err != nil {
					t.Fatal(err)
				}
				if !nearValue(got.Outputs[0].Data, any(flatten(want))) {
					t.Errorf("%s: got %.200s\nwant %.200s", o.Name, body, said[member])
				}
				if s := got.Outputs[0].Shape; len(s) != 2 || s[0] != len(x) || s[0]*s[1] != len(got.Outputs[0].Data) {
					t.Errorf("%s: shape %v for %d elements", o.Name, s, len(got.Outputs[0].Data))
				}
			}
		})
	}
}

func flatten(v any) []any {
	list, ok := v.([]any)
	if !ok {
		return []any{v}
	}
	var out []any
	for _, e := range list {
		out = append(out, flatten(e)...)
	}
	return out
}

func TestInferenceWithBinaryTensors(t *testing.T) {
	i := startReady(t, iris)
	var content []byte
	for _, v := range []float32{5.1, 3.5, 1.4, .2, 6.3, 3.3, 6, 2.5} {
		content = binary.LittleEndian.AppendUint32(content, math.Float32bits(v))
	}
	head := `{"inputs":[{"name":"x","datatype":"FP32","shape":[2,4],"parameters":{"binary_data_size":32}}],` +
		`"outputs":[{"name":"predict_proba","parameters":{"binary_data":false}},{"name":"predict"}],` +
		`"parameters":{"binary_data_output":true}}`
	res, body := i.do(t, "POST", "/v2/models/iris/infer", head+string(content), "Content-Type", "application/octet-stream",
		"Inference-Header-Content-Length", strconv.Itoa(len(head)))
	n, err := strconv.Atoi(res.Header.Get("Inference-Header-Content-Length"))
	contentType := res.Header.Get("Content-Type")
	if err != nil || res.StatusCode != 200 || contentType != "application/octet-stream" || len(body) < n {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	if got := body[n:]; got != "\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("classes: %q", got)
	}
	var got struct{ Outputs []struct{ Data []float64 } }
	err = json.Unmarshal([]byte(body[:n]), &got)
	if err != nil || len(got.Outputs) != 2 || len(got.Outputs[0].Data) != 6 {
		t.Errorf("%v: %s", err, body[:n])
	}
	for _, length := range []string{"-1", "x", "99999"} {
		res, body := i.do(t, "POST", "/v2/models/iris/infer", head, "Inference-Header-Content-Length", length)
		if res.StatusCode != 400 || !strings.Contains(body, "Inference-Header-Content-Length") {
			t.Errorf("length %s: %d %s", length, res.StatusCode, body)
		}
	}
}

func TestInferenceWithNamedColumns(t *testing.T) {
	i := startReady(t, "../testdata/sklearn-1.9.1/pipeline-names.pkl", "--max-rows=2")
	_, meta := i.do(t, "GET", "/v2/models/iris", "")
	var m struct {
		Inputs []struct{ Name, Datatype string }
	}
	if err := json.Unmarshal([]byte(meta), &m); err != nil || len(m.Inputs) != 5 || m.Inputs[0].Name != "length" {
		t.Fatalf("%v: %s", err, meta)
	}
	_, want := i.do(t, "POST", "/predict", `{"x":[[1,2,3,4,5],[5,4,3,2,1]]}`)
	var predict struct{ Prediction json.RawMessage }
	if err := json.Unmarshal([]byte(want), &predict); err != nil {
		t.Fatal(err)
	}
	columns := make([]string, 5)
	for c := range columns { // the last one first
		columns[4-c] = fmt.Sprintf(`{"name":%q,"datatype":"INT64","shape":[2,1],"data":[%d,%d]}`, m.Inputs[c].Name, c+1, 5-c)
	}
	res, body := i.do(t, "POST", "/v2/models/iris/infer",
		`{"parameters":{"content_type":"pd"},"inputs":[`+strings.Join(columns, ",")+`]}`)
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"data":`+string(predict.Prediction)) {
		t.Errorf("%d %s, want the data %s", res.StatusCode, body, predict.Prediction)
	}
	for more, code := range map[string]int{
		strings.ReplaceAll(strings.Join(columns, ","), "[2,1]", "[1,1]"):                      400,
		strings.Join(columns[1:], ","):                                                        400,
		`{"name":"x","datatype":"FP64","shape":[3,5],"data":[1,2,3,4,5,1,2,3,4,5,1,2,3,4,5]}`: 413,
	} {
		if res, body := i.do(t, "POST", "/v2/models/iris/infer", `{"inputs":[`+more+`]}`); res.StatusCode != code {
			t.Errorf("%s: %d %s, want %d", more, res.StatusCode, body, code)
		}
	}
}

// TestInferenceWithTexts sends columns that hold text, or numbers, or either with holes, each as a tensor of its own.
func TestInferenceWithTexts(t *testing.T) {
	for name, bundle := range map[string]string{
		"imputer-default": "columns", "imputer-mark": "columns", "names-order": "columns", "bernoulli": "text",
		"count-bigrams": "text",
	} {
		t.Run(name, func(t *testing.T) {
			path, said := fromBundle(t, "sklearn-1.9.1/"+bundle+".zip", name)
			i := startReady(t, path)
			_, text := i.do(t, "GET", "/v2/models/iris", "")
			var meta struct {
				Inputs []struct{ Name string }
			}
			var x, prediction any
			for from, to := range map[string]any{text: &meta, string(said["x"]): &x, string(said["prediction"]): &prediction} {
				if err := json.Unmarshal([]byte(from), to); err != nil {
					t.Fatal(err)
				}
			}
			rows := x.([]any)
			inputs := make([]string, len(meta.Inputs))
			for c, in := range meta.Inputs {
				column, datatype := make([]any, len(rows)), "FP64"
				for r, row := range rows {
					if column[r] = row; bundle == "columns" {
						column[r] = row.([]any)[c]
					}
					if _, ok := column[r].(string); ok {
						datatype = "BYTES"
					}
				}
				data, err := json.Marshal(column)
				if err != nil {
					t.Fatal(err)
				}
				inputs[c] = fmt.Sprintf(`{"name":%q,"datatype":%q,"shape":[%d],"data":%s}`, in.Name, datatype, len(rows), data)
			}
			res, body := i.do(t, "POST", "/v2/models/iris/infer", `{"inputs":[`+strings.Join(inputs, ",")+`]}`)
			var got struct{ Outputs []struct{ Data []any } }
			if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%d %s (%v) for %s", res.StatusCode, body, err, inputs)
			}
			if !nearValue(got.Outputs[0].Data, any(flatten(prediction))) {
				t.Errorf("got %.300s\nwant %.300s", body, said["prediction"])
			}
		})
	}
}

func TestInferenceBeforeTheModelIsLoaded(t *testing.T) {
	s, err := server.New(t.Context(), server.Options{Config: settings(t, iris)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for path, code := range map[string]int{
		"/v2/health/live": 200, "/v2": 200, "/v2/health/ready": 503, "/v2/models/iris/ready": 503, "/v2/models/iris": 503,
	} {
		if got := get(s.Handler(), path); got != code {
			t.Errorf("%s: %d, want %d", path, got, code)
		}
	}
}

func get(h http.Handler, path string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code
}

package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sample returns a number of /metrics, by its name and its labels without model and release, as Prometheus writes them.
func (i *instance) sample(t *testing.T, name, labels string) float64 {
	t.Helper()
	_, body := i.do(t, "GET", "/metrics", "")
	for line := range strings.Lines(body) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if got, rest, _ := strings.Cut(series, "{"); got != name || !strings.Contains(rest, `release="v1.0.0-1a2b3c4d"`) {
			continue
		}
		rest := regexp.MustCompile(`(model|release)="[^"]*",?|[{}]`).ReplaceAllString(strings.TrimPrefix(series, name), "")
		if strings.TrimSuffix(rest, ",") == labels {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no %s{%s}", name, labels)
	return 0
}

func TestMetrics(t *testing.T) {
	i := startReady(t, fixtures+"logistic-text.pkl", "--score-every=1")
	i.do(t, "POST", "/predict", `{"x":[[-9,9,-9,-9,-9],[9,-9,9,9,9]]}`)
	i.do(t, "POST", "/predict", `{"x":[1]}`)
	i.do(t, "POST", "/predict", `{"x":`)
	i.do(t, "GET", "/predict", "")
	for _, want := range []struct {
		name, labels string
		value        float64
	}{
		{"weir_requests_total", `code="200"`, 1},
		{"weir_requests_total", `code="400"`, 2},
		{"weir_requests_total", `code="405"`, 1},
		{"weir_requests_total", `code="500"`, 0},
		{"weir_errors_total", `kind="unusable"`, 1},
		{"weir_errors_total", `kind="malformed"`, 1},
		{"weir_errors_total", `kind="method"`, 1},
		{"weir_errors_total", `kind="overloaded"`, 0},
		{"weir_predictions_total", `class="iris",output="0"`, 1},
		{"weir_predictions_total", `class="tülip",output="0"`, 1},
		{"weir_predictions_total", `class="rose",output="0"`, 0},
		{"weir_request_rows_count", "", 1},
		{"weir_request_rows_sum", "", 2},
		{"weir_request_rows_bucket", `le="1"`, 0},
		{"weir_request_rows_bucket", `le="2"`, 1},
		{"weir_request_classes_total", `class="iris"`, 1},
		{"weir_request_classes_total", `class="tülip"`, 0},
		{"weir_request_scores_count", `score="probability"`, 1},
		{"weir_request_scores_bucket", `score="probability",le="0.3"`, 0},
		{"weir_request_duration_seconds_count", "", 3},
		{"weir_requests_in_flight", "", 0},
		{"weir_model_loaded", "", 1},
	} {
		if got := i.sample(t, want.name, want.labels); got != want.value {
			t.Errorf("%s{%s} is %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	_, body := i.do(t, "GET", "/metrics", "")
	for _, want := range []string{`class="LogisticRegression"`, `color="blue"`, `digest="sha256:`, `version="v1.0.0"`} {
		if !regexp.MustCompile(`(?m)^weir_model_info\{.*` + want + `.*\} 1$`).MatchString(body) {
			t.Errorf("no %s in weir_model_info", want)
		}
	}
}

// TestSketchesScores has a model of each kind of score.
func TestSketchesScores(t *testing.T) {
	for _, tt := range []struct{ bundle, name, score string }{
		{"sklearn-1.9.1/trees.zip", "tree-pairs-text", ""},
		{"sklearn-0.24.2/trees.zip", "isolation", "decision"},
		{"sklearn-1.5.2/svms.zip", "svc-probability-four", "probability"},
		{"sklearn-1.9.1/boosting.zip", "gb-huber", "prediction"},
		{"sklearn-1.9.1/text.zip", "bernoulli", "probability"},
	} {
		path, said := fromBundle(t, tt.bundle, tt.name)
		i := startReady(t, path, "--score-every=1")
		if res, body := i.do(t, "POST", "/predict", fmt.Sprintf(`{"x":%s}`, said["x"])); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", tt.name, res.StatusCode, body)
		}
		if tt.score != "" {
			if n := i.sample(t, "weir_request_scores_count", `score="`+tt.score+`"`); n != 1 {
				t.Errorf("%s: %v scores, want 1", tt.name, n)
			}
		} else if _, body := i.do(t, "GET", "/metrics", ""); strings.Contains(body, "weir_request_scores") {
			t.Errorf("%s has scores", tt.name)
		}
	}
}

// TestScoresSomeRequests asks without probabilities: the share that is scored anyway is picked by the request's id.
func TestScoresSomeRequests(t *testing.T) {
	for every, want := range map[int]func(n float64) bool{
		0: func(n float64) bool { return n == 0 },
		1: func(n float64) bool { return n == 200 },
		4: func(n float64) bool { return n > 20 && n < 90 },
	} {
		i := startReady(t, iris, fmt.Sprintf("--score-every=%d", every))
		for n := range 200 {
			i.do(t, "POST", "/predict", `{"x":[5.1,3.5,1.4,0.2]}`, "X-Request-Id", fmt.Sprintf("request-%d", n))
		}
		if got := i.sample(t, "weir_request_scores_count", `score="probability"`); !want(got) {
			t.Errorf("one of %d: %v of 200 are scored", every, got)
		}
	}
}

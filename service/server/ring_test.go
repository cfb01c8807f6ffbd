package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type line struct {
	Seq        int
	Time       time.Time
	RequestID  string `json:"request_id"`
	Error      string
	Row, Rows  int
	Prediction any
	Score      *float64
}

func (i *instance) ring(t *testing.T, query string) (lines []line) {
	t.Helper()
	res, body := i.do(t, "GET", "/weir/ring"+query, "")
	if res.StatusCode != http.StatusOK || res.Header.Get("X-Weir-Instance") == "" {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	for text := range strings.Lines(body) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestRingHasTheLastPredictions(t *testing.T) {
	i := startReady(t, fixtures+"logistic-text.pkl", "--score-every=0")
	before := time.Now()
	i.do(t, "POST", "/predict", `{"x":[[-9,9,-9,-9,-9],[9,-9,9,9,9]],"probabilities":true}`, "X-Request-Id", "first")
	i.do(t, "POST", "/predict", `{"x":[1]}`, "X-Request-Id", "second")
	i.do(t, "POST", "/predict", `{"x":[-9,9,-9,-9,-9]}`, "X-Request-Id", "third")
	lines := i.ring(t, "")
	if len(lines) != 4 {
		t.Fatalf("%d lines: %+v", len(lines), lines)
	}
	for n, l := range lines {
		if l.Seq != n+1 || l.Time.Before(before.Add(-time.Second)) || l.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("line %d: %+v", n, l)
		}
	}
	if l := lines[1]; l.RequestID != "first" || l.Row != 1 || l.Rows != 2 || l.Score == nil || *l.Score < .3 {
		t.Errorf("second row of the first request: %+v", l)
	}
	if l := lines[2]; l.RequestID != "second" || l.Error != "unusable" || l.Prediction != nil || l.Score != nil {
		t.Errorf("refused request: %+v", l)
	}
	if l := lines[3]; l.Prediction != lines[0].Prediction || l.Prediction == lines[1].Prediction || l.Score != nil {
		t.Errorf("third request: %+v", l)
	}
	if rest := i.ring(t, "?after=3"); len(rest) != 1 || rest[0].RequestID != "third" {
		t.Errorf("after 3: %+v", rest)
	}
	if some := i.ring(t, "?after=1&limit=2"); len(some) != 2 || some[0].Seq != 2 {
		t.Errorf("two after 1: %+v", some)
	}
	if res, _ := i.do(t, "GET", "/weir/ring?after=x", ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("after=x: %d", res.StatusCode)
	}
}

func TestRingIsBounded(t *testing.T) {
	i := startReady(t, fixtures+"linear-two-outputs.pkl", "--ring-size=20")
	row := `[1,2,3,4,5]`
	for n := range 3 {
		i.do(t, "POST", "/predict", `{"x":[`+strings.Repeat(row+",", 17)+row+`]}`, "X-Request-Id", fmt.Sprint(n))
	}
	lines := i.ring(t, "?after=3")
	if len(lines) != 20 || lines[0].Seq != 29 || lines[19].Row != 15 || lines[19].Rows != 18 {
		t.Fatalf("%d lines, from %+v", len(lines), lines[0])
	}
	if values, _ := lines[0].Prediction.([]any); len(values) != 2 {
		t.Errorf("two outputs: %v", lines[0].Prediction)
	}
}

func TestRingIsPrivate(t *testing.T) {
	h := loaded(t, iris)
	for from, want := range map[string]int{
		"127.0.0.1:999": 200, "[::1]:999": 200, "[::ffff:127.0.0.1]:9": 200, "10.0.0.1:999": 403, "": 403,
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/weir/ring", nil)
		r.RemoteAddr = from
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %q: %d, want %d", from, w.Code, want)
		}
	}
}

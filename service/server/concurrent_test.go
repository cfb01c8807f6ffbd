package server_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestAnswersStayApart asks from several goroutines at once, each its own rows in requests of different sizes, and
// checks that nobody gets another one's answer: the memory of requests is pooled.
func TestAnswersStayApart(t *testing.T) {
	h := loaded(t, fixtures+"forest-regressor.pkl")
	b, err := os.ReadFile(fixtures + "forest-regressor.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ X, Prediction []json.RawMessage }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 100 {
				from := (g*7 + n) % len(f.X)
				to := min(from+1+g%3*5, len(f.X))
				body := fmt.Sprintf(`{"x":[%s]}`, join(f.X[from:to]))
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", "/predict", strings.NewReader(body)))
				var got struct{ Prediction json.RawMessage }
				err := json.Unmarshal(w.Body.Bytes(), &got)
				if err != nil || !near(t, got.Prediction, json.RawMessage("["+join(f.Prediction[from:to])+"]")) {
					t.Errorf("rows %d to %d: %s (%v)", from, to, w.Body, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func join(values []json.RawMessage) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = string(v)
	}
	return strings.Join(parts, ",")
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/server"
)

// ask sends a request through a fault to a server with a model.
func ask(h http.Handler, method, path string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(`{"x":[5.1,3.5,1.4,0.2]}`)))
	return w.Code
}

func faulty(t *testing.T, args ...string) (*fault, http.Handler) {
	t.Helper()
	f := &fault{log: slog.New(slog.DiscardHandler)}
	args = append([]string{
		"--model-version=v1", "--model-path=../testdata/iris-v1.0.0.pkl", "--listen-addr=127.0.0.1:0",
	}, args...)
	none := func(string) string { return "" }
	cfg, err := config.Parse("faulty", args, none, io.Discard, f.settings()...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: cfg, Wrap: f.wrap, Computing: f.computing})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Load(); err != nil {
		t.Fatal(err)
	}
	return f, s.Handler()
}

func TestFaultsShowAfterSomePredictions(t *testing.T) {
	tests := []struct {
		kind                     string
		health, predict, metrics int
	}{
		{"none", 200, 200, 200}, {"unhealthy", 503, 200, 200}, {"errors", 200, 500, 200}, {"slow", 200, 200, 200},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			f, h := faulty(t, "--fault-kind="+tt.kind, "--fault-after=3", "--fault-delay=30ms")
			for range 3 {
				if code := ask(h, "GET", "/health"); code != 200 {
					t.Fatalf("health before the fault: %d", code)
				}
				if code := ask(h, "POST", "/predict"); code != 200 {
					t.Fatalf("predict before the fault: %d", code)
				}
			}
			start := time.Now()
			for _, want := range []struct {
				method, path string
				code         int
			}{{"GET", "/health", tt.health}, {"POST", "/predict", tt.predict}, {"GET", "/metrics", tt.metrics}} {
				if code := ask(h, want.method, want.path); code != want.code {
					t.Errorf("%s: %d, want %d", want.path, code, want.code)
				}
			}
			if took := time.Since(start); tt.kind == "slow" && took < f.now.delay {
				t.Errorf("a slow answer took %s", took)
			}
		})
	}
}

func TestRefusesUnknownFaults(t *testing.T) {
	for _, arg := range []string{"--fault-kind=odd", "--fault-after=-1", "--fault-delay=2h", "--fault-share=1.5"} {
		var f fault
		_, err := config.Parse("faulty", []string{arg}, func(string) string { return "" }, io.Discard, f.settings()...)
		if !errors.Is(err, config.ErrUsage) {
			t.Errorf("%s: %v", arg, err)
		}
	}
	_, err := config.Parse("faulty", []string{"-h"}, func(string) string { return "" }, io.Discard)
	if !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
}

// A running server is told to show other faults, in a part of its answers.
func TestControl(t *testing.T) {
	f, h := faulty(t)
	count := func(code int) (n int) {
		for range 400 {
			if ask(h, "POST", "/predict") == code {
				n++
			}
		}
		return n
	}
	if code := ask(h, "POST", "/fault?kind=errors&share=0.2"); code != http.StatusNoContent {
		t.Fatalf("control: %d", code)
	}
	if n := count(500); n < 20 || n > 160 { // each less likely than one in 10^12
		t.Errorf("%d of 400 predictions failed, want about 80", n)
	}
	for _, query := range []string{"?kind=odd", "?kind=slow&delay=2h", "?share=x"} {
		if code := ask(h, "POST", "/fault"+query); code != http.StatusBadRequest || f.shown().kind != "errors" {
			t.Errorf("%s: %d", query, code)
		}
	}
	if code := ask(h, "GET", "/fault"); code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
	if ask(h, "POST", "/fault?kind=none") != http.StatusNoContent || count(200) != 400 {
		t.Error("it still fails")
	}
}

// A wrong answer is that to another request.
func TestWrongAnswersAnotherRequest(t *testing.T) {
	answer := func(h http.Handler) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/predict", strings.NewReader(`{"x":[6.5,3.0,5.8,2.2]}`)))
		return w.Body.String()
	}
	_, h := faulty(t)
	if got := answer(h); !strings.Contains(got, `"prediction":[2]`) {
		t.Fatalf("before the fault: %s", got)
	}
	if code := ask(h, "POST", "/fault?kind=wrong"); code != http.StatusNoContent {
		t.Fatalf("control: %d", code)
	}
	if got := answer(h); !strings.Contains(got, `"prediction":[0]`) {
		t.Errorf("with the fault: %s", got)
	}
}

// A prediction that is reset gets no answer, and the server's own metrics know nothing of it.
func TestResetsAreNotCounted(t *testing.T) {
	_, h := faulty(t, "--fault-kind=reset", "--fault-share=0.5")
	srv := httptest.NewServer(h)
	defer srv.Close()
	failed := 0
	for range 60 {
		res, err := srv.Client().Post(srv.URL+"/predict", "application/json", strings.NewReader(`{"x":[5.1,3.5,1.4,0.2]}`))
		if err != nil {
			failed++
			continue
		}
		res.Body.Close()
	}
	res, err := srv.Client().Get(srv.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if failed < 5 || failed > 55 { // less likely than one in 10^10
		t.Errorf("%d of 60 predictions without an answer, want about 30", failed)
	}
	for code, n := range map[int]int{200: 60 - failed, 500: 0} {
		want := fmt.Sprintf("weir_requests_total{code=\"%d\",model=\"model\",release=\"v1\"} %d\n", code, n)
		if !strings.Contains(string(page), want) {
			t.Errorf("the metrics don't tell %s", want)
		}
	}
}

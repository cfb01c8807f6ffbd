package main

import (
	"errors"
	"flag"
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
			if took := time.Since(start); tt.kind == "slow" && took < f.delay {
				t.Errorf("a slow answer took %s", took)
			}
		})
	}
}

func TestRefusesUnknownFaults(t *testing.T) {
	for _, arg := range []string{"--fault-kind=odd", "--fault-after=-1", "--fault-delay=2h"} {
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

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
)

// ask sends a request through a fault to a server that always answers 200.
func ask(h http.Handler, method, path string) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("{}")))
	return w.Code
}

func faulty(t *testing.T, args ...string) (*fault, http.Handler) {
	t.Helper()
	f := &fault{log: slog.New(slog.DiscardHandler)}
	args = append([]string{"--model-version=v1"}, args...)
	none := func(string) string { return "" }
	if _, err := config.Parse("faulty", args, none, io.Discard, f.settings()...); err != nil {
		t.Fatal(err)
	}
	return f, f.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
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
			for path, want := range map[string]int{"/health": tt.health, "/predict": tt.predict, "/metrics": tt.metrics} {
				if code := ask(h, "GET", path); code != want {
					t.Errorf("%s: %d, want %d", path, code, want)
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

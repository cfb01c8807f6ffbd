package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHealthcheckIsTheExitCodeOfHealth(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			t.Errorf("asks %s, want /health", r.URL.Path)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	check := func(addr string) (int, string) {
		cmd := program(t, "LISTEN_ADDR="+addr)
		cmd.Args = append(cmd.Args, healthcheckArg)
		return exit(t, cmd)
	}
	for _, addr := range []string{"127.0.0.1:" + port, ":" + port, "0.0.0.0:" + port} {
		if code, said := check(addr); code != 0 {
			t.Errorf("healthy server at %s: exit code %d: %s", addr, code, said)
		}
	}
	status.Store(http.StatusServiceUnavailable)
	if code, said := check(":" + port); code != 1 || !strings.Contains(said, "503") {
		t.Errorf("sick server: exit code %d, %q; want 1 and the status", code, said)
	}
	server.Close()
	if code, _ := check(":" + port); code != 1 {
		t.Errorf("no server: exit code %d, want 1", code)
	}
}

package server_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestPprofHasItsOwnPort(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	i := startReady(t, iris, "--pprof-addr="+addr)
	if res, _ := i.do(t, "GET", "/debug/pprof/", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("the public port answers pprof with %d", res.StatusCode)
	}
	res, err := i.client.Get("http://" + addr + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), "goroutine profile") {
		t.Errorf("%d %.100s", res.StatusCode, body)
	}
}

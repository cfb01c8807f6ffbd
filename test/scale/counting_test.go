package scale

import (
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// counting is a server that passes calls on to another, and counts them and the connections that they come on.
type counting struct {
	addr string

	mu    sync.Mutex
	calls map[string]int
	conns int // open now
	most  int // open at the same time
}

func startCounting(t *testing.T, target string) *counting {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{addr: listener.Addr().String(), calls: map[string]int{}}
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, Transport: transport,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: target}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := &http.Server{
		ConnState: c.state,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.count(r)
			proxy.ServeHTTP(w, r)
		}),
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-served; transport.CloseIdleConnections() })
	return c
}

func (c *counting) state(_ net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateNew:
		c.conns++
		c.most = max(c.most, c.conns)
	case http.StateClosed, http.StateHijacked:
		c.conns--
	case http.StateActive, http.StateIdle:
	}
}

// count sorts a call by what it reads or writes: "GET kv/weir/rollouts", with "…" where it waits for a change.
func (c *counting) count(r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	kind := r.Method + " " + strings.Join(parts[:min(len(parts), 3)], "/")
	switch parts[0] {
	case "job": // /v1/job/<id>/<what>
		kind = r.Method + " job " + strings.Join(parts[2:], "/")
	case "health", "session", "deployment":
		kind = r.Method + " " + strings.Join(parts[:2], "/")
	}
	if r.URL.Query().Get("index") != "" {
		kind += " …"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[kind]++
}

// tally is the number of calls by kind so far.
func (c *counting) tally() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

// since is how many calls there were after an earlier tally, by kind and in all.
func (c *counting) since(before map[string]int) (kinds map[string]int, all int) {
	kinds = c.tally()
	for kind, n := range kinds {
		if kinds[kind] = n - before[kind]; kinds[kind] == 0 {
			delete(kinds, kind)
		}
		all += n - before[kind]
	}
	return kinds, all
}

func (c *counting) mostConns() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

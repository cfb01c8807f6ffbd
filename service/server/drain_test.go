package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/service/server"
)

// gate holds predictions back until it is opened.
type gate struct {
	entered chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 16), open: make(chan struct{})} }

// slowBody makes reading a body wait for the gate, inside of the server's handler.
type slowBody struct {
	io.ReadCloser
	g *gate
}

func (b slowBody) Read(p []byte) (int, error) {
	b.g.entered <- struct{}{}
	<-b.g.open
	return b.ReadCloser.Read(p)
}

func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Slow") != "" {
			r.Body = slowBody{r.Body, g}
		}
		next.ServeHTTP(w, r)
	})
}

// TestDrainAnswersWhatIsRunning ends the context while a request is running, and checks that it and later ones are
// answered, that they ask for their connections to be closed, and that the listener closes only then.
func TestDrainAnswersWhatIsRunning(t *testing.T) {
	g := newGate()
	i := start(t, server.Options{Config: settings(t, iris), Wrap: g.wrap})
	i.awaitHealth(t, http.StatusOK)
	slow := make(chan *http.Response, 1)
	go func() {
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+i.Addr()+"/predict",
			strings.NewReader(`{"x":[5.1,3.5,1.4,0.2]}`))
		if err == nil {
			r.Header.Set("X-Slow", "1")
			if res, err := i.client.Do(r); err == nil {
				_ = res.Body.Close()
				slow <- res
			}
		}
		close(slow)
	}()
	<-g.entered
	i.stop()
	i.awaitHealth(t, http.StatusServiceUnavailable)
	res, body := i.do(t, "GET", "/health", "")
	if body != `{"status":"draining","version":"v1.0.0"}` || !res.Close {
		t.Errorf("health while draining: %s, close %v", body, res.Close)
	}
	if res, body = i.do(t, "POST", "/predict", `{"x":[5.1,3.5,1.4,0.2]}`); res.StatusCode != 200 || !res.Close {
		t.Errorf("predict while draining: %d %s, close %v", res.StatusCode, body, res.Close)
	}
	select {
	case err := <-i.done:
		t.Fatalf("Run returned while a request was running: %v", err)
	default:
	}
	close(g.open)
	if res := <-slow; res == nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("the running request: %+v", res)
	}
	if err := <-i.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", i.Addr()); err == nil {
		_ = c.Close()
		t.Error("still listening after Run returned")
	}
}

func TestDrainEndsAtItsTimeout(t *testing.T) {
	g := newGate()
	i := start(t, server.Options{Config: settings(t, iris, "--drain-timeout=100ms"), Wrap: g.wrap})
	i.awaitHealth(t, http.StatusOK)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+i.Addr()+"/predict",
			strings.NewReader("{"))
		if err != nil {
			return
		}
		r.Header.Set("X-Slow", "1")
		if res, err := i.client.Do(r); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-g.entered
	i.stop()
	if err := <-i.done; err == nil || !strings.Contains(err.Error(), "1 requests were still running") {
		t.Errorf("Run: %v", err)
	}
	close(g.open)
	<-finished
}

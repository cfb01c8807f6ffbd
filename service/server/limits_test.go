package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/service/server"
)

const oneRow = `{"x":[5.1,3.5,1.4,0.2]}`

// held has a server of one place, and a request that holds it until the gate opens.
func held(t *testing.T, more ...string) (i *instance, release func()) {
	t.Helper()
	entered, open := make(chan struct{}), make(chan struct{})
	i = start(t, server.Options{
		Config: settings(t, iris, append([]string{"--max-concurrency=1"}, more...)...),
		Computing: func(id string) {
			if id == "holder" {
				close(entered)
				<-open
			}
		},
	})
	i.awaitHealth(t, http.StatusOK)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+i.Addr()+"/predict",
			strings.NewReader(oneRow))
		if err == nil {
			r.Header.Set("X-Request-Id", "holder")
			if res, err := i.client.Do(r); err == nil {
				_ = res.Body.Close()
			}
		}
	}()
	<-entered
	release = func() {
		close(open)
		<-finished
	}
	return i, release
}

func TestRefusesWhenFull(t *testing.T) {
	i, release := held(t)
	res, body := i.do(t, "POST", "/predict", oneRow)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" ||
		!strings.Contains(body, "1 requests are being computed") {
		t.Errorf("%d %s, Retry-After %q", res.StatusCode, body, res.Header.Get("Retry-After"))
	}
	if res, body := i.do(t, "GET", "/health", ""); res.StatusCode != http.StatusOK {
		t.Errorf("health while full: %d %s", res.StatusCode, body)
	}
	release()
	if res, body := i.do(t, "POST", "/predict", oneRow); res.StatusCode != http.StatusOK {
		t.Errorf("when there is room again: %d %s", res.StatusCode, body)
	}
	if n := i.sample(t, "weir_errors_total", `kind="overloaded"`); n != 1 {
		t.Errorf("%v refusals are counted, want 1", n)
	}
}

func TestQueueHasAnEnd(t *testing.T) {
	i, release := held(t, "--max-queue=1", "--queue-timeout=1h")
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			res, _ := i.do(t, "POST", "/predict", oneRow)
			answers <- res.StatusCode
		}()
	}
	if code := <-answers; code != http.StatusServiceUnavailable { // one waits, the other one can't
		t.Errorf("the first answer is %d, want 503", code)
	}
	release()
	if code := <-answers; code != http.StatusOK {
		t.Errorf("the one that waited: %d, want 200", code)
	}
}

func TestQueueHasADeadline(t *testing.T) {
	i, release := held(t, "--max-queue=1", "--queue-timeout=1ms")
	defer release()
	res, body := i.do(t, "POST", "/predict", oneRow)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "has waited for 1ms") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// TestBoundsTheMemoryOfBodies has a client that sends the start of a large body and then nothing.
func TestBoundsTheMemoryOfBodies(t *testing.T) {
	g := newGate()
	i := start(t, server.Options{Config: settings(t, iris, "--max-buffered-bytes=200000"), Wrap: g.wrap})
	i.awaitHealth(t, http.StatusOK)
	large := oneRow + strings.Repeat(" ", 150_000)
	slow := make(chan int, 1)
	go func() {
		res, _ := i.do(t, "POST", "/predict", large, "X-Slow", "1")
		slow <- res.StatusCode
	}()
	<-g.entered
	res, body := i.do(t, "POST", "/predict", large)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "fill 200000 bytes") {
		t.Errorf("second large body: %d %s", res.StatusCode, body)
	}
	if res, body := i.do(t, "POST", "/predict", oneRow); res.StatusCode != http.StatusOK {
		t.Errorf("small body: %d %s", res.StatusCode, body)
	}
	close(g.open)
	if code := <-slow; code != http.StatusOK {
		t.Errorf("first large body: %d", code)
	}
	if res, body := i.do(t, "POST", "/predict", large); res.StatusCode != http.StatusOK {
		t.Errorf("when there is room again: %d %s", res.StatusCode, body)
	}
}

// TestSlowClientsAreCutOff sends half a body and waits for the answer, while others are answered.
func TestSlowClientsAreCutOff(t *testing.T) {
	i := startReady(t, iris, "--read-timeout=200ms", "--max-concurrency=1")
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", i.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 23\r\n\r\n{\"x\":[5.1,")
	if err != nil {
		t.Fatal(err)
	}
	if res, body := i.do(t, "POST", "/predict", oneRow); res.StatusCode != http.StatusOK {
		t.Errorf("another client: %d %s", res.StatusCode, body)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestTimeout || !res.Close {
		t.Errorf("%d %s, close %v", res.StatusCode, body, res.Close)
	}
}

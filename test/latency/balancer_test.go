//go:build linux

package latency

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// balancer sends each request to the next passing instance of a service. It learns of changes as soon as Consul does and
// needs no reload: no ingress that one could put before Nomad alone is quicker.
type balancer struct {
	server *httptest.Server
	stop   func()

	mu   sync.Mutex
	pool []backend
	next int
}

type backend struct{ addr, release string }

func newBalancer(t *testing.T, c *api.Client, service string) *balancer {
	t.Helper()
	b := &balancer{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.follow(ctx, c, service)
	}()
	b.stop = func() { cancel(); <-done }
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * clients}
	b.server = httptest.NewServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: b.pick()}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	})
	return b
}

func (b *balancer) url() string { return b.server.URL }

func (b *balancer) close() {
	b.stop()
	b.server.Close()
}

// follow keeps the pool as Consul says.
func (b *balancer) follow(ctx context.Context, c *api.Client, service string) {
	var index uint64
	for ctx.Err() == nil {
		q := (&api.QueryOptions{WaitIndex: index, WaitTime: time.Minute}).WithContext(ctx)
		entries, meta, err := c.Health().Service(service, "", true, q)
		if err != nil {
			index = 0
			continue
		}
		index = meta.LastIndex
		pool := make([]backend, 0, len(entries))
		for _, e := range entries {
			host := e.Service.Address
			if host == "" {
				host = e.Node.Address
			}
			pool = append(pool, backend{net.JoinHostPort(host, strconv.Itoa(e.Service.Port)), e.Service.Meta["release"]})
		}
		b.mu.Lock()
		b.pool = pool
		b.mu.Unlock()
	}
}

// pick returns the next instance; none where there is none, which the transport refuses.
func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pool) == 0 {
		return ""
	}
	b.next++
	return b.pool[b.next%len(b.pool)].addr
}

// addrs are the passing instances of a release; of all for "".
func (b *balancer) addrs(release string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, in := range b.pool {
		if release == "" || in.release == release {
			out = append(out, in.addr)
		}
	}
	return out
}

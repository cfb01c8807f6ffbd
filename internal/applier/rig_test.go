package applier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

const (
	blue  = "v1.0.0-aaaaaaaa"
	green = "v1.1.0-bbbbbbbb"
)

// rig is an ingress with the real Consul, consul-template and nginx, and backends that this test runs itself.
type rig struct {
	t      *testing.T
	cfg    Config
	consul *api.Client
	log    *bytes.Buffer
	logMu  sync.Mutex
	stop   context.CancelFunc
	ended  chan error
	epoch  uint64
}

// newRig prepares an ingress against the Consul at addr. The test starts it.
func newRig(t *testing.T, addr string) *rig {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, consul: client, log: &bytes.Buffer{}}
	r.cfg = Config{
		Node: "edge-1", StateDir: t.TempDir(), ConsulAddr: addr, Workers: 2,
		Listen:         net.JoinHostPort("127.0.0.1", strconv.Itoa(partstest.Port(t))),
		Nginx:          partstest.Path(t, parts.Nginx),
		ConsulTemplate: partstest.Path(t, parts.ConsulTemplate),
		// Shorter than in production, so that tests of what happens after it take less.
		StaleAfter: 3 * time.Second, BeatEvery: 500 * time.Millisecond, ShutdownTimeout: 5 * time.Second,
		Logger: slog.New(slog.NewTextHandler(&lockedWriter{mu: &r.logMu, w: r}, nil)),
	}
	t.Cleanup(func() {
		r.halt()
		if t.Failed() {
			r.dump()
		}
	})
	return r
}

func (r *rig) Write(p []byte) (int, error) { return r.log.Write(p) }

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (r *rig) logText() string {
	r.logMu.Lock()
	defer r.logMu.Unlock()
	return r.log.String()
}

func (r *rig) dump() {
	r.t.Logf("log of the ingress:\n%s", r.logText())
	for _, name := range []string{"nginx/logs/error.log", "consul-template/consul-template.log"} {
		if text, err := os.ReadFile(filepath.Join(r.cfg.StateDir, name)); err == nil {
			r.t.Logf("%s:\n%s", name, text[max(0, len(text)-3000):])
		}
	}
}

// start runs the ingress and waits until nginx answers.
func (r *rig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- Run(ctx, r.cfg) }()
	r.await("nginx answers", 10*time.Second, func() bool { return r.status() != nil })
}

// halt stops the ingress as an operator does.
func (r *rig) halt() {
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	if err := <-r.ended; err != nil {
		r.t.Errorf("the ingress ended with: %v", err)
	}
}

// await polls until ok, or fails the test with what was waited for.
func (r *rig) await(what string, timeout time.Duration, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("after %s still not: %s", timeout, what)
		case <-tick.C:
		}
	}
}

type statusDoc struct {
	Epoch      map[string]string `json:"epoch"`
	Generation string            `json:"generation"`
	Stale      bool              `json:"stale"`
}

// status asks nginx; nil if it does not answer.
func (r *rig) status() *statusDoc {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.cfg.Listen+"/weir/status", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var doc statusDoc
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&doc) != nil {
		return nil
	}
	return &doc
}

// published reads weir/ingress/<node>; nil if there is none.
func (r *rig) published() *traffic.Ingress {
	r.t.Helper()
	pair, _, err := r.consul.KV().Get(traffic.IngressKey(r.cfg.Node), nil)
	if err != nil || pair == nil {
		return nil
	}
	var doc traffic.Ingress
	if err := json.Unmarshal(pair.Value, &doc); err != nil {
		r.t.Fatalf("published document %q: %v", pair.Value, err)
	}
	return &doc
}

func (r *rig) awaitEpoch(model, epoch string) {
	r.t.Helper()
	r.await(fmt.Sprintf("%s is served at epoch %s", model, epoch), 10*time.Second, func() bool {
		doc := r.published()
		return doc != nil && doc.Epoch[model] == epoch && !doc.Stale
	})
}

// put writes a KV document.
func (r *rig) put(key string, doc any) {
	r.t.Helper()
	text, ok := doc.(string)
	if !ok {
		b, err := json.Marshal(doc)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(b)
	}
	if _, err := r.consul.KV().Put(&api.KVPair{Key: key, Value: []byte(text)}, nil); err != nil {
		r.t.Fatal(err)
	}
}

// setStable and setCanary write the record with the next epoch and return what the ingress will show.
func (r *rig) setStable(model, release string) uint64 {
	r.epoch++
	r.put(traffic.StableKey(model), traffic.Stable{Release: release, Epoch: r.epoch})
	return r.epoch
}

func (r *rig) setCanary(model, release string, weight int) uint64 {
	r.epoch++
	r.put(traffic.CanaryKey(model), traffic.Canary{Release: release, Weight: weight, Epoch: r.epoch})
	return r.epoch
}

// backend is an instance of a model: it answers each request with its release.
type backend struct {
	rig     *rig
	model   string
	release string
	id      string
	addr    string
	server  *http.Server
	hits    atomic.Int64
	last    atomic.Int64 // UnixNano of the last answer
	status  atomic.Int64 // what it answers with
	delay   atomic.Int64 // nanoseconds
	seen    func(*http.Request)
}

// serve starts a backend and registers it as passing.
func (r *rig) serve(model, release string, canary bool) *backend {
	r.t.Helper()
	b := &backend{rig: r, model: model, release: release}
	b.status.Store(http.StatusOK)
	listener, err := (&net.ListenConfig{}).Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	b.addr = listener.Addr().String()
	b.id = model + "-" + b.addr
	b.server = &http.Server{Handler: b}
	go func() {
		if err := b.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.t.Errorf("backend: %v", err)
		}
	}()
	r.t.Cleanup(b.kill)
	b.register(canary)
	return b
}

func (b *backend) register(canary bool) {
	b.rig.t.Helper()
	host, port, _ := net.SplitHostPort(b.addr)
	n, _ := strconv.Atoi(port)
	meta := map[string]string{traffic.MetaRelease: b.release, traffic.MetaModel: b.model}
	if canary {
		meta[traffic.MetaCanary] = "true"
	}
	err := b.rig.consul.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: b.id, Name: b.model, Address: host, Port: n, Tags: []string{traffic.ServiceTag}, Meta: meta,
		Check: &api.AgentServiceCheck{CheckID: b.id, TTL: "10m", Status: api.HealthPassing},
	})
	if err != nil {
		b.rig.t.Fatal(err)
	}
}

// health sets the state of the backend's check.
func (b *backend) health(state string) {
	b.rig.t.Helper()
	if err := b.rig.consul.Agent().UpdateTTL(b.id, "", state); err != nil {
		b.rig.t.Fatal(err)
	}
}

func (b *backend) deregister() {
	b.rig.t.Helper()
	if err := b.rig.consul.Agent().ServiceDeregister(b.id); err != nil {
		b.rig.t.Fatal(err)
	}
}

// kill ends the backend with its connections, as SIGKILL does.
func (b *backend) kill() { _ = b.server.Close() }

func (b *backend) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if b.seen != nil {
		b.seen(req)
	}
	body, _ := io.ReadAll(req.Body) // first: only then does the server notice that the client has gone
	if d := b.delay.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-req.Context().Done():
			return
		}
	}
	b.hits.Add(1)
	w.Header().Set(traffic.HeaderRelease, b.release)
	w.WriteHeader(int(b.status.Load()))
	fmt.Fprintf(w, "%s %s %s", req.Method, req.URL.RequestURI(), body)
	b.last.Store(time.Now().UnixNano())
}

// answer is one answer as a client saw it.
type answer struct {
	status  int
	release string
	body    string
	header  http.Header
}

func (r *rig) get(path string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.cfg.Listen+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	return answer{resp.StatusCode, resp.Header.Get(traffic.HeaderRelease), string(body), resp.Header}
}

// split sends n requests and counts the answers by release.
func (r *rig) split(path string, n int) map[string]int {
	r.t.Helper()
	out := map[string]int{}
	for range n {
		a := r.get(path)
		if a.status != http.StatusOK {
			r.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
		}
		out[a.release]++
	}
	return out
}

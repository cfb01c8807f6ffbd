package applier

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// setShadow records a canary that gets copies, and waits until they are served.
func (r *rig) setShadow(percent int) {
	r.t.Helper()
	r.epoch++
	r.put(traffic.CanaryKey("iris"), traffic.Canary{Release: green, Epoch: r.epoch, Shadow: percent})
	r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: r.epoch}))
}

// got is what an instance was sent.
type got struct{ id, shadow, request string }

// recorder keeps what one or more instances were sent, and how many of it at once.
type recorder struct {
	mu   sync.Mutex
	got  []got
	now  atomic.Int64
	most atomic.Int64
}

func (c *recorder) see(req *http.Request) {
	n := c.now.Add(1)
	context.AfterFunc(req.Context(), func() { c.now.Add(-1) })
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	body, _ := io.ReadAll(req.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, got{
		req.Header.Get("X-Request-Id"), req.Header.Get(traffic.HeaderShadow), fmt.Sprint(req.Method, req.URL, len(body)),
	})
}

func (c *recorder) all() []got {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]got(nil), c.got...)
}

// shadowRig is an ingress with one instance of each side, of which the canary gets copies.
func shadowRig(t *testing.T, consul string) (r *rig, stable, canary *recorder, b *backend) {
	t.Helper()
	r = newRig(t, consul)
	stable, canary = &recorder{}, &recorder{}
	r.serve("iris", blue, false).seen = stable.see
	b = r.serve("iris", green, true)
	b.seen = canary.see
	r.setStable("iris", blue)
	r.start()
	r.awaitEpoch("iris", "1/-")
	r.setShadow(100)
	return r, stable, canary, b
}

// post sends a body and wants stable's answer, whatever happens to the copy.
func (r *rig) post(path, body string) {
	r.t.Helper()
	resp, err := http.Post("http://"+r.cfg.Listen+path, "application/json", strings.NewReader(body)) //nolint:noctx // a test
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		r.t.Fatal(err)
	}
	if release := resp.Header.Get(traffic.HeaderRelease); resp.StatusCode != http.StatusOK || release != blue {
		r.t.Fatalf("%d from %q, want 200 from %s", resp.StatusCode, release, blue)
	}
}

// The canary gets the same requests as stable, with the same ids, once each, and no client sees its answers.
func TestShadowCopiesRequests(t *testing.T) {
	r, stable, canary, _ := shadowRig(t, partstest.Consul(t).Addr)
	for _, size := range []int{0, 10, 300 << 10, 7 << 20} { // in memory, and in a file
		r.post(fmt.Sprintf("/models/iris/predict?size=%d", size), strings.Repeat("x", size))
	}
	if a := r.get("/health", traffic.HeaderShadow, "1"); a.release != blue {
		t.Errorf("answer of %q, want %s", a.release, blue)
	}
	r.await("5 copies", 5*time.Second, func() bool { return len(canary.all()) == 5 })
	copies := map[string]got{}
	for _, c := range canary.all() {
		copies[c.id] = c
	}
	for _, s := range stable.all() {
		c, copied := copies[s.id]
		if !copied || c.request != s.request || c.shadow != "1" || s.shadow != "" || len(s.id) != 32 {
			t.Errorf("stable got %+v, the canary %+v", s, c)
		}
	}

	if a := r.get("/forced", traffic.HeaderForce, green); a.release != green {
		t.Errorf("forced: answer of %q, want %s", a.release, green)
	}
	r.get("/forced", traffic.HeaderForce, blue)
	r.get("/last")
	r.await("the last copy", 5*time.Second, func() bool { return len(canary.all()) >= 7 })
	if n := len(canary.all()); n != 7 {
		t.Errorf("the canary got %d requests, want 7: a forced one and no copy of it", n)
	}
	for _, path := range []string{"/weir/shadow", "/weir/mirror"} {
		if a := r.get(path); a.status != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, a.status)
		}
	}
}

// Only part of the requests is copied where the key says so.
func TestShadowPercent(t *testing.T) {
	r, stable, canary, _ := shadowRig(t, partstest.Consul(t).Addr)
	r.setShadow(20)
	before := len(stable.all())
	copied := len(canary.all())
	r.split("/", 300)
	r.await("copies", 5*time.Second, func() bool { return len(canary.all())-copied >= 25 })
	if n := len(canary.all()) - copied; n > 100 || len(stable.all())-before != 300 {
		t.Errorf("%d copies of 300 requests at 20 %%", n)
	}
}

// A canary that hangs, answers with errors or is dead fails no request, and no request waits for the copy of the one
// before on its connection: else there could never be two copies at once of one client's requests.
func TestShadowCostsNothing(t *testing.T) {
	r, _, canary, b := shadowRig(t, partstest.Consul(t).Addr)
	client := func(what string, n int) {
		took := make(times, n)
		for i := range took {
			began := time.Now()
			r.post("/predict", strings.Repeat("x", (i%2)*400<<10))
			took[i] = time.Since(began)
		}
		t.Logf("%s: %s", what, took)
	}
	client("well", 100)
	b.delay.Store(int64(time.Minute))
	client("hanging", 200)
	if most := canary.most.Load(); most < 3 {
		t.Errorf("at most %d copies at once, want several: requests wait for copies", most)
	} else if most > 128 { // 64, and as many which nginx has given up already
		t.Errorf("%d copies at once, want a bound", most)
	}
	l := r.load(8, "/predict")
	sent := l.sent.Load()
	r.await("a load goes on", 10*time.Second, func() bool { return l.sent.Load() > sent+500 })
	b.delay.Store(0)
	b.status.Store(http.StatusInternalServerError)
	client("failing", 20)
	b.kill()
	client("dead", 100)
	r.noneLost(l)
}

// Copies end when no canary passes, and when the ingress has lost Consul.
func TestShadowEnds(t *testing.T) {
	consul := partstest.Consul(t)
	r, _, canary, b := shadowRig(t, consul.Addr)
	copied := func(want int) {
		t.Helper()
		r.post("/", "x")
		r.await(fmt.Sprintf("%d copies", want), 5*time.Second, func() bool { return len(canary.all()) == want })
	}
	toldOf := func(state string) {
		t.Helper()
		generation := r.status().Generation
		b.health(state)
		r.await("nginx is told", 5*time.Second, func() bool { return r.status().Generation != generation })
	}
	copied(1)
	toldOf(api.HealthCritical)
	r.post("/", "x")
	toldOf(api.HealthPassing)
	copied(2)
	if err := consul.Stop(); err != nil {
		t.Fatal(err)
	}
	r.await("the ingress says that it is stale", 10*time.Second, func() bool { return r.status().Stale })
	before := len(canary.all())
	r.split("/", 20)
	if n := len(canary.all()); n != before {
		t.Errorf("%d copies without Consul", n-before)
	}
}

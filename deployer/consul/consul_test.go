package consul

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func client(t *testing.T) *Client {
	t.Helper()
	c, err := New(partstest.Consul(t).Addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func lease(t *testing.T, c *Client, model string) *Lease {
	t.Helper()
	l, err := c.Acquire(t.Context(), model, "test/"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release(context.Background()) })
	return l
}

func record(t *testing.T, c *Client, model, id string) Stored {
	t.Helper()
	s := Stored{Record: rollout.Record{ID: id, Model: model, Phase: rollout.Pending, Release: "v2-bbbbbbbb"}}
	if err := c.Save(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func keys(t *testing.T, c *Client, model string) Keys {
	t.Helper()
	k, err := c.Traffic(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// One Consul serves all tests of the package; each has a model of its own.
func TestConsul(t *testing.T) {
	c := client(t)
	for name, test := range map[string]func(*testing.T, *Client, string){
		"records":        testRecords,
		"prune":          testPrune,
		"exclusive":      testExclusive,
		"canary key":     testCanaryKey,
		"stable":         testSetStable,
		"lost lease":     testLostLease,
		"killed session": testKilledSession,
		"ingresses":      testIngresses,
		"instances":      testInstances,
		"await":          testAwaitFree,
		"follow":         testFollowRecord,
		"watch":          testWatch,
		"models":         testWatchRollouts,
	} {
		t.Run(name, func(t *testing.T) { test(t, c, "m"+time.Now().Format("150405")+"-"+name[:3]) })
	}
}

func testRecords(t *testing.T, c *Client, model string) {
	if _, active, err := c.Active(t.Context(), model); active || err != nil {
		t.Fatalf("active %v, %v without a record", active, err)
	}
	first := record(t, c, model, "20260101T000000.000Z-b")
	again := Stored{Record: first.Record}
	if err := c.Save(t.Context(), &again); !errors.Is(err, ErrConflict) {
		t.Errorf("creating it twice: %v, want a conflict", err)
	}
	other := first
	first.Phase = rollout.Done
	if err := c.Save(t.Context(), &first); err != nil {
		t.Fatal(err)
	}
	if err := c.Save(t.Context(), &other); !errors.Is(err, ErrConflict) {
		t.Errorf("storing an old state: %v, want a conflict", err)
	}
	got, err := c.Load(t.Context(), model, first.ID)
	if err != nil || got.Phase != rollout.Done || got.Index != first.Index {
		t.Errorf("loaded %s at %d, %v, want Done at %d", got.Phase, got.Index, err, first.Index)
	}
	second := record(t, c, model, "20260102T000000.000Z-a")
	newest, active, err := c.Active(t.Context(), model)
	if err != nil || !active || newest.ID != second.ID {
		t.Errorf("active %v %s, %v", active, newest.ID, err)
	}
	all, err := c.History(t.Context(), model)
	if err != nil || len(all) != 2 || all[0].ID != second.ID || all[1].ID != first.ID {
		t.Errorf("history %v, %v, want the newest first", all, err)
	}
	if _, err := c.Load(t.Context(), model, "nope"); err == nil {
		t.Error("a record that isn't there is loaded")
	}
}

func testPrune(t *testing.T, c *Client, model string) {
	for i, phase := range []rollout.Phase{rollout.Baking, rollout.Done, rollout.RolledBack, rollout.Done, rollout.Done} {
		s := record(t, c, model, "2026010"+string(rune('1'+i))+"T000000.000Z-b")
		s.Phase = phase
		if err := c.Save(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Prune(t.Context(), model, 2); err != nil {
		t.Fatal(err)
	}
	left, err := c.History(t.Context(), model)
	if err != nil || len(left) != 3 || left[1].ID[:8] != "20260104" || left[2].Phase != rollout.Baking {
		t.Errorf("left %+v, %v, want the newest two and the one that is not over", left, err)
	}
}

func testExclusive(t *testing.T, c *Client, model string) {
	l := lease(t, c, model)
	if _, err := c.Acquire(t.Context(), model, "other"); !errors.Is(err, ErrHeld) {
		t.Fatalf("a second lease: %v", err)
	}
	if who := c.Holder(t.Context(), model); who != "test/"+t.Name() {
		t.Errorf("holder %q", who)
	}
	if !l.Valid() {
		t.Error("the lease is not valid")
	}
	l.Release(t.Context())
	if l.Valid() {
		t.Error("the lease is valid after its release")
	}
	select {
	case <-l.Lost():
	default:
		t.Error("a released lease is not lost")
	}
	next := lease(t, c, model) // at once: a release in good order has no lock-delay
	if next.Session() == l.Session() {
		t.Error("both leases have one session")
	}
}

func testCanaryKey(t *testing.T, c *Client, model string) {
	l := lease(t, c, model)
	want := traffic.Canary{Release: "v2-bbbbbbbb", Weight: 10, Epoch: 2}
	for range 2 { // again is the same
		if err := l.SetCanary(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	k := keys(t, c, model)
	if k.Canary == nil || *k.Canary != want || k.CanaryOwner != l.Session() {
		t.Fatalf("canary %v of %s, want %v of %s", k.Canary, k.CanaryOwner, want, l.Session())
	}
	l.Release(t.Context())
	if k := keys(t, c, model); k.Canary != nil {
		t.Errorf("canary %v after the release", k.Canary)
	}
	next := lease(t, c, model)
	if err := next.SetCanary(t.Context(), want); err != nil { // at once: no lock-delay
		t.Errorf("the next guardian: %v", err)
	}
	garbage := &api.KVPair{Key: traffic.CanaryKey(model), Value: []byte("{]")}
	if _, err := c.api.KV().Put(garbage, nil); err != nil {
		t.Fatal(err)
	}
	if k := keys(t, c, model); k.Canary == nil || *k.Canary != (traffic.Canary{}) {
		t.Errorf("canary %v where the key has garbage, want nobody's", k.Canary)
	}
	l.Release(t.Context()) // again: it must leave what is the next one's
	if k := keys(t, c, model); k.Canary == nil || k.CanaryOwner != next.Session() {
		t.Errorf("canary %v of %s after the old guardian's release, want it to stay", k.Canary, k.CanaryOwner)
	}
}

func testSetStable(t *testing.T, c *Client, model string) {
	l := lease(t, c, model)
	if err := l.SetStable(t.Context(), traffic.Stable{Release: "v1-aaaaaaaa", Epoch: 1}, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.SetCanary(t.Context(), traffic.Canary{Release: "v2-bbbbbbbb", Weight: 100, Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	old := keys(t, c, model)
	next := traffic.Stable{Release: "v2-bbbbbbbb", Previous: "v1-aaaaaaaa", Epoch: 3}
	for _, index := range []uint64{0, old.StableIndex - 1} {
		if err := l.SetStable(t.Context(), next, index); !errors.Is(err, ErrConflict) {
			t.Errorf("stable at index %d: %v, want a conflict", index, err)
		}
	}
	if k := keys(t, c, model); k.Canary == nil || k.Stable.Release != "v1-aaaaaaaa" {
		t.Fatalf("after a conflict stable is %v and the canary %v", k.Stable, k.Canary)
	}
	if err := l.SetStable(t.Context(), next, old.StableIndex); err != nil {
		t.Fatal(err)
	}
	if k := keys(t, c, model); k.Canary != nil || *k.Stable != next {
		t.Errorf("stable %v, canary %v, want %v alone", k.Stable, k.Canary, next)
	}
	// Its key went without its session: the next weight needs no lock-delay.
	if err := l.SetCanary(t.Context(), traffic.Canary{Release: "v3-cccccccc", Weight: 1, Epoch: 4}); err != nil {
		t.Errorf("a new canary key: %v", err)
	}
}

func testLostLease(t *testing.T, c *Client, model string) {
	l := lease(t, c, model)
	// Somebody else has it now, though this one's session lives.
	_, _, err := c.api.KV().Release(&api.KVPair{Key: traffic.LeaseKey(model), Session: l.Session()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lease(t, &Client{api: c.api, sessions: sessions{held: map[string]*session{}}}, model)
	if err := l.SetCanary(t.Context(), traffic.Canary{Release: "v2-bbbbbbbb", Weight: 9, Epoch: 2}); err == nil {
		t.Error("the canary key is written without the lease")
	}
	if err := l.SetStable(t.Context(), traffic.Stable{Release: "v2-bbbbbbbb", Epoch: 2}, 0); err == nil {
		t.Error("the stable key is written without the lease")
	}
	if k := keys(t, c, model); k.Stable != nil || k.Canary != nil {
		t.Errorf("stable %v, canary %v", k.Stable, k.Canary)
	}
}

// A destroyed session is what a killed guardian's becomes: the canary key goes, acts fail, the guardian notices, and a
// successor waits out the lock-delay.
func testKilledSession(t *testing.T, c *Client, model string) {
	l := lease(t, c, model)
	if err := l.SetCanary(t.Context(), traffic.Canary{Release: "v2-bbbbbbbb", Weight: 50, Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.api.Session().Destroy(l.Session(), nil); err != nil {
		t.Fatal(err)
	}
	if k := keys(t, c, model); k.Canary != nil {
		t.Errorf("canary %v without its session", k.Canary)
	}
	if err := l.SetCanary(t.Context(), traffic.Canary{Release: "v2-bbbbbbbb", Weight: 50, Epoch: 3}); err == nil {
		t.Error("the canary key is written without the session")
	}
	select {
	case <-l.Lost():
		if took := time.Since(began); took > TTL/2 {
			t.Errorf("noticed after %s", took)
		}
	case <-time.After(TTL):
		t.Error("the loss is not noticed")
	}
	for {
		next, err := c.Acquire(t.Context(), model, "successor")
		if err == nil {
			next.Release(t.Context())
			break
		}
		if !errors.Is(err, ErrHeld) || time.Since(began) > 3*LockDelay {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if took := time.Since(began); took < LockDelay-time.Second {
		t.Errorf("the successor had the lease after %s, want the lock-delay of %s", took, LockDelay)
	}
}

func testIngresses(t *testing.T, c *Client, model string) {
	session, _, err := c.api.Session().CreateNoChecks(&api.SessionEntry{TTL: "10s", Behavior: "delete"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.api.Session().Destroy(session, nil) })
	live := `{"epoch":{"` + model + `":"3/4"},"rendered_at":"2026-01-01T00:00:00Z"}`
	for node, value := range map[string]string{"live": live, "garbage": "{"} {
		pair := &api.KVPair{Key: traffic.IngressKey(node), Value: []byte(value), Session: session}
		if ok, _, err := c.api.KV().Acquire(pair, nil); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	if _, err := c.api.KV().Put(&api.KVPair{Key: traffic.IngressKey("dead"), Value: []byte(live)}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := c.Ingresses(t.Context())
	if err != nil || len(got) != 1 || got["live"].Epoch[model] != "3/4" {
		t.Errorf("ingresses %v, %v, want the live one", got, err)
	}
}

func testInstances(t *testing.T, c *Client, model string) {
	const alloc = "11111111-2222-3333-4444-555555555555"
	for id, status := range map[string]string{"_nomad-task-" + alloc + "-group-g-m-http": "critical", "by hand": "passing"} {
		err := c.api.Agent().ServiceRegister(&api.AgentServiceRegistration{
			ID: id, Name: model, Port: 1234, Address: "127.0.0.1", Tags: []string{traffic.ServiceTag},
			Meta:  map[string]string{traffic.MetaRelease: "v2-bbbbbbbb", traffic.MetaCanary: "true"},
			Check: &api.AgentServiceCheck{Name: "health", TTL: "1h", Status: status},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Instances(t.Context(), model)
	if err != nil || len(got) != 2 {
		t.Fatalf("instances %v, %v", got, err)
	}
	for _, in := range got {
		if in.Release != "v2-bbbbbbbb" || !in.Canary || in.Addr != "127.0.0.1:1234" {
			t.Errorf("instance %+v", in)
		}
		if in.Alloc == alloc && in.Status != "critical" || in.Alloc == "" && in.Status != "passing" {
			t.Errorf("instance %+v", in)
		}
	}
}

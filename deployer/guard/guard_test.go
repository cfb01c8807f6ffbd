package guard

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// rig is a Consul with a guard in front of it. Its rollouts are of a release that is stable already: a guardian that
// drives one stores it as Done at once, and needs no Nomad.
type rig struct {
	*Guard
	t   *testing.T
	raw *api.Client
}

const release = "v1-aaaaaaaa"

func newRig(t *testing.T) *rig {
	t.Helper()
	server := partstest.Consul(t)
	c, err := consul.New(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := nomad.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := api.NewClient(&api.Config{Address: server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Guard: &Guard{Nomad: n, Consul: c, Log: slog.New(slog.DiscardHandler)}, t: t, raw: raw}
}

func (r *rig) record(model, id string) rollout.Record {
	r.t.Helper()
	value, err := json.Marshal(traffic.Stable{Release: release, Epoch: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.raw.KV().Put(&api.KVPair{Key: traffic.StableKey(model), Value: value}, nil); err != nil {
		r.t.Fatal(err)
	}
	return rollout.Record{ID: id, Model: model, Release: release, Phase: rollout.Pending, Since: time.Now()}
}

func (r *rig) store(rec rollout.Record) consul.Stored {
	r.t.Helper()
	s := consul.Stored{Record: rec}
	if err := r.Consul.Save(r.t.Context(), &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) lease(model string) *consul.Lease {
	r.t.Helper()
	l, err := r.Consul.Acquire(r.t.Context(), model, "another")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Release(context.Background()) })
	return l
}

type end struct {
	rec rollout.Record
	err error
}

func aside(f func() (rollout.Record, error)) <-chan end {
	c := make(chan end, 1)
	go func() {
		rec, err := f()
		c <- end{rec, err}
	}()
	return c
}

func (r *rig) wantDone(c <-chan end) {
	r.t.Helper()
	select {
	case e := <-c:
		if e.err != nil || e.rec.Phase != rollout.Done {
			r.t.Errorf("ended in %s, %v", e.rec.Phase, e.err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("it does not end")
	}
}

// on returns a copy of the rig that reports to another test.
func (r *rig) on(t *testing.T) *rig { return &rig{Guard: r.Guard, t: t, raw: r.raw} }

func TestGuard(t *testing.T) {
	r := newRig(t)
	for name, test := range map[string]func(*rig, context.Context){
		"begin": (*rig).begin, "busy": (*rig).busy, "leaving": (*rig).leaving, "takeover": (*rig).takeover, "follow": (*rig).followOther,
		"killed": (*rig).killed, "leave": (*rig).leave, "ask": (*rig).ask,
	} {
		t.Run(name, func(t *testing.T) { test(r.on(t), t.Context()) })
	}
}

func (r *rig) begin(ctx context.Context) {
	rec := r.record("begin", "r1")
	r.wantDone(aside(func() (rollout.Record, error) { return r.Begin(ctx, rec) }))
	if who := r.Consul.Holder(ctx, "begin"); who != "" {
		r.t.Errorf("%s still holds the lease", who)
	}
	if s, active, err := r.Consul.Active(ctx, "begin"); err != nil || active || s.Phase != rollout.Done {
		r.t.Errorf("stored %s, %v", s.Phase, err)
	}
}

// leaving: the guardian of an ended rollout still tidies up when the next one begins.
func (r *rig) leaving(ctx context.Context) {
	rec := r.record("leaving", "r2")
	ended := r.record("leaving", "r1")
	ended.Phase = rollout.RolledBack
	r.store(ended)
	held := r.lease("leaving")
	next := aside(func() (rollout.Record, error) { return r.Begin(ctx, rec) })
	select {
	case e := <-next:
		r.t.Fatalf("did not wait for the lease: %s, %v", e.rec.Phase, e.err)
	case <-time.After(100 * time.Millisecond):
	}
	held.Release(ctx)
	r.wantDone(next)
}

func (r *rig) busy(ctx context.Context) {
	rec := r.record("busy", "r1")
	r.store(rec)
	rec.ID = "r2"
	if _, err := r.Begin(ctx, rec); !errors.Is(err, ErrUnderWay) {
		r.t.Errorf("beside an unguarded rollout: %v", err)
	}
	l := r.lease("busy")
	if _, err := r.Begin(ctx, rec); !errors.Is(err, consul.ErrHeld) {
		r.t.Errorf("beside a guarded rollout: %v", err)
	}
	l.Release(ctx)
}

func (r *rig) takeover(ctx context.Context) {
	s := r.store(r.record("takeover", "r1"))
	r.wantDone(aside(func() (rollout.Record, error) { return r.Finish(ctx, s.Model, s.ID) }))
	// Once more: there is nothing left to do.
	r.wantDone(aside(func() (rollout.Record, error) { return r.Finish(ctx, s.Model, s.ID) }))
}

func (r *rig) followOther(ctx context.Context) {
	s := r.store(r.record("follow", "r1"))
	l := r.lease("follow")
	g := *r.Guard
	seen := make(chan rollout.Phase, 10)
	g.Changed = func(rec rollout.Record, mine bool) {
		if mine {
			r.t.Errorf("drives in phase %s what another guards", rec.Phase)
		}
		seen <- rec.Phase
	}
	ended := aside(func() (rollout.Record, error) { return g.Finish(ctx, s.Model, s.ID) })
	for _, p := range []rollout.Phase{rollout.Pending, rollout.Placing, rollout.Done} {
		if p != rollout.Pending {
			s.Phase = p
			if err := r.Consul.Save(ctx, &s); err != nil {
				r.t.Fatal(err)
			}
		}
		select {
		case got := <-seen:
			if got != p {
				r.t.Errorf("saw %s, want %s", got, p)
			}
		case <-time.After(5 * time.Second):
			r.t.Fatalf("does not see %s", p)
		}
	}
	r.wantDone(ended)
	l.Release(ctx)
}

// killed: the guardian's session ends without a release. Who follows takes over after the lock-delay.
func (r *rig) killed(ctx context.Context) {
	s := r.store(r.record("killed", "r1"))
	l := r.lease("killed")
	ended := aside(func() (rollout.Record, error) { return r.Finish(ctx, s.Model, s.ID) })
	if _, err := r.raw.Session().Destroy(l.Session(), nil); err != nil {
		r.t.Fatal(err)
	}
	began := time.Now()
	r.wantDone(ended)
	if took := time.Since(began); took > consul.LockDelay+3*time.Second {
		r.t.Errorf("the takeover took %s", took)
	}
}

func (r *rig) leave(ctx context.Context) {
	s := r.store(r.record("leave", "r1"))
	l := r.lease("leave")
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(ctx)
	ended := aside(func() (rollout.Record, error) { return r.Finish(ctx, s.Model, s.ID) })
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	select {
	case e := <-ended:
		if !errors.Is(e.err, why) {
			r.t.Errorf("ended with %v", e.err)
		}
	case <-time.After(5 * time.Second):
		r.t.Fatal("it does not leave")
	}
	l.Release(context.WithoutCancel(ctx))
}

func (r *rig) ask(ctx context.Context) {
	q := rollout.Request{Verb: rollout.VerbRevert, By: "ann"}
	if _, err := r.Ask(ctx, "ask", q); !errors.Is(err, ErrNone) {
		r.t.Errorf("without a rollout: %v", err)
	}
	s := r.store(r.record("ask", "r1"))
	var wg sync.WaitGroup
	for range 5 { // none is lost
		wg.Go(func() {
			if _, err := r.Ask(ctx, "ask", q); err != nil {
				r.t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := r.Consul.Load(ctx, s.Model, s.ID)
	if err != nil || len(got.Requests) != 5 {
		r.t.Errorf("%d requests, %v, want 5", len(got.Requests), err)
	}
}

func TestAllTakesOverWhatNobodyGuards(t *testing.T) {
	r := newRig(t)
	before := r.store(r.record("before", "r1"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.All(ctx) }()
	after := r.store(r.record("after", "r1"))
	for _, s := range []consul.Stored{before, after} {
		limit := time.Now().Add(10 * time.Second)
		for {
			got, err := r.Consul.Load(t.Context(), s.Model, s.ID)
			if err == nil && got.Phase == rollout.Done {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s is in phase %s, %v", s.Model, got.Phase, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

package consul

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

const soon = 5 * time.Second

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(soon):
		t.Fatalf("no %s within %s", what, soon)
		panic("unreachable")
	}
}

// aside runs f until the test ends.
func aside(t *testing.T, f func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func testAwaitFree(t *testing.T, c *Client, model string) {
	if err := c.AwaitFree(t.Context(), model); err != nil {
		t.Fatal(err)
	}
	l := lease(t, c, model)
	free := make(chan error, 1)
	aside(t, func(ctx context.Context) { free <- c.AwaitFree(ctx, model) })
	select {
	case err := <-free:
		t.Fatalf("free while it is held (%v)", err)
	case <-time.After(100 * time.Millisecond):
	}
	l.Release(t.Context())
	if err := await(t, "free lease", free); err != nil {
		t.Error(err)
	}
	lease(t, c, model)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.AwaitFree(ctx, model); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v at the context's end", err)
	}
}

func testFollowRecord(t *testing.T, c *Client, model string) {
	s := record(t, c, model, "r1")
	seen, began := make(chan Stored), s
	aside(t, func(ctx context.Context) { c.FollowRecord(ctx, began, seen) })
	for _, p := range []rollout.Phase{rollout.Placing, rollout.Done} {
		s.Phase = p
		if err := c.Save(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		if got := await(t, "change", seen); got.Phase != p || got.Index != s.Index {
			t.Errorf("saw %s at %d, want %s at %d", got.Phase, got.Index, p, s.Index)
		}
	}
}

func testWatch(t *testing.T, c *Client, model string) {
	l := lease(t, c, model)
	s := record(t, c, model, "r1")
	var count atomic.Int64
	wakes := make(chan struct{}, 1)
	aside(t, func(ctx context.Context) {
		c.Watch(ctx, model, func() {
			count.Add(1)
			select {
			case wakes <- struct{}{}:
			default:
			}
		})
	})
	quiet := func() int64 { // until nothing has come for a while
		for before := int64(-1); before != count.Load(); time.Sleep(300 * time.Millisecond) {
			before = count.Load()
		}
		select {
		case <-wakes:
		default:
		}
		return count.Load()
	}
	quiet()
	if err := l.SetCanary(t.Context(), traffic.Canary{Release: "v2-bbbbbbbb", Weight: 1, Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	await(t, "wake after the canary key", wakes)
	quiet()
	s.Phase = rollout.Placing
	if err := c.Save(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	await(t, "wake after the record", wakes)
	before := quiet()
	time.Sleep(time.Second)
	if n := count.Load() - before; n > 2 {
		t.Errorf("%d wakes in a second without a change", n)
	}
}

func testWatchRollouts(t *testing.T, c *Client, model string) {
	seen := make(chan Rollouts, 100)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- c.WatchRollouts(ctx, func(r Rollouts) { seen <- r }) }()
	until := func(what string, ok func(Rollouts) bool) {
		t.Helper()
		for !ok(await(t, what, seen)) {
		}
	}
	until("first sight", func(Rollouts) bool { return true })
	record(t, c, model, "r1")
	until("record", func(r Rollouts) bool { return r.Newest[model] == "r1" && !r.Held[model] })
	l := lease(t, c, model)
	until("lease", func(r Rollouts) bool { return r.Held[model] })
	record(t, c, model, "r2")
	until("newer record", func(r Rollouts) bool { return r.Newest[model] == "r2" })
	l.Release(t.Context())
	until("free lease", func(r Rollouts) bool { return !r.Held[model] })
	cancel()
	if err := await(t, "end", ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

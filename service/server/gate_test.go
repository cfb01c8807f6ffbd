package server

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirhq/weir/service/config"
)

// TestGateLetsEveryoneInAtLast has far more requests than places, all of which may wait: none is refused, none waits for
// ever, and there are never more inside than places.
func TestGateLetsEveryoneInAtLast(t *testing.T) {
	const requests = 40
	for _, places := range []int{1, 3} {
		g := newGate(config.Config{MaxConcurrency: places, MaxQueue: requests, QueueTimeout: time.Hour})
		var inside atomic.Int64
		var wg sync.WaitGroup
		for range requests {
			wg.Go(func() {
				for range 200 {
					if f := g.enter(context.Background()); f != nil {
						t.Errorf("refused: %s", f.reason)
						return
					}
					if n := inside.Add(1); n > int64(places) {
						t.Errorf("%d are inside, want at most %d", n, places)
					}
					runtime.Gosched()
					inside.Add(-1)
					g.leave()
				}
			})
		}
		wg.Wait()
		if g.running.Load() != 0 || g.waiting.Load() != 0 {
			t.Errorf("at the end, %d run and %d wait", g.running.Load(), g.waiting.Load())
		}
	}
}

func TestGateForgetsClientsThatAreGone(t *testing.T) {
	g := newGate(config.Config{MaxConcurrency: 1, MaxQueue: 1, QueueTimeout: time.Hour})
	if f := g.enter(t.Context()); f != nil {
		t.Fatal(f.reason)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := g.enter(ctx); f == nil || f.kind != overloaded {
		t.Errorf("got %+v, want a refusal", f)
	}
	g.leave()
	if f := g.enter(t.Context()); f != nil {
		t.Errorf("refused when there is room: %s", f.reason)
	}
}

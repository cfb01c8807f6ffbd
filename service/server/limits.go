package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/weirhq/weir/service/config"
)

// gate bounds the requests that are computed at the same time. Where it is full, a bounded number may wait for a
// bounded time, none by default; the others are refused at once.
type gate struct {
	places   int64
	running  atomic.Int64
	queue    int64
	waiting  atomic.Int64
	freed    chan struct{} // one token for each place that became free while requests waited, up to queue
	patience time.Duration
}

func newGate(c config.Config) *gate {
	return &gate{
		places: int64(c.MaxConcurrency), queue: int64(c.MaxQueue), freed: make(chan struct{}, c.MaxQueue),
		patience: c.QueueTimeout,
	}
}

// enter takes a place; leave gives it back.
func (g *gate) enter(ctx context.Context) *failure {
	if g.try() {
		return nil
	}
	return g.wait(ctx)
}

func (g *gate) try() bool {
	for {
		n := g.running.Load()
		if n >= g.places {
			return false
		}
		if g.running.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	g.running.Add(-1)
	if g.waiting.Load() == 0 {
		return
	}
	select {
	case g.freed <- struct{}{}:
	default: // there is a token for every request that waits
	}
}

func (g *gate) wait(ctx context.Context) *failure {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return &failure{overloaded, fmt.Sprintf("%d requests are being computed and %d wait: try again later", g.places,
			g.queue)}
	}
	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	for !g.try() {
		select {
		case <-g.freed:
		case <-timer.C:
			return &failure{overloaded, fmt.Sprintf("the request has waited for %s: try again later", g.patience)}
		case <-ctx.Done():
			return &failure{overloaded, "the client is gone"}
		}
	}
	return nil
}

// freeBody is the size up to which a body doesn't count against the memory for bodies: most are far smaller.
const freeBody = 64 << 10

// reserve counts the memory of a large body until the request is answered.
func (s *Server) reserve(w *work, n int) *failure {
	if n <= freeBody || n <= w.reserved {
		return nil
	}
	if s.bodies.Add(int64(n-w.reserved)) > int64(s.opts.MaxBuffered) {
		s.bodies.Add(int64(w.reserved - n))
		return &failure{overloaded, fmt.Sprintf("the bodies of running requests fill %d bytes: try again later",
			s.opts.MaxBuffered)}
	}
	w.reserved = n
	return nil
}

// unreadable is the failure of a body that ends with an error.
func (s *Server) unreadable(err error) *failure {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &failure{slowClient, fmt.Sprintf("the request has not come within %s: send it anew", s.opts.ReadTimeout)}
	}
	return &failure{malformed, "the body could not be read to its end: send it anew"}
}

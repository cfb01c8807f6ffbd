package guard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/controller"
)

// All guards the rollouts of all models until the context ends: each that has no guardian is taken over.
func (g *Guard) All(ctx context.Context) error {
	w := watchman{Guard: g, over: map[string]string{}, busy: map[string]bool{}}
	defer w.running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.running.Go(func() { w.again(ctx) })
	return g.Consul.WatchRollouts(ctx, func(now consul.Rollouts) { w.look(ctx, &now) })
}

// watchman knows which rollouts there are, and drives those that nobody else does.
type watchman struct {
	*Guard
	running sync.WaitGroup

	mu   sync.Mutex
	seen consul.Rollouts
	over map[string]string // model → newest rollout that is known to be over
	busy map[string]bool   // models that somebody here looks after
}

// anew is how often what was seen is gone through again: for what could not be read, or ended meanwhile.
const anew = time.Second

func (w *watchman) again(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, anew)
		w.look(ctx, nil)
	}
}

// look begins with every rollout that may be without a guardian. now is nil where nothing new was seen.
func (w *watchman) look(ctx context.Context, now *consul.Rollouts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now != nil {
		w.seen = *now
	}
	for model, id := range w.seen.Newest {
		if w.busy[model] || w.seen.Held[model] || w.over[model] == id || ctx.Err() != nil {
			continue
		}
		w.busy[model] = true
		w.running.Go(func() { w.drive(ctx, model, id) })
	}
}

// drive drives a rollout until it is over or somebody else does.
func (w *watchman) drive(ctx context.Context, model, id string) {
	over := false
	for ctx.Err() == nil && !over {
		s, lease, err := w.take(ctx, model, id)
		if lease != nil {
			s.Record, err = w.Guard.drive(ctx, lease, s, true)
		}
		over = err == nil && s.Phase.Terminal()
		if errors.Is(err, consul.ErrHeld) && w.Consul.Holder(ctx, model) != "" {
			break // it comes back with a change of the leases
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, controller.ErrLost) {
			wait := lockDelayPause // nobody holds the lease: its lock-delay runs
			if !errors.Is(err, consul.ErrHeld) {
				w.Log.Warn("guard", "model", model, "rollout", id, "err", err)
				wait = time.Second
			}
			pause(ctx, wait)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, model)
	if over {
		w.over[model] = id
	}
}

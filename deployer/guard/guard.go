// Package guard decides who drives a rollout. A rollout has one guardian: the process that holds the lease of its
// model. Whoever wants to see a rollout to its end takes the lease if it is free, and watches the record if not.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/controller"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/deployer/world"
)

// Guard takes rollouts to their end.
type Guard struct {
	Nomad  *nomad.Client
	Consul *consul.Client
	Log    *slog.Logger
	// Changed is told of every change of a record, its own or seen; nil for nobody.
	Changed func(rec rollout.Record, mine bool)
}

// Who names this process to others: "host/pid".
func Who() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// ErrUnderWay says that the model has a rollout that is not over.
var ErrUnderWay = errors.New("a rollout of the model is under way")

// Begin takes the lease, stores a new record and drives it to its end. ErrUnderWay where another rollout is not over.
func (g *Guard) Begin(ctx context.Context, rec rollout.Record) (rollout.Record, error) {
	lease, err := g.acquire(ctx, rec.Model)
	if err != nil {
		return rec, err
	}
	stored, err := g.create(ctx, rec)
	if err != nil {
		lease.Release(ctx)
		return rec, err
	}
	end, err := g.drive(ctx, lease, stored, false)
	if errors.Is(err, controller.ErrLost) {
		return g.Finish(ctx, rec.Model, stored.ID)
	}
	return end, err
}

// leaving is the longest that the guardian of an ended rollout keeps its lease: it tidies up, or died doing so.
const leaving = 2*consul.TTL + consul.LockDelay

// acquire takes the lease for a new rollout. Where a guardian still holds it, its rollout decides: one under way keeps
// it, from an ended one it is awaited.
func (g *Guard) acquire(ctx context.Context, model string) (*consul.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, leaving)
	defer cancel()
	for {
		lease, held := g.Consul.Acquire(ctx, model, Who())
		if !errors.Is(held, consul.ErrHeld) {
			return lease, held
		}
		old, active, err := g.Consul.Active(ctx, model)
		switch {
		case active:
			return nil, fmt.Errorf("%w: %s, phase %s; %w", ErrUnderWay, old.Release, old.Phase, held)
		case err != nil:
			return nil, errors.Join(held, err)
		}
		g.awaitFree(ctx, model)
		if ctx.Err() != nil {
			return nil, held
		}
	}
}

// awaitFree waits a while for the lease of a model.
func (g *Guard) awaitFree(ctx context.Context, model string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := g.Consul.AwaitFree(ctx, model); err == nil {
		pause(ctx, lockDelayPause)
	}
}

// lockDelayPause is the pause between two tries to take a lease that nobody holds: Consul tells no end of a lock-delay.
const lockDelayPause = 250 * time.Millisecond

// create stores a new record, if no rollout of the model is under way. The lease makes the two steps one.
func (g *Guard) create(ctx context.Context, rec rollout.Record) (consul.Stored, error) {
	stored := consul.Stored{Record: rec}
	old, active, err := g.Consul.Active(ctx, rec.Model)
	if err != nil {
		return stored, err
	}
	if active {
		return stored, fmt.Errorf("%w: %s, phase %s", ErrUnderWay, old.Release, old.Phase)
	}
	if err := g.elsewhere(ctx, old.Record, rec); err != nil {
		return stored, err
	}
	stored.ID = consul.IDAfter(rec.ID, old.ID)
	return stored, g.Consul.Save(ctx, &stored)
}

// drive drives a record under a lease, and gives the lease up at the end.
func (g *Guard) drive(ctx context.Context, l *consul.Lease, s consul.Stored, takeover bool) (rollout.Record, error) {
	defer l.Release(ctx)
	there, err := g.Nomad.In(nomad.PlaceOf(s.Spec))
	if err != nil {
		return s.Record, err
	}
	told := newNotifier(ctx, s.Record, g.Log)
	defer told.close()
	c := controller.Controller{
		World: world.New(there, g.Consul, l, s, takeover), Log: g.Log,
		Changed: func(rec rollout.Record) {
			g.tell(rec, true)
			told.changed(rec)
		},
	}
	end, err := c.Drive(ctx, s.Record, takeover)
	if err == nil {
		g.prune(ctx, end)
	}
	return end, err
}

// prune deletes the oldest ended rollouts of a model beyond those that are kept. Where that fails, the next one does it.
func (g *Guard) prune(ctx context.Context, rec rollout.Record) {
	keep := rec.Spec.Keep
	if keep == 0 {
		keep = rollout.DefaultKeep
	}
	if err := g.Consul.Prune(ctx, rec.Model, keep); err != nil {
		g.Log.Warn("prune the history", "model", rec.Model, "err", err)
	}
}

// Finish sees a rollout to its end: it drives it whenever nobody else does, and watches otherwise.
func (g *Guard) Finish(ctx context.Context, model, id string) (rollout.Record, error) {
	for {
		rec, err := g.turn(ctx, model, id)
		switch {
		case err == nil && rec.Phase.Terminal():
			return rec, nil
		case ctx.Err() != nil:
			return rec, context.Cause(ctx)
		case err != nil && !errors.Is(err, controller.ErrLost):
			g.Log.Warn("guard", "model", model, "rollout", id, "err", err)
			pause(ctx, time.Second)
		}
	}
}

// turn drives the record to its end if the lease is free, or watches it until its guardian is gone or done.
func (g *Guard) turn(ctx context.Context, model, id string) (rollout.Record, error) {
	s, lease, err := g.take(ctx, model, id)
	switch {
	case errors.Is(err, consul.ErrHeld):
		return g.follow(ctx, s)
	case lease == nil:
		return s.Record, err
	}
	return g.drive(ctx, lease, s, true)
}

// take loads a record and takes its lease, unless the record is terminal: then there is none. ErrHeld where somebody else
// has it.
func (g *Guard) take(ctx context.Context, model, id string) (consul.Stored, *consul.Lease, error) {
	s, err := g.Consul.Load(ctx, model, id)
	if err != nil || s.Phase.Terminal() {
		return s, nil, err
	}
	lease, err := g.Consul.Acquire(ctx, model, Who())
	if err != nil {
		return s, nil, err
	}
	// What the last guardian did before it died is in the record as it is now.
	fresh, err := g.Consul.Load(ctx, model, id)
	if err != nil || fresh.Phase.Terminal() {
		lease.Release(ctx)
		return fresh, nil, err
	}
	return fresh, lease, nil
}

// follow watches a record until it is terminal or nobody guards it. After a guardian's death Consul keeps the lease
// locked for the lock-delay: then it is tried again.
func (g *Guard) follow(ctx context.Context, s consul.Stored) (rollout.Record, error) {
	g.tell(s.Record, false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	defer func() { cancel(); watching.Wait() }()
	free := make(chan error, 1)
	began := s
	watching.Go(func() { free <- g.Consul.AwaitFree(ctx, began.Model) })
	changes := make(chan consul.Stored)
	watching.Go(func() { g.Consul.FollowRecord(ctx, began, changes) })
	for {
		select {
		case <-ctx.Done():
			return s.Record, context.Cause(ctx)
		case err := <-free:
			pause(ctx, lockDelayPause)
			return s.Record, err
		case s = <-changes:
			g.tell(s.Record, false)
			if s.Phase.Terminal() {
				return s.Record, nil
			}
		}
	}
}

func (g *Guard) tell(rec rollout.Record, mine bool) {
	if g.Changed != nil {
		g.Changed(rec, mine)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Ask leaves an operator's request in the record of the rollout under way.
func (g *Guard) Ask(ctx context.Context, model string, q rollout.Request) (rollout.Record, error) {
	return g.AskOf(ctx, model, "", q)
}

// AskOf is Ask of the rollout with the given id, unless that is empty. ErrOther where another one is under way.
func (g *Guard) AskOf(ctx context.Context, model, id string, q rollout.Request) (rollout.Record, error) {
	for {
		s, active, err := g.Consul.Active(ctx, model)
		switch {
		case err != nil:
			return s.Record, err
		case !active:
			return s.Record, fmt.Errorf("%w of %s", ErrNone, model)
		case id != "" && id != s.ID:
			return s.Record, fmt.Errorf("%w: %s, of %s", ErrOther, s.ID, s.Release)
		}
		s.Requests = append(s.Requests, q)
		err = g.Consul.SaveAsked(ctx, &s)
		if !errors.Is(err, consul.ErrConflict) {
			return s.Record, err
		}
	}
}

// ErrOther says that another rollout is under way than the one that was meant.
var ErrOther = errors.New("another rollout is under way")

// ErrNone says that no rollout is under way.
var ErrNone = errors.New("there is no rollout under way")

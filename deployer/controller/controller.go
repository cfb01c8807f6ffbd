// Package controller drives one rollout: look, decide (deployer/rollout), store, act; again after each event, and at
// least every second. It owns no policy and no protocol: those are in rollout and in the World that it is given.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// World is what a guardian sees and does. Look, Save and Act return at the latest with their context.
type World interface {
	// Look returns what it sees, none of it read before since. With a zero since it may return what it saw in its last
	// look, where nothing is known to have changed.
	Look(ctx context.Context, rec rollout.Record, since time.Time) (rollout.Observation, error)
	// Save stores the record; ErrConflict where somebody else did in between.
	Save(ctx context.Context, rec rollout.Record) error
	// Reload reads the record anew, after ErrConflict.
	Reload(ctx context.Context) (rollout.Record, error)
	// Act carries out one action. A *RefusedError is an answer, any other error a failure to try again.
	Act(ctx context.Context, rec rollout.Record, action rollout.Action) error
	// Watch calls wake after whatever may matter, until the context ends.
	Watch(ctx context.Context, wake func())
	// Lost is closed when the guardian must stop at once: it may no longer be the only one.
	Lost() <-chan struct{}
}

// Errors of a World.
var (
	ErrConflict = errors.New("the record was changed by somebody else")
	ErrLost     = errors.New("the lease is lost: another guardian may drive the rollout now")
)

// RefusedError is Nomad's no to a promote.
type RefusedError struct{ Said string }

func (e *RefusedError) Error() string { return "Nomad refused: " + e.Said }

// Controller drives a rollout to its end.
type Controller struct {
	World World
	Log   *slog.Logger
	// Changed is told of every stored record; nil for nobody.
	Changed func(rollout.Record)
	// Now is the clock; nil for time.Now.
	Now func() time.Time

	looked time.Time        // the time of the last look
	did    []rollout.Action // what was done after it
}

const (
	tick   = time.Second            // the longest time between two looks
	retry  = 200 * time.Millisecond // the pause after something that did not work
	unseen = 2 * tick               // without a look for longer than this, what happened meanwhile is not known
)

// Drive drives the record until it is terminal, and returns it so. takeover says that another process began it.
// It returns ErrLost as soon as the lease is lost, and the context's error when that ends: the record stays as it is
// stored, for the next guardian.
func (c *Controller) Drive(ctx context.Context, rec rollout.Record, takeover bool) (rollout.Record, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	woken := make(chan struct{}, 1)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		c.World.Watch(ctx, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
	}()
	defer func() { cancel(nil); <-watching }()
	go func() {
		select {
		case <-c.World.Lost():
			cancel(ErrLost)
		case <-ctx.Done():
		}
	}()
	for {
		next, again, err := c.aside(ctx, rec, takeover)
		if err == nil {
			rec, takeover = next, false
			if rec.Phase.Terminal() {
				return rec, nil
			}
		}
		if errors.Is(err, ErrLost) {
			return rec, err
		}
		if errors.Is(err, ErrConflict) { // an operator's request, most likely
			if rec, err = c.reload(ctx, rec); err == nil {
				continue
			}
		}
		if err := c.wait(ctx, rec, woken, again, err); err != nil {
			return rec, err
		}
	}
}

// decide looks and decides. Whatever there is to do is decided on by what was read after began.
func (c *Controller) decide(ctx context.Context, rec rollout.Record, takeover bool) (rollout.Record, []rollout.Action, error) {
	began, gap := time.Now(), time.Duration(0) // not c.Now: it is compared with the times of reading
	if passed := c.now().Sub(c.looked); !c.looked.IsZero() && passed > unseen {
		gap = passed
	}
	for since := (time.Time{}); ; since = began {
		obs, err := c.World.Look(ctx, rec, since)
		if err != nil {
			return rec, nil, err
		}
		obs.Takeover, obs.Unseen = takeover, gap
		c.looked = c.now()
		next, actions := rollout.Next(rec, obs, c.looked)
		if !since.IsZero() || !changed(rec, next) && len(actions) == 0 {
			return next, actions, nil
		}
	}
}

// aside is turn on a goroutine of its own: it needs a large stack, which a rollout that waits would keep.
func (c *Controller) aside(ctx context.Context, rec rollout.Record, takeover bool) (next rollout.Record, again bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		next, again, err = c.turn(ctx, rec, takeover)
	}()
	<-done
	return next, again, err
}

// turn is one look and what follows from it. again says that the next look should follow at once.
func (c *Controller) turn(ctx context.Context, rec rollout.Record, takeover bool) (rollout.Record, bool, error) {
	next, actions, err := c.decide(ctx, rec, takeover)
	if err != nil {
		return rec, false, err
	}
	if changed(rec, next) {
		if err := c.World.Save(ctx, next); err != nil {
			return rec, false, fmt.Errorf("store the record: %w", err)
		}
		c.tell(rec, next)
	}
	// What was done already and shows no effect yet is not done again before the next event or tick.
	fresh := len(actions) > 0 && !slices.Equal(actions, c.did)
	c.did = actions
	for _, a := range actions {
		if ctx.Err() != nil {
			return next, false, nil
		}
		next, err = c.act(ctx, next, a)
		if errors.Is(err, ErrLost) {
			return next, false, err
		}
		if err != nil {
			// The record is stored: only the act is to be tried again.
			c.Log.Warn("act", "model", rec.Model, "rollout", rec.ID, "phase", next.Phase, "err", err)
			return next, false, nil
		}
	}
	return next, next.Phase != rec.Phase || next.Epoch != rec.Epoch || next.Committed != rec.Committed || fresh, nil
}

// reload takes up what somebody else wrote; on error the record as it was.
func (c *Controller) reload(ctx context.Context, rec rollout.Record) (rollout.Record, error) {
	fresh, err := c.World.Reload(ctx)
	if err != nil {
		return rec, err
	}
	return fresh, nil
}

func (c *Controller) act(ctx context.Context, rec rollout.Record, a rollout.Action) (rollout.Record, error) {
	err := c.World.Act(ctx, rec, a)
	var refused *RefusedError
	if !errors.As(err, &refused) || rec.Phase != rollout.Promoting {
		return rec, err
	}
	rec.PromoteRefused = refused.Said
	if err := c.World.Save(ctx, rec); err != nil {
		return rec, fmt.Errorf("store Nomad's refusal: %w", err)
	}
	return rec, nil
}

// wait returns nil when it is time for the next look.
func (c *Controller) wait(ctx context.Context, rec rollout.Record, woken <-chan struct{}, again bool, failed error) error {
	limit := tick
	if at := rollout.Wake(rec); at.After(c.looked) {
		limit = min(limit, max(at.Sub(c.now()), 0))
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed != nil:
		c.Log.Warn("look", "model", rec.Model, "rollout", rec.ID, "phase", rec.Phase, "err", failed)
		limit, woken = retry, nil
	case again:
		return nil
	}
	timer := time.NewTimer(max(limit, time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-woken:
	case <-timer.C:
	}
	return nil
}

func (c *Controller) tell(old, rec rollout.Record) {
	if old.Phase != rec.Phase {
		c.Log.Info("phase", "model", rec.Model, "release", rec.Release, "rollout", rec.ID,
			"phase", rec.Phase, "weight", rec.Weight, "epoch", rec.Epoch, "reason", rec.Reason)
	}
	if c.Changed != nil {
		c.Changed(rec)
	}
}

func (c *Controller) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// changed compares what Next may change. Slices only grow or are emptied, so their lengths tell.
func changed(a, b rollout.Record) bool {
	if len(a.Events) != len(b.Events) || len(a.Verdicts) != len(b.Verdicts) || len(a.Requests) != len(b.Requests) ||
		len(a.HookRuns) != len(b.HookRuns) || (a.Evidence == nil) != (b.Evidence == nil) {
		return true
	}
	if len(a.Events) > 0 && a.Events[len(a.Events)-1] != b.Events[len(b.Events)-1] {
		return true
	}
	return a.Phase != b.Phase || a.Step != b.Step || a.Weight != b.Weight || a.Epoch != b.Epoch ||
		!a.Deadline.Equal(b.Deadline) || !a.LastTick.Equal(b.LastTick) || !a.Blind.Equal(b.Blind) ||
		!a.Collecting.Equal(b.Collecting) || !a.Opened.Equal(b.Opened) || a.Committed != b.Committed || a.Cleared != b.Cleared ||
		a.Paused != b.Paused || a.Forced != b.Forced || a.Reason != b.Reason || a.Stable != b.Stable
}

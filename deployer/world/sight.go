package world

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/controller"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// sight is what one look read. It holds until something happens, and for a while at most: events are hints, and
// correctness must not depend on one that was lost.
type sight struct {
	began     time.Time // of the reading; zero for none, or one that must not be used again
	until     time.Time
	keys      consul.Keys
	instances []consul.Instance
	served    map[string]consul.Served
	view      nomad.View
	nomadDown string // why Nomad could not be asked
}

// How long a sight holds: with few rollouts in the process hardly at all, with many so long that all together ask for
// no more than a few dozen looks a second.
const (
	leastHold = 500 * time.Millisecond
	holdPer   = 40 * time.Millisecond // for each rollout
	mostHold  = 30 * time.Second
)

// see reads everything anew, unless the last sight holds.
func (w *World) see(ctx context.Context, rec rollout.Record, since time.Time) error {
	if w.holds(ctx, since) {
		return nil
	}
	return w.read(ctx, rec)
}

// holds says whether the last sight still does: it is not older than since, or where any will do, nothing has happened,
// and Consul and Nomad would have told.
func (w *World) holds(ctx context.Context, since time.Time) bool {
	s := w.last
	switch {
	case s.began.IsZero():
		return false
	case !since.IsZero():
		return !s.began.Before(since)
	case w.stirred.Load() || time.Now().After(s.until):
		return false
	}
	return w.Consul.Answers(ctx) && w.Nomad.Answers(ctx)
}

// read reads everything anew.
func (w *World) read(ctx context.Context, rec rollout.Record) error {
	done, err := w.Consul.Turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, consul.TTL/2)
	defer cancel()
	w.stirred.Store(false)
	s := sight{began: time.Now()}
	w.last = sight{}
	// An operator's request is another writer's change of the record: it must be seen before the next decision.
	stored, err := w.Consul.Index(ctx, w.model, w.id)
	if err != nil {
		return err
	}
	if stored != w.recordIndex {
		return controller.ErrConflict
	}
	if s.keys, err = w.Consul.Traffic(ctx, w.model); err != nil {
		return err
	}
	if s.instances, err = w.Consul.Instances(ctx, w.model); err != nil {
		return err
	}
	if s.served, err = w.Consul.ServedOf(ctx, w.model); err != nil {
		return err
	}
	if s.view, err = w.lookAtNomad(ctx, rec); err != nil {
		s.nomadDown = err.Error()
	}
	s.until = s.began.Add(w.hold(s))
	w.last = s
	return nil
}

// hold is how long what was just read holds, spread so that the rollouts of a process don't look in step. While Nomad is
// out of reach, and while the age of an allocation matters, everything is read with each look.
func (w *World) hold(s sight) time.Duration {
	if s.nomadDown != "" || s.view.Stable.Open > 0 {
		return 0
	}
	d := min(max(time.Duration(w.Consul.Watched())*holdPer, leastHold), mostHold)
	return d*3/4 + rand.N(d/2) //nolint:gosec // no secret
}

func (w *World) lookAtNomad(ctx context.Context, rec rollout.Record) (nomad.View, error) {
	// Bounded well below the lease, so that a hanging Nomad can't keep the guardian from Consul.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	view, err := w.Nomad.Look(ctx, w.model, rec.Attempt, rec.Stable)
	view.Job = nil // it is large
	return view, err
}

// Package world composes the Nomad and the Consul adapter to what a guardian sees and does (controller.World).
package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/controller"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// World is the world of one guardian, who holds the lease of one model.
type World struct {
	Nomad  *nomad.Client
	Consul *consul.Client
	Lease  *consul.Lease

	errands     *errands
	judge       *judge.Judge // nil where health alone judges
	judging     chan *judge.Judge
	model, id   string
	recordIndex uint64 // of the record as last read or written

	last    sight       // what the last look read
	stirred atomic.Bool // something has happened since

	stableIndex  uint64               // of the stable key as last looked at
	modifyIndex  uint64               // of the job as last looked at
	jobVersion   uint64               // likewise
	ingresses    map[string]bool      // those seen alive
	missing      map[string]time.Time // since when a seen one is gone
	newlyStarted time.Time            // a guardian that took over can't know which were lost before
}

var _ controller.World = (*World)(nil)

// New returns the world of a record that was just read or created. takeover says that another process began it.
func New(n *nomad.Client, c *consul.Client, l *consul.Lease, rec consul.Stored, takeover bool) *World {
	w := &World{
		Nomad: n, Consul: c, Lease: l, errands: newErrands(), judging: make(chan *judge.Judge, 1), model: rec.Model, id: rec.ID, recordIndex: rec.Index,
		ingresses: map[string]bool{}, missing: map[string]time.Time{},
	}
	if takeover {
		w.newlyStarted = time.Now()
	}
	return w
}

// Lost is closed with the lease.
func (w *World) Lost() <-chan struct{} { return w.Lease.Lost() }

// Save stores the record under the index of the last read.
func (w *World) Save(ctx context.Context, rec rollout.Record) error {
	s := consul.Stored{Record: rec, Index: w.recordIndex}
	if err := w.Consul.Save(ctx, &s); err != nil {
		if errors.Is(err, consul.ErrConflict) {
			return fmt.Errorf("%w: %w", controller.ErrConflict, err)
		}
		return err
	}
	w.recordIndex = s.Index
	return nil
}

// Reload reads the record anew.
func (w *World) Reload(ctx context.Context) (rollout.Record, error) {
	s, err := w.Consul.Load(ctx, w.model, w.id)
	if err != nil {
		return rollout.Record{}, err
	}
	w.recordIndex = s.Index
	return s.Record, nil
}

// Watch wakes on events of Nomad and Consul, and carries out what takes its time.
func (w *World) Watch(ctx context.Context, wake func()) {
	var wg sync.WaitGroup
	stir := func() { w.stirred.Store(true); wake() }
	wg.Go(func() { w.Nomad.Watch(ctx, w.model, stir) })
	wg.Go(func() { w.Consul.Watch(ctx, w.model, stir) })
	wg.Go(func() { w.errands.run(ctx, wake) })
	wg.Go(func() { w.runJudge(ctx, wake) })
	wg.Wait()
}

// Look reads everything, unless what was seen last still holds. That Nomad can't be reached is part of the observation;
// Consul must answer.
func (w *World) Look(ctx context.Context, rec rollout.Record, since time.Time) (rollout.Observation, error) {
	var obs rollout.Observation
	if err := w.see(ctx, rec, since); err != nil {
		return obs, err
	}
	s := w.last
	w.stableIndex, w.modifyIndex, w.jobVersion = s.keys.StableIndex, s.view.Index, s.view.State.Version
	obs.Traffic = w.traffic(s.keys, s.instances, s.served)
	obs.Nomad = s.view.State
	obs.Nomad.Down = s.nomadDown
	obs.Canary = rollout.Side{Running: s.view.Canary.Running, Dead: s.view.Canary.Dead, Trouble: s.view.Canary.Trouble}
	obs.Stable = rollout.Side{
		Running: s.view.Stable.Running, Dead: s.view.Stable.Dead, Stuck: s.view.Stable.Stuck, Open: s.view.Stable.Open,
		Trouble: s.view.Stable.Trouble,
	}
	obs.Canary = side(obs.Canary, ofAttempt(s.instances, s.view), rec.Release)
	obs.Stable = side(obs.Stable, s.instances, rec.Stable)
	w.errands.look(&obs)
	return obs, w.lookAtJudgement(rec, s.instances, s.served, &obs)
}

// ofAttempt leaves out the instances of earlier attempts: those of a node that was lost stay registered, as critical,
// and say nothing about this attempt of the same release. Where Nomad could not be asked, all count.
func ofAttempt(instances []consul.Instance, view nomad.View) []consul.Instance {
	if len(view.Canary.IDs) == 0 {
		return instances
	}
	var out []consul.Instance
	for _, in := range instances {
		if in.Alloc == "" || slices.Contains(view.Canary.IDs, in.Alloc) {
			out = append(out, in)
		}
	}
	return out
}

// side adds what Consul knows of a release's instances.
func side(s rollout.Side, instances []consul.Instance, release string) rollout.Side {
	for _, in := range instances {
		switch {
		case in.Release != release:
		case in.Status == "passing":
			s.Passing++
		case in.Status == "critical":
			s.Critical++
			if s.Trouble == "" && in.Output != "" {
				s.Trouble = fmt.Sprintf("instance %s: %s", in.Addr, oneLine(in.Output))
			}
		}
	}
	return s
}

func oneLine(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func (w *World) traffic(keys consul.Keys, instances []consul.Instance, served map[string]consul.Served) rollout.Traffic {
	t := rollout.Traffic{Served: map[string]string{}}
	if keys.Stable != nil {
		t.Stable, t.Previous, t.Epoch = keys.Stable.Release, keys.Stable.Previous, keys.Stable.Epoch
	} else {
		t.Adoptable = adoptable(instances)
	}
	if c := keys.Canary; c != nil {
		t.Canary = &rollout.CanaryKey{
			Release: c.Release, Weight: c.Weight, Epoch: c.Epoch, Shadow: c.Shadow > 0, Mine: keys.CanaryOwner == w.Lease.Session(),
		}
	}
	for node, in := range served {
		t.Served[node] = in.Epoch
		if in.Stale {
			t.Served[node] += " (stale)"
		}
	}
	t.LostIngress = w.lostIngress(served)
	return t
}

// lostIngress is when an ingress was last lost that has not come back; zero for never.
func (w *World) lostIngress(served map[string]consul.Served) time.Time {
	for node := range w.ingresses {
		if _, alive := served[node]; alive {
			delete(w.missing, node)
		} else if _, known := w.missing[node]; !known {
			w.missing[node] = time.Now()
		}
	}
	for node := range served {
		w.ingresses[node] = true
	}
	last := w.newlyStarted
	for _, at := range w.missing {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// adoptable is the release of the passing non-canary instances of a model that nobody has recorded yet. Where they
// are of several releases, the one with the most instances.
func adoptable(instances []consul.Instance) string {
	count := map[string]int{}
	for _, in := range instances {
		if in.Status == "passing" && !in.Canary && in.Release != "" {
			count[in.Release]++
		}
	}
	best := ""
	for _, release := range slices.Sorted(maps.Keys(count)) {
		if best == "" || count[release] > count[best] {
			best = release
		}
	}
	return best
}

package world

import (
	"context"
	"fmt"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/controller"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// Act carries out one action. Consul's writes are fenced by the lease in their transaction. Nomad knows no fence: its
// calls are begun only while the lease is certain and end within the lock-delay that a successor waits.
func (w *World) Act(ctx context.Context, rec rollout.Record, action rollout.Action) error {
	if !w.Lease.Valid() {
		return controller.ErrLost
	}
	ctx, cancel := context.WithTimeout(ctx, consul.LockDelay)
	defer cancel()
	defer w.stirred.Store(true)
	switch a := action.(type) {
	case rollout.AdoptStable:
		return w.Lease.SetStable(ctx, traffic.Stable{Release: a.Release, Epoch: a.Epoch}, w.stableIndex)
	case rollout.SetStable:
		return w.Lease.SetStable(ctx,
			traffic.Stable{Release: a.Release, Previous: a.Previous, Epoch: a.Epoch}, w.stableIndex)
	case rollout.SetCanary:
		return w.Lease.SetCanary(ctx, canary(a))
	case rollout.Register:
		return w.Nomad.Register(ctx, rec.Job, w.modifyIndex)
	case rollout.Promote:
		return refused(w.Nomad.Promote(ctx, a.Deployment))
	case rollout.FailDeployment:
		return w.Nomad.Fail(ctx, a.Deployment)
	case rollout.RestoreJob:
		return w.Nomad.Restore(ctx, w.model, a.Version, w.jobVersion)
	case rollout.StopJob:
		return w.Nomad.Stop(ctx, w.model)
	case rollout.RunHook:
		return w.runHook(rec, a.Key, a.Name)
	case rollout.Collect:
		return w.errands.begin("collect", func(ctx context.Context) { w.collect(ctx, rec) })
	}
	return fmt.Errorf("act: unknown action %T", action)
}

// canary is the key of a canary that gets its share of the requests, or a copy of each.
func canary(a rollout.SetCanary) traffic.Canary {
	c := traffic.Canary{Release: a.Release, Weight: a.Weight, Epoch: a.Epoch}
	if a.Shadow {
		c.Shadow = 100
	}
	return c
}

func refused(err error) error {
	if said, ok := nomad.Refused(err); ok {
		return &controller.RefusedError{Said: said}
	}
	return err
}

package devnomad

import (
	"context"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// runner runs allocations; the client half of the agent does.
type runner interface {
	Run(alloc *api.Allocation) error
	Update(alloc *api.Allocation) error
	Stop(allocID string)
	Remove(allocID string) error
	Updates() <-chan client.Update
	Close(ctx context.Context) error
}

type orderVerb int

const (
	orderRun orderVerb = iota
	orderUpdate
	orderStop
	orderRemove
)

// order tells the client of a change to an allocation.
type order struct {
	verb  orderVerb
	alloc *api.Allocation
}

// carryOut gives the client the orders of all writes so far. An allocation that replaces another starts only when that
// one's tasks have ended.
func (a *Agent) carryOut() {
	var orders []order
	a.store.read(func() { orders, a.store.orders = a.store.orders, nil })
	for _, o := range orders {
		switch o.verb {
		case orderRun:
			a.runOrWait(o.alloc.ID)
		case orderUpdate:
			a.attached[o.alloc.ID] = a.store.now()
			if a.started[o.alloc.ID] {
				a.check(o.alloc, a.runner.Update(o.alloc))
			}
		case orderStop:
			a.stopOrDrop(o.alloc.ID)
		case orderRemove:
			delete(a.started, o.alloc.ID)
			delete(a.attached, o.alloc.ID)
			if err := a.runner.Remove(o.alloc.ID); err != nil {
				a.log.Debug("allocation folder stays", "alloc", o.alloc.ID, "err", err)
			}
		}
	}
}

func (a *Agent) runOrWait(id string) {
	var alloc, before *api.Allocation
	a.store.read(func() {
		if alloc = a.store.allocs[id]; alloc != nil {
			before = a.store.allocs[alloc.PreviousAllocation]
		}
	})
	switch {
	case alloc == nil || serverTerminal(alloc) || a.started[id]:
	case before != nil && !clientTerminal(before):
		a.waiting[before.ID] = append(a.waiting[before.ID], id)
	default:
		a.started[id] = true
		a.check(alloc, a.runner.Run(alloc))
	}
}

// stopOrDrop stops an allocation; one that has not started ends at once.
func (a *Agent) stopOrDrop(id string) {
	if a.started[id] {
		a.runner.Stop(id)
		return
	}
	a.applyUpdate(client.Update{
		AllocID: id, ClientStatus: api.AllocClientStatusComplete, ClientDescription: "All tasks have completed",
	})
}

// check fails an allocation that the client has refused.
func (a *Agent) check(alloc *api.Allocation, err error) {
	if err == nil {
		return
	}
	a.log.Error("client refused allocation", "alloc", alloc.ID, "err", err)
	a.applyUpdate(client.Update{
		AllocID: alloc.ID, ClientStatus: api.AllocClientStatusFailed, ClientDescription: err.Error(), Healthy: new(false),
	})
}

// applyUpdate stores what the client says of an allocation, lets go what has waited for its end, and has a failed one
// replaced.
func (a *Agent) applyUpdate(u client.Update) {
	var ended bool
	_, _ = a.store.write("AllocationUpdated", func(tx *txn) error {
		before := tx.allocs[u.AllocID]
		if before == nil || clientTerminal(before) && before.ClientStatus == u.ClientStatus && serverTerminal(before) {
			return nil
		}
		after := merge(before, u, a.attached[u.AllocID].UnixNano())
		tx.putAlloc(after)
		ended = clientTerminal(after)
		if job := tx.jobs[after.JobID]; job != nil && failedAnew(before, after) {
			if _, eligible := nextReschedule(after); eligible && after.FollowupEvalID == "" {
				e := newEval(job, byFailure, "pending")
				e.JobModifyIndex = val(job.JobModifyIndex)
				tx.putEval(e)
			}
		}
		return nil
	})
	if ended {
		next := a.waiting[u.AllocID]
		delete(a.waiting, u.AllocID)
		for _, id := range next {
			a.runOrWait(id)
		}
	}
}

func failedAnew(before, after *api.Allocation) bool {
	return after.ClientStatus == api.AllocClientStatusFailed && before.ClientStatus != api.AllocClientStatusFailed &&
		!serverTerminal(after)
}

// merge puts what the client says into an allocation. Health that was decided before the allocation joined its present
// deployment (at attached) does not count for it.
func merge(before *api.Allocation, u client.Update, attached int64) *api.Allocation {
	a := *before
	a.ClientStatus, a.ClientDescription = u.ClientStatus, u.ClientDescription
	if len(u.TaskStates) > 0 {
		a.TaskStates = u.TaskStates
	}
	stale := !u.HealthAt.IsZero() && u.HealthAt.UnixNano() < attached
	if u.Healthy == nil || stale || a.DeploymentID == "" || isUnhealthy(before) {
		return &a
	}
	if isHealthy(before) && !*u.Healthy && u.ClientStatus == api.AllocClientStatusFailed {
		return &a // an allocation that was healthy stays so when it dies
	}
	status := api.AllocDeploymentStatus{}
	if before.DeploymentStatus != nil {
		status = *before.DeploymentStatus
	}
	status.Healthy = new(*u.Healthy)
	if status.Timestamp.IsZero() || !isHealthy(before) {
		status.Timestamp = u.HealthAt.UTC()
	}
	a.DeploymentStatus = &status
	return &a
}

package devnomad

import (
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// batchDelay is how long Nomad gathers the health changes of a deployment before it schedules again.
const batchDelay = 1250 * time.Millisecond

// verdict is what follows from the state of a running deployment. Exactly one of fail, promote and the rest holds.
type verdict struct {
	fail     string // why it fails, or ""
	rollback bool   // to the newest stable version
	promote  bool   // every canary is healthy and promotes itself
	progress bool   // an allocation is newly healthy: schedule again
	replace  []string
	deadline time.Time // when to look again, zero for never
}

// judge looks at a running deployment. lastEval is the index that its job's newest evaluation has seen; pastDeadlines
// holds the progress deadline that has been looked at already. It is pure.
func judge(d *deployment, job *api.Job, allocs []*api.Allocation, lastEval uint64, now time.Time) verdict {
	var v verdict
	for _, a := range allocs {
		g := d.TaskGroups[a.TaskGroup]
		if a.DeploymentID != d.ID || g == nil {
			continue
		}
		switch {
		case isUnhealthy(a) && failsEarly(g, job, a, now):
			v.fail = descUnhealthy
			v.rollback = v.rollback || g.AutoRevert
		case isUnhealthy(a) && !val(a.DesiredTransition.Reschedule):
			v.replace = append(v.replace, a.ID)
		case isHealthy(a) && a.DeploymentStatus.ModifyIndex > lastEval:
			v.progress = true
		}
	}
	if v.fail != "" {
		return v
	}
	cutoff := d.cutoff()
	if !cutoff.IsZero() && !now.Before(cutoff) {
		v.fail, v.rollback = d.pastDeadline()
	} else {
		v.deadline = cutoff
	}
	v.promote = v.fail == "" && d.autoPromotes() && d.requiresPromotion() && canariesHealthy(d, allocs)
	return v
}

// failsEarly reports whether one unhealthy allocation fails the whole deployment: without a progress deadline always,
// else when its group's reschedule policy allows no other attempt.
func failsEarly(g *groupState, job *api.Job, a *api.Allocation, now time.Time) bool {
	if g.ProgressDeadline == 0 {
		return true
	}
	group := lookupGroup(job, a.TaskGroup)
	return group != nil && !mayReschedule(a, group.ReschedulePolicy, now)
}

// cutoff is the earliest progress deadline of the groups that still need allocations.
func (d *deployment) cutoff() time.Time {
	var first time.Time
	for _, g := range d.TaskGroups {
		if by := g.RequireProgressBy; !by.IsZero() && !g.satisfied() && (first.IsZero() || by.Before(first)) {
			first = by
		}
	}
	return first
}

// satisfied reports whether a group has what it needs for now: its canaries while they wait, else all. Healthy canaries
// may wait past the deadline.
func (g *groupState) satisfied() bool {
	if g.canarying() {
		return g.HealthyAllocs >= g.DesiredCanaries
	}
	return g.HealthyAllocs >= g.DesiredTotal
}

func (d *deployment) pastDeadline() (fail string, rollback bool) {
	for _, g := range d.TaskGroups {
		if !g.satisfied() {
			fail = descDeadline
			rollback = rollback || g.AutoRevert
		}
	}
	return fail, rollback
}

func canariesHealthy(d *deployment, allocs []*api.Allocation) bool {
	byID := allocSetOf(allocs)
	for _, g := range d.TaskGroups {
		healthy := 0
		for _, id := range g.PlacedCanaries {
			if a := byID[id]; a != nil && !terminal(a) && isHealthy(a) {
				healthy++
			}
		}
		if g.DesiredCanaries > 0 && healthy < g.DesiredCanaries {
			return false
		}
	}
	return true
}

// watchDeployments looks at every running deployment, acts, and returns when to look again.
func (a *Agent) watchDeployments() (next time.Time) {
	var running []*deployment
	a.store.read(func() {
		running = values(a.store.activeDeployments, compareDeployments)
	})
	for id := range a.batches {
		if !slices.ContainsFunc(running, func(d *deployment) bool { return d.ID == id }) {
			delete(a.batches, id)
		}
	}
	for _, d := range running {
		if at := a.watchDeployment(d.ID); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (a *Agent) watchDeployment(id string) (next time.Time) {
	_, _ = a.store.write("DeploymentStatusUpdate", func(tx *txn) error {
		d := tx.deployments[id]
		if !d.active() {
			return nil
		}
		v := judge(d, tx.version(d.JobID, d.JobVersion), tx.jobAllocs(d.JobID), tx.lastEval(d.JobID), tx.now)
		next = v.deadline
		switch {
		case v.fail != "":
			tx.failDeployment(d, v.fail, v.rollback)
		case v.promote:
			tx.kind = "DeploymentPromotion"
			_, _ = tx.promote(d, func(string) bool { return true })
		case v.progress || len(v.replace) > 0:
			next = earlier(next, a.batch(tx, d, v.replace))
		default:
			delete(a.batches, id)
		}
		return nil
	})
	return next
}

// batch arms the timer of a deployment's next evaluation, or makes the evaluation when it is due.
func (a *Agent) batch(tx *txn, d *deployment, replace []string) time.Time {
	due, armed := a.batches[d.ID]
	if !armed {
		due = tx.now.Add(batchDelay)
		a.batches[d.ID] = due
	}
	if tx.now.Before(due) {
		return due
	}
	delete(a.batches, d.ID)
	tx.kind = "AllocationUpdateDesiredStatus"
	for _, id := range replace {
		alloc := *tx.allocs[id]
		alloc.DesiredTransition.Reschedule = new(true)
		tx.putAlloc(&alloc)
	}
	tx.deploymentEval(d)
	return time.Time{}
}

// lastEval is the newest index that an evaluation of a job has seen. A pending one will see everything.
func (s *store) lastEval(jobID string) uint64 {
	last := uint64(0)
	for _, e := range s.evalsOf[jobID] {
		switch {
		case e.Status == "pending" && e.WaitUntil == nil:
			return s.index
		default:
			last = max(last, e.SnapshotIndex)
		}
	}
	return last
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

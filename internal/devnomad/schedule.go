package devnomad

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// scheduleNext processes the oldest evaluation that is due: it plans, applies the plan in one write, and completes the
// evaluation in the next, as Nomad does. It reports whether there was one, and when the next falls due.
func (a *Agent) scheduleNext() (worked bool, next time.Time) {
	var eval *evaluation
	a.store.read(func() { eval, next = a.store.dueEval() })
	if eval == nil {
		return false, next
	}
	var applied applied
	_, _ = a.store.write("PlanResult", func(tx *txn) error {
		applied = tx.applyPlan(eval)
		return nil
	})
	_, _ = a.store.write("EvaluationUpdated", func(tx *txn) error {
		tx.completeEval(eval, applied)
		return nil
	})
	return true, next
}

// dueEval returns the oldest pending evaluation that is due, else when the first will be.
func (s *store) dueEval() (*evaluation, time.Time) {
	var due *evaluation
	var next time.Time
	for _, e := range s.evalsIn["pending"] {
		switch {
		case e.WaitUntil != nil && e.WaitUntil.After(s.now()):
			if next.IsZero() || e.WaitUntil.Before(next) {
				next = *e.WaitUntil
			}
		case due == nil || e.CreateIndex < due.CreateIndex:
			due = e
		}
	}
	return due, next
}

// applied is what has become of a plan.
type applied struct {
	deployment string
	queued     map[string]int
	failed     map[string]*failedPlace
	snapshot   uint64
}

// applyPlan makes a plan for the job of an evaluation and puts it into effect.
func (tx *txn) applyPlan(eval *evaluation) applied {
	done := applied{snapshot: tx.store.index, queued: map[string]int{}, failed: map[string]*failedPlace{}}
	job := tx.jobs[eval.JobID]
	p := tx.planWith(job, eval.JobID, eval.ID, eval.Priority)
	for _, e := range p.ended {
		tx.endDeployment(e.id, e.status, e.description)
	}
	if p.created != nil {
		tx.putDeployment(p.created)
	}
	if p.deployment != nil {
		done.deployment = p.deployment.ID
	} else {
		done.deployment = cmp.Or(idOf(tx.latestDeployment(eval.JobID)), eval.DeploymentID)
	}
	for _, s := range p.stop {
		tx.stopAlloc(s.alloc, s.why)
	}
	for _, old := range p.inplace {
		tx.moveInPlace(old, job, p.deployment)
	}
	for _, pl := range p.place {
		tx.placeAlloc(pl, job, p.deployment, eval.ID, &done)
	}
	tx.scheduleLater(p.later, job, eval)
	if tx.wrote { // the plan shows its evaluation, too
		e := *eval
		tx.putEval(&e)
	}
	return done
}

// planWith works out what a job needs.
func (tx *txn) planWith(job *api.Job, jobID, evalID string, priority int) plan {
	d := tx.latestDeployment(jobID)
	if d != nil {
		d = d.clone()
	}
	in := desired{
		job: job, allocs: tx.jobAllocs(jobID), deployment: d, evalID: evalID, priority: priority, now: tx.now,
		down: tx.downNodes(),
	}
	if job != nil && isSystem(job) && !val(job.Stop) {
		return tx.planSystem(in)
	}
	return reconcile(in)
}

// letRun takes back the stop of an allocation whose successor has found no place.
func (tx *txn) letRun(old *api.Allocation) {
	a := *tx.allocs[old.ID]
	a.DesiredStatus, a.DesiredDescription = old.DesiredStatus, old.DesiredDescription
	tx.planned(a.NodeID, takenBy(&a), 1)
	tx.putAlloc(&a)
}

func (tx *txn) stopAlloc(old *api.Allocation, why string) {
	a := *tx.allocs[old.ID]
	tx.planned(a.NodeID, takenBy(&a), -1)
	a.DesiredStatus, a.DesiredDescription = api.AllocDesiredStatusStop, why
	if why == stopLost {
		a.ClientStatus = api.AllocClientStatusLost
	}
	a.AllocModifyIndex = tx.index
	tx.putAlloc(&a)
}

// moveInPlace gives a running allocation the newest version of its job; in a new deployment its health counts anew.
func (tx *txn) moveInPlace(old *api.Allocation, job *api.Job, d *deployment) {
	a := *tx.allocs[old.ID]
	a.Job, a.AllocModifyIndex = job, tx.index
	if id := idOf(d); id != a.DeploymentID {
		a.DeploymentID, a.DeploymentStatus = id, nil
	}
	tx.putAlloc(&a)
}

func idOf(d *deployment) string {
	if d == nil {
		return ""
	}
	return d.ID
}

// placeAlloc makes a new allocation, or notes that it found no place.
func (tx *txn) placeAlloc(p placement, job *api.Job, d *deployment, evalID string, done *applied) {
	name := val(p.group.Name)
	deploymentID := idOf(d)
	if p.old {
		job, deploymentID = tx.servingVersion(job, name)
	}
	group := lookupGroup(job, name)
	place := tx.findPlace(p, job, group, done.failed)
	if place.node == nil {
		done.queued[name]++
		if p.updates {
			tx.letRun(p.previous)
		}
		return
	}
	a := &api.Allocation{
		ID: newID(), Namespace: val(job.Namespace), EvalID: evalID, Name: p.name, NodeID: place.node.ID, NodeName: place.node.Name,
		JobID: val(job.ID), Job: job, TaskGroup: name, AllocatedResources: place.resources, DeploymentID: deploymentID,
		DesiredStatus: api.AllocDesiredStatusRun, ClientStatus: api.AllocClientStatusPending,
		Metrics: place.metrics, AllocModifyIndex: tx.index,
	}
	if p.canary && !p.old {
		a.DeploymentStatus = &api.AllocDeploymentStatus{Canary: true}
	}
	if p.previous != nil {
		tx.succeed(a, p)
	}
	tx.putAlloc(a)
}

// succeed links a new allocation to the one it replaces.
func (tx *txn) succeed(a *api.Allocation, p placement) {
	a.PreviousAllocation = p.previous.ID
	if p.reschedule {
		tracker := &api.RescheduleTracker{}
		if before := p.previous.RescheduleTracker; before != nil {
			tracker.Events = append(tracker.Events, before.Events...)
		}
		tracker.Events = append(tracker.Events, &api.RescheduleEvent{
			RescheduleTime: tx.now.UnixNano(), PrevAllocID: p.previous.ID, PrevNodeID: p.previous.NodeID,
		})
		a.RescheduleTracker = tracker
	}
	previous := *tx.allocs[p.previous.ID]
	previous.NextAllocation = a.ID
	tx.putAlloc(&previous)
}

// servingVersion is the version that serves while canaries wait: that of the newest deployment of the group that had no
// canaries or has been promoted. What is placed at it belongs to that deployment.
func (tx *txn) servingVersion(job *api.Job, group string) (*api.Job, string) {
	for _, d := range slices.Backward(tx.jobDeployments(val(job.ID))) {
		g := d.TaskGroups[group]
		if g == nil || (!g.Promoted && g.DesiredCanaries > 0) {
			continue
		}
		if old := tx.version(val(job.ID), d.JobVersion); old != nil && lookupGroup(old, group) != nil {
			return old, d.ID
		}
	}
	return job, ""
}

// scheduleLater makes one evaluation per failed allocation whose replacement must wait.
func (tx *txn) scheduleLater(later map[*api.Allocation]time.Time, job *api.Job, by *evaluation) {
	for failed, at := range later {
		e := newEval(job, byFailure, "pending")
		e.JobModifyIndex, e.WaitUntil = val(job.JobModifyIndex), new(at)
		e.StatusDescription = "created for delayed rescheduling"
		tx.putEval(e)
		a := *tx.allocs[failed.ID]
		a.FollowupEvalID = e.ID
		tx.putAlloc(&a)
	}
}

// completeEval ends an evaluation. What found no place waits in a blocked one: the same again, or a new one that takes
// the place of an older one of the job.
func (tx *txn) completeEval(eval *evaluation, done applied) {
	e := *eval
	e.due = false
	if e.Status == "blocked" && len(done.failed) > 0 {
		e.FailedTGAllocs = done.failed
		tx.setEval(&e)
		return
	}
	e.Status, e.StatusDescription, e.SnapshotIndex, e.DeploymentID = "complete", "", done.snapshot, done.deployment
	e.QueuedAllocations = map[string]int{}
	why := fmt.Sprintf("evaluation %q successful", e.ID)
	if job := tx.jobs[e.JobID]; job != nil {
		for _, g := range job.TaskGroups {
			e.QueuedAllocations[val(g.Name)] = done.queued[val(g.Name)]
		}
		if len(done.failed) > 0 {
			why = fmt.Sprintf("existing blocked evaluation exists for job %q", e.JobID)
			e.FailedTGAllocs = done.failed
			e.BlockedEval = tx.blockedEval(job, &e)
		}
	}
	for _, other := range values(tx.evalsOf[e.JobID], compareEvals) {
		if other.Status == "blocked" && other.ID != e.ID && other.ID != e.BlockedEval {
			cancelled := *other
			cancelled.due, cancelled.Status, cancelled.StatusDescription = false, "canceled", why
			tx.putEval(&cancelled)
		}
	}
	tx.putEval(&e)
}

// blockedEval makes the evaluation in which the rest of a job waits for room.
func (tx *txn) blockedEval(job *api.Job, e *evaluation) (id string) {
	blocked := newEval(job, byQueued, "blocked")
	blocked.PreviousEval, blocked.StatusDescription = e.ID, "created to place remaining allocations"
	blocked.JobModifyIndex, blocked.SnapshotIndex = val(job.JobModifyIndex), e.SnapshotIndex
	blocked.FailedTGAllocs, blocked.ClassEligibility = e.FailedTGAllocs, map[string]bool{computedClass: false}
	for _, f := range e.FailedTGAllocs {
		blocked.ClassEligibility[computedClass] = blocked.ClassEligibility[computedClass] || f.NodesExhausted > 0
	}
	tx.putEval(blocked)
	return blocked.ID
}

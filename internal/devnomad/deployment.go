package devnomad

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"
)

var errNoDeployment = errors.New("deployment not found")

// deploymentResult answers the verbs on deployments.
type deploymentResult struct {
	EvalID                string
	EvalCreateIndex       uint64
	DeploymentModifyIndex uint64
	RevertedJobVersion    *uint64
	Index                 uint64
}

// open returns a deployment that a verb may act on.
func (tx *txn) open(id, verb string) (*deployment, error) {
	d := tx.deployments[id]
	switch {
	case d == nil:
		return nil, errNoDeployment
	case !d.active():
		return nil, fmt.Errorf("can't %s terminal deployment", verb)
	}
	return d, nil
}

func (tx *txn) deploymentEval(d *deployment) *evaluation {
	job := tx.jobs[d.JobID]
	e := newEval(job, byWatcher, "pending")
	e.DeploymentID, e.Priority = d.ID, d.EvalPriority
	tx.putEval(e)
	return e
}

func (tx *txn) answer(e *evaluation, reverted *uint64) deploymentResult {
	out := deploymentResult{DeploymentModifyIndex: tx.index, Index: tx.index, RevertedJobVersion: reverted}
	if e != nil {
		out.EvalID, out.EvalCreateIndex = e.ID, tx.index
	}
	return out
}

// promote makes the healthy canaries of the chosen groups ordinary allocations. It is refused while a chosen group has
// fewer than it wants; that canaries failed a check later doesn't matter, but dead ones don't count.
func (tx *txn) promote(d *deployment, chosen func(group string) bool) (deploymentResult, error) {
	d = d.clone()
	promoted, err := tx.promotable(d, chosen)
	if err != nil {
		return deploymentResult{}, err
	}
	for name, g := range d.TaskGroups {
		if !chosen(name) {
			continue
		}
		g.Promoted = true
		if g.ProgressDeadline > 0 && !g.RequireProgressBy.IsZero() {
			g.RequireProgressBy = tx.now.Add(g.ProgressDeadline).UTC()
		}
	}
	if !d.requiresPromotion() && d.Status == api.DeploymentStatusRunning {
		d.StatusDescription = descRunning
	}
	tx.putDeployment(d)
	e := tx.deploymentEval(d)
	for _, canary := range promoted {
		a, status := *canary, *canary.DeploymentStatus
		status.Canary, status.ModifyIndex = false, tx.index
		a.DeploymentStatus, a.AllocModifyIndex = &status, tx.index
		tx.putAlloc(&a)
	}
	return tx.answer(e, nil), nil
}

// promotable returns the canaries to be promoted, or an error for the groups that have too few healthy ones.
func (tx *txn) promotable(d *deployment, chosen func(group string) bool) ([]*api.Allocation, error) {
	var all []*api.Allocation
	var complaints []string
	for name, g := range d.TaskGroups {
		if !chosen(name) {
			continue
		}
		healthy := 0
		for _, id := range g.PlacedCanaries {
			if a := tx.allocs[id]; a != nil && !terminal(a) && isHealthy(a) {
				healthy++
				all = append(all, a)
			}
		}
		if healthy < g.DesiredCanaries {
			complaints = append(complaints, fmt.Sprintf("Task group %q has %d/%d healthy allocations", name, healthy, g.DesiredCanaries))
		}
	}
	if len(complaints) > 0 {
		slices.Sort(complaints)
		return nil, errors.New(listErrors(complaints))
	}
	return all, nil
}

// failDeployment ends a deployment as failed. With rollback, the newest stable version is registered again as a new
// version, unless there is none or it is what runs already; the description says which.
func (tx *txn) failDeployment(d *deployment, why string, rollback bool) deploymentResult {
	var reverted *uint64
	var job *api.Job
	if rollback {
		why, job = tx.rollbackTarget(d, why)
	}
	tx.endDeployment(d.ID, api.DeploymentStatusFailed, why)
	if job != nil {
		reverted = job.Version
		tx.newVersion(job)
	}
	return tx.answer(tx.deploymentEval(d), reverted)
}

func (tx *txn) rollbackTarget(d *deployment, why string) (string, *api.Job) {
	stable := tx.latestStable(d.JobID)
	switch {
	case stable == nil:
		return why + " - no stable job version to auto revert to", nil
	case sameSpec(stable, tx.jobs[d.JobID]):
		return fmt.Sprintf("%s - not rolling back to stable job version %d as current job has same specification",
			why, val(stable.Version)), nil
	}
	return fmt.Sprintf("%s - rolling back to job version %d", why, val(stable.Version)), stable
}

func (d *deployment) autoReverts() bool {
	for _, g := range d.TaskGroups {
		if g.AutoRevert {
			return true
		}
	}
	return false
}

// pause stops a deployment from placing anything, or lets it go on. After that its description says "running" even
// where canaries wait for promotion, as in Nomad.
func (tx *txn) pause(d *deployment, pause bool) deploymentResult {
	d = d.clone()
	d.Status, d.StatusDescription = api.DeploymentStatusPaused, descPaused
	if !pause {
		d.Status, d.StatusDescription = api.DeploymentStatusRunning, descRunning
	}
	tx.putDeployment(d)
	if pause {
		return tx.answer(nil, nil)
	}
	return tx.answer(tx.deploymentEval(d), nil)
}

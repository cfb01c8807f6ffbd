package devnomad

import (
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// txn is one write to the store. Its methods keep what Nomad derives: indexes, the counters of deployments, the status
// of jobs, events.
type txn struct {
	*store
	kind    string // type of its events
	index   uint64
	now     time.Time
	wrote   bool
	emitted []event
	dirty   map[string]bool  // jobs whose status may have changed
	delta   map[string]usage // node → what this plan takes and frees there beside what is stored
}

func (tx *txn) touch(table string) {
	tx.wrote = true
	tx.tables[table] = tx.index
}

// putVersion makes job the newest version of its job.
func (tx *txn) putVersion(job *api.Job) {
	id := val(job.ID)
	versions := append([]*api.Job{job}, tx.versions[id]...)
	for len(versions) > keptVersions {
		versions = dropVersion(versions)
	}
	tx.setVersions(id, versions)
	tx.putJob(job)
}

// dropVersion drops the oldest version, but never the newest stable one.
func dropVersion(versions []*api.Job) []*api.Job {
	last := len(versions) - 1
	newestStable := slices.IndexFunc(versions, func(j *api.Job) bool { return val(j.Stable) })
	if newestStable == last {
		last--
	}
	return slices.Delete(slices.Clone(versions), last, last+1)
}

// putJob stores a change of a job that makes no new version.
func (tx *txn) putJob(job *api.Job) {
	job.ModifyIndex = new(tx.index)
	id := val(job.ID)
	tx.jobs[id] = job
	versions := slices.Clone(tx.versions[id])
	for i, v := range versions {
		if val(v.Version) == val(job.Version) {
			versions[i] = job
		}
	}
	tx.setVersions(id, versions)
	tx.dirty[id] = true
	tx.touch("jobs")
	tx.emit("Job", id, nil, func() any { return jobDoc(job) })
}

func (tx *txn) putEval(e *evaluation) {
	if e.CreateIndex == 0 {
		e.CreateIndex, e.CreateTime = tx.index, tx.now.UnixNano()
	}
	e.ModifyIndex, e.ModifyTime = tx.index, tx.now.UnixNano()
	tx.setEval(e)
	tx.dirty[e.JobID] = true
	tx.touch("evals")
	tx.emit("Evaluation", e.ID, []string{e.JobID, e.DeploymentID}, func() any { return e })
}

func (tx *txn) putDeployment(d *deployment) {
	if d.CreateIndex == 0 {
		d.CreateIndex = tx.index
	}
	d.ModifyIndex = tx.index
	tx.setDeployment(d)
	tx.touch("deployment")
	tx.emit("Deployment", d.ID, []string{d.JobID}, func() any { return d })
}

// endDeployment gives a deployment its status; success makes its job version stable at the same index.
func (tx *txn) endDeployment(id, status, description string) {
	d := tx.deployments[id].clone()
	d.Status, d.StatusDescription = status, description
	tx.putDeployment(d)
	if status == api.DeploymentStatusSuccessful {
		tx.setStable(d.JobID, d.JobVersion, true)
	}
}

// setStable marks a version; it reports whether that version exists.
func (tx *txn) setStable(jobID string, version uint64, stable bool) bool {
	found := tx.version(jobID, version)
	if found == nil {
		return false
	}
	if val(found.Stable) == stable {
		return true
	}
	job := *found
	job.Stable = new(stable)
	if current := tx.jobs[jobID]; current != nil && val(current.Version) == version {
		tx.putJob(&job)
		return true
	}
	job.ModifyIndex = new(tx.index)
	versions := slices.Clone(tx.versions[jobID])
	versions[slices.Index(versions, found)] = &job
	tx.setVersions(jobID, versions)
	tx.touch("jobs")
	return true
}

// putAlloc stores an allocation and counts it in its deployment.
func (tx *txn) putAlloc(a *api.Allocation) {
	before := tx.allocs[a.ID]
	if before == nil {
		a.CreateIndex, a.CreateTime = tx.index, tx.now.UnixNano()
	}
	a.ModifyIndex, a.ModifyTime = tx.index, tx.now.UnixNano()
	tx.countInDeployment(a, before)
	tx.tell(a, before)
	tx.setAlloc(a)
	if before != nil && clientTerminal(a) && !clientTerminal(before) {
		tx.unblock() // there is room on its node
	}
	tx.dirty[a.JobID] = true
	tx.touch("allocs")
	tx.emit("Allocation", a.ID, []string{a.JobID, a.DeploymentID}, func() any { return allocDoc(a, false) })
}

// countInDeployment counts placements and health: a healthy allocation moves the progress deadline on.
func (tx *txn) countInDeployment(a, before *api.Allocation) {
	d := tx.deployments[a.DeploymentID]
	if d == nil || d.TaskGroups[a.TaskGroup] == nil {
		return
	}
	d = d.clone()
	g := d.TaskGroups[a.TaskGroup]
	placed := before == nil || before.DeploymentID != a.DeploymentID
	becameHealthy := isHealthy(a) && (placed || healthOf(before) == nil)
	becameUnhealthy := isUnhealthy(a) && (placed || !isUnhealthy(before))
	if !placed && !becameHealthy && !becameUnhealthy {
		return
	}
	if placed {
		g.PlacedAllocs++
		if isCanary(a) {
			g.PlacedCanaries = append(g.PlacedCanaries, a.ID)
		}
	}
	if becameHealthy {
		g.HealthyAllocs++
	}
	if becameUnhealthy {
		g.UnhealthyAllocs++
		if !placed && isHealthy(before) {
			g.HealthyAllocs--
		}
	}
	if becameHealthy || becameUnhealthy {
		a.DeploymentStatus.ModifyIndex = tx.index
	}
	g.progress(tx.now, placed, becameHealthy, a)
	tx.putDeployment(d)
}

// progress starts the progress deadline with the first placement and moves it with each healthy allocation.
func (g *groupState) progress(now time.Time, placed, healthy bool, a *api.Allocation) {
	switch {
	case g.ProgressDeadline == 0:
	case placed && g.RequireProgressBy.IsZero():
		g.RequireProgressBy = now.Add(g.ProgressDeadline).UTC()
	case healthy:
		if by := a.DeploymentStatus.Timestamp.Add(g.ProgressDeadline); by.After(g.RequireProgressBy) {
			g.RequireProgressBy = by.UTC()
		}
	}
}

// settleJobs gives the jobs of this write their status.
func (tx *txn) settleJobs() {
	for id := range tx.dirty {
		job := tx.jobs[id]
		if job == nil {
			continue
		}
		if status := tx.jobStatus(job); status != val(job.Status) {
			changed := *job
			changed.Status = new(status)
			tx.putJob(&changed)
		}
	}
}

func (tx *txn) jobStatus(job *api.Job) string {
	id, known := val(job.ID), false
	for _, a := range tx.allocsOf[id] {
		if !terminal(a) {
			return "running"
		}
		known = true
	}
	for _, e := range tx.evalsOf[id] {
		if e.Status == "pending" || e.Status == "blocked" {
			return "pending"
		}
		known = known || e.JobModifyIndex == val(job.JobModifyIndex)
	}
	switch {
	case val(job.Type) == api.JobTypeSystem && !val(job.Stop):
		return "running"
	case known || val(job.Stop):
		return "dead"
	}
	return "pending"
}

// purge removes a job with its versions; its deployments and allocations stay until they are collected.
func (tx *txn) purge(jobID string) {
	delete(tx.jobs, jobID)
	tx.setVersions(jobID, nil)
	delete(tx.submissions, jobID)
	for _, d := range tx.deploymentsOf[jobID] {
		if d.active() {
			tx.endDeployment(d.ID, api.DeploymentStatusCancelled, descStopped)
		}
	}
	tx.touch("jobs")
}

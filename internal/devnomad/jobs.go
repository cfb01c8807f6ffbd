package devnomad

import (
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// registration asks for a job to be registered.
type registration struct {
	Job            *api.Job
	Submission     *api.JobSubmission
	EnforceIndex   bool
	JobModifyIndex uint64
	PreserveCounts bool
	EvalPriority   int
}

// registered answers what changes a job.
type registered struct {
	EvalID          string
	EvalCreateIndex uint64
	JobModifyIndex  uint64
	Warnings        string
	Index           uint64
	LastContact     int
	KnownLeader     bool
	NextToken       string
}

// register makes a canonical, valid job the newest version. A specification equal to the current one makes no version,
// but an evaluation all the same.
func (tx *txn) register(r registration) (registered, error) {
	id := val(r.Job.ID)
	current := tx.jobs[id]
	if r.EnforceIndex {
		if err := checkIndex(current, r.JobModifyIndex); err != nil {
			return registered{}, err
		}
	}
	if r.PreserveCounts {
		keepCounts(r.Job, current)
	}
	job := current
	if current == nil || val(current.Stop) || !sameSpec(current, r.Job) {
		job = tx.newVersion(r.Job)
		if r.Submission != nil {
			if tx.submissions[id] == nil {
				tx.submissions[id] = map[uint64]*api.JobSubmission{}
			}
			tx.submissions[id][val(job.Version)] = r.Submission
		}
	}
	return tx.evaluated(job, byRegister, r.EvalPriority), nil
}

// checkIndex is the compare of compare-and-set.
func checkIndex(current *api.Job, index uint64) error {
	switch {
	case current == nil && index == 0:
		return nil
	case current == nil:
		return fmt.Errorf("Enforcing job modify index %d: job does not exist", index) //nolint:revive,staticcheck // Nomad's words
	case index == 0:
		return errors.New("Enforcing job modify index 0: job already exists") //nolint:revive,staticcheck // Nomad's words
	case val(current.JobModifyIndex) != index:
		return fmt.Errorf("Enforcing job modify index %d: job exists with conflicting job modify index: %d", //nolint:revive,staticcheck // Nomad's words
			index, val(current.JobModifyIndex))
	}
	return nil
}

func keepCounts(job, current *api.Job) {
	for _, g := range job.TaskGroups {
		if before := lookupGroup(current, val(g.Name)); before != nil {
			g.Count = before.Count
		}
	}
}

// newVersion stores a copy of spec as the newest version of its job. A rollback keeps the stability of what it copies.
func (tx *txn) newVersion(spec *api.Job) *api.Job {
	job := *spec
	id := val(job.ID)
	job.Version, job.CreateIndex, job.Status = new(uint64(0)), new(tx.index), new("pending")
	if current := tx.jobs[id]; current != nil {
		job.Version = new(val(current.Version) + 1)
		job.CreateIndex, job.Status = current.CreateIndex, current.Status
	}
	job.JobModifyIndex, job.SubmitTime = new(tx.index), new(tx.now.UnixNano())
	job.Stop = new(false)
	tx.putVersion(&job)
	return &job
}

func (tx *txn) evaluated(job *api.Job, reason string, priority int) registered {
	e := newEval(job, reason, "pending")
	e.JobModifyIndex = val(job.JobModifyIndex)
	if priority > 0 {
		e.Priority = priority
	}
	tx.putEval(e)
	return registered{
		EvalID: e.ID, EvalCreateIndex: tx.index, JobModifyIndex: val(job.JobModifyIndex), Index: tx.index,
	}
}

// revert registers an earlier version again.
func (tx *txn) revert(id string, version uint64, enforce *uint64) (registered, error) {
	current := tx.jobs[id]
	if current == nil {
		return registered{}, fmt.Errorf("job %q not found", id)
	}
	if enforce != nil && *enforce != val(current.Version) {
		//nolint:revive,staticcheck // Nomad's words
		return registered{}, fmt.Errorf("Current job has version %d; enforcing version %d", val(current.Version), *enforce)
	}
	if version == val(current.Version) {
		return registered{}, errors.New("can't revert to current version")
	}
	old := tx.version(id, version)
	if old == nil {
		return registered{}, noVersion(id, version)
	}
	return tx.evaluated(tx.newVersion(old), byRegister, 0), nil
}

func noVersion(id string, version uint64) error {
	return fmt.Errorf("job %q in namespace %q at version %d not found", id, api.DefaultNamespace, version)
}

// deregister stops a job, or removes it with purge.
func (tx *txn) deregister(job *api.Job, purge bool) registered {
	stopped := *job
	stopped.Stop = new(true)
	if !purge {
		stopped.JobModifyIndex = new(tx.index)
		tx.putJob(&stopped)
	}
	out := tx.evaluated(&stopped, byDeregister, 0)
	out.JobModifyIndex = tx.index
	if purge {
		tx.purge(val(job.ID))
	}
	return out
}

// scale changes the count of a group by registering the job anew.
func (tx *txn) scale(job *api.Job, group string, count int) (registered, error) {
	if tx.latestDeployment(val(job.ID)).active() {
		return registered{}, errScalingBlocked
	}
	changed := *job
	changed.TaskGroups, changed.Stable = nil, new(false)
	for _, g := range job.TaskGroups {
		if val(g.Name) == group {
			scaled := *g
			scaled.Count = new(count)
			g = &scaled
		}
		changed.TaskGroups = append(changed.TaskGroups, g)
	}
	return tx.evaluated(tx.newVersion(&changed), byScale, 0), nil
}

var errScalingBlocked = errors.New("job scaling blocked due to active deployment")

// sameSpec reports whether two jobs differ in nothing that was submitted.
func sameSpec(a, b *api.Job) bool {
	return a != nil && b != nil && same(submitted(a), submitted(b))
}

// submitted is a job without what the server fills in.
func submitted(job *api.Job) api.Job {
	j := *job
	j.Status, j.StatusDescription, j.Stable, j.Version, j.SubmitTime = nil, nil, nil, nil, nil
	j.CreateIndex, j.ModifyIndex, j.JobModifyIndex, j.Stop = nil, nil, nil, nil
	return j
}

// collect removes what has ended: stopped jobs, terminal evaluations and allocations of jobs that are gone.
func (tx *txn) collect() {
	for id, job := range tx.jobs {
		if val(job.Status) == "dead" && val(job.Stop) {
			tx.purge(id)
		}
	}
	for id, a := range tx.allocs {
		if tx.jobs[a.JobID] == nil && serverTerminal(a) && clientTerminal(a) {
			tx.dropAlloc(a)
			tx.touch("allocs")
			tx.feed(a.NodeID, id)
		}
	}
	for _, d := range tx.deployments {
		if tx.jobs[d.JobID] == nil && !d.active() {
			tx.dropDeployment(d)
			tx.touch("deployment")
		}
	}
	for _, e := range tx.evals {
		if tx.jobs[e.JobID] == nil && (e.Status == "complete" || e.Status == "canceled") {
			tx.dropEval(e)
			tx.touch("evals")
		}
	}
}

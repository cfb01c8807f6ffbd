package devnomad

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Jobs and allocations are stored as Nomad's own API types. What is stored is never changed in place: a change puts a
// copy. Deployments and evaluations have types here, because the API's lack fields that Nomad 1.6 shows.

// deployment follows the roll-out of one job version.
type deployment struct {
	ID                 string
	Namespace          string
	JobID              string
	JobVersion         uint64
	JobModifyIndex     uint64
	JobSpecModifyIndex uint64
	JobCreateIndex     uint64
	IsMultiregion      bool
	TaskGroups         map[string]*groupState
	Status             string
	StatusDescription  string
	EvalPriority       int
	CreateIndex        uint64
	ModifyIndex        uint64
}

// groupState is how far a deployment is with one task group.
type groupState struct {
	AutoRevert        bool
	AutoPromote       bool
	ProgressDeadline  time.Duration
	RequireProgressBy time.Time // zero until the first allocation is placed, or without a progress deadline
	Promoted          bool
	PlacedCanaries    []string
	DesiredCanaries   int
	DesiredTotal      int
	PlacedAllocs      int
	HealthyAllocs     int
	UnhealthyAllocs   int
}

// Texts of deployment states, to the letter of Nomad.
const (
	descRunning      = "Deployment is running"
	descNeedsPromote = "Deployment is running but requires manual promotion"
	descAutoPromote  = "Deployment is running pending automatic promotion"
	descPaused       = "Deployment is paused"
	descSuccessful   = "Deployment completed successfully"
	descStopped      = "Cancelled because job is stopped"
	descNewer        = "Cancelled due to newer version of job"
	descUnhealthy    = "Failed due to unhealthy allocations"
	descDeadline     = "Failed due to progress deadline"
	descMarkedFailed = "Deployment marked as failed"
)

func (d *deployment) active() bool {
	return d != nil && (d.Status == api.DeploymentStatusRunning || d.Status == api.DeploymentStatusPaused)
}

// requiresPromotion reports whether a group has canaries that nobody has promoted.
func (d *deployment) requiresPromotion() bool {
	for _, g := range d.TaskGroups {
		if g.canarying() {
			return true
		}
	}
	return false
}

func (g *groupState) canarying() bool { return g.DesiredCanaries > 0 && !g.Promoted }

// autoPromotes reports whether every group with canaries promotes itself.
func (d *deployment) autoPromotes() bool {
	found := false
	for _, g := range d.TaskGroups {
		if g.DesiredCanaries > 0 {
			if !g.AutoPromote {
				return false
			}
			found = true
		}
	}
	return found
}

func (d *deployment) clone() *deployment {
	c := *d
	c.TaskGroups = maps.Clone(d.TaskGroups)
	for name, g := range c.TaskGroups {
		group := *g
		group.PlacedCanaries = slices.Clone(g.PlacedCanaries)
		c.TaskGroups[name] = &group
	}
	return &c
}

// evaluation is a request to bring a job's allocations to what its specification says.
type evaluation struct {
	ID                string
	Namespace         string
	Priority          int
	Type              string
	TriggeredBy       string
	JobID             string
	JobModifyIndex    uint64 `json:",omitempty"`
	NodeID            string `json:",omitempty"`
	DeploymentID      string `json:",omitempty"`
	Status            string
	StatusDescription string     `json:",omitempty"`
	WaitUntil         *time.Time `json:",omitempty"`
	PreviousEval      string     `json:",omitempty"`
	BlockedEval       string     `json:",omitempty"`

	FailedTGAllocs    map[string]*failedPlace `json:",omitempty"`
	QueuedAllocations map[string]int          `json:",omitempty"`
	ClassEligibility  map[string]bool         `json:",omitempty"`

	SnapshotIndex uint64 `json:",omitempty"`
	CreateIndex   uint64
	ModifyIndex   uint64
	CreateTime    int64
	ModifyTime    int64

	due bool // blocked, but there may be room now
}

// queue says what an evaluation waits for: "pending" for the scheduler, "blocked" for room; else it is its status.
func (e *evaluation) queue() string {
	if e.due {
		return "pending"
	}
	return e.Status
}

// Reasons why evaluations are made.
const (
	byRegister   = "job-register"
	byDeregister = "job-deregister"
	byWatcher    = "deployment-watcher"
	byAllocStop  = "alloc-stop"
	byFailure    = "alloc-failure"
	byDrain      = "node-drain"
	byNode       = "node-update"
	byQueued     = "queued-allocs"
	byScale      = "job-scaling"
)

func newEval(job *api.Job, reason, status string) *evaluation {
	return &evaluation{
		ID: newID(), Namespace: val(job.Namespace), Priority: val(job.Priority), Type: val(job.Type),
		TriggeredBy: reason, JobID: val(job.ID), Status: status,
	}
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// val returns what p points to, or the zero value.
func val[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func lookupGroup(job *api.Job, name string) *api.TaskGroup {
	if job == nil {
		return nil
	}
	return job.LookupTaskGroup(name)
}

// updates reports whether a group has an update strategy; max_parallel 0 is none.
func updates(g *api.TaskGroup) bool { return g.Update != nil && val(g.Update.MaxParallel) > 0 }

// healthOf returns whether an allocation is healthy for its deployment; nil while that is open.
func healthOf(a *api.Allocation) *bool {
	if a.DeploymentStatus == nil {
		return nil
	}
	return a.DeploymentStatus.Healthy
}

func isHealthy(a *api.Allocation) bool   { h := healthOf(a); return h != nil && *h }
func isUnhealthy(a *api.Allocation) bool { h := healthOf(a); return h != nil && !*h }
func isCanary(a *api.Allocation) bool    { return a.DeploymentStatus != nil && a.DeploymentStatus.Canary }

// clientTerminal reports whether an allocation's tasks run no more and will not again.
func clientTerminal(a *api.Allocation) bool {
	switch a.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

func serverTerminal(a *api.Allocation) bool { return a.DesiredStatus != api.AllocDesiredStatusRun }
func terminal(a *api.Allocation) bool       { return serverTerminal(a) || clientTerminal(a) }

func jobVersion(a *api.Allocation) uint64 { return val(a.Job.Version) }

package nomad

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/rollout"
)

// View is one look at a model's job.
type View struct {
	Job    *api.Job // nil where there is none, or it is stopped
	Index  uint64   // the job's modify index, also of a stopped one; 0 where there is none
	State  rollout.Nomad
	Canary Allocs // of the record's attempt
	Stable Allocs // of the stable release
}

// Allocs counts the allocations of one side.
type Allocs struct {
	Running, Dead int
	Stuck         int      // dead, wanted, and not replaced
	Open          int      // running for a moment, and Nomad has not decided on their health
	IDs           []string // of all of them, whatever their state
	Trouble       string   // of the first dead one, in words
}

// Look reads a model's job, its deployments and its allocations. attempt is the record's; stable a release.
func (c *Client) Look(ctx context.Context, model, attempt, stable string) (View, error) {
	var v View
	job, _, err := c.api.Jobs().Info(model, read(ctx))
	if notFound(err) {
		return v, nil
	}
	if err != nil {
		return v, fmt.Errorf("read job %q: %w", model, err)
	}
	versions, _, _, err := c.api.Jobs().Versions(model, false, read(ctx))
	if err != nil {
		return v, fmt.Errorf("read the versions of job %q: %w", model, err)
	}
	deployments, _, err := c.api.Jobs().Deployments(model, false, read(ctx))
	if err != nil {
		return v, fmt.Errorf("read the deployments of job %q: %w", model, err)
	}
	allocs, _, err := c.api.Jobs().Allocations(model, false, read(ctx))
	if err != nil {
		return v, fmt.Errorf("read the allocations of job %q: %w", model, err)
	}
	v.Index = *job.JobModifyIndex
	if job.Stop == nil || !*job.Stop {
		v.Job = job
		v.State = rollout.Nomad{
			Exists: true, Release: job.Meta[MetaRelease], Attempt: job.Meta[MetaAttempt], Version: *job.Version,
		}
	}
	meta := metaByVersion(versions)
	v.State.StableVersion = newestOf(versions, stable)
	v.State.Current, v.State.Trial = pick(deployments, meta, attempt)
	v.count(allocs, meta, attempt, stable)
	return v, nil
}

func metaByVersion(versions []*api.Job) map[uint64]map[string]string {
	out := make(map[uint64]map[string]string, len(versions))
	for _, j := range versions {
		out[*j.Version] = j.Meta
	}
	return out
}

// newestOf returns the newest version of a release; those that Nomad marked stable come first.
func newestOf(versions []*api.Job, release string) *uint64 {
	var best *api.Job
	for _, j := range versions {
		if j.Meta[MetaRelease] != release {
			continue
		}
		if best == nil || stableFirst(j, best) {
			best = j
		}
	}
	if best == nil {
		return nil
	}
	return best.Version
}

func stableFirst(a, b *api.Job) bool {
	sa, sb := a.Stable != nil && *a.Stable, b.Stable != nil && *b.Stable
	if sa != sb {
		return sa
	}
	return *a.Version > *b.Version
}

// pick returns the newest deployment, and the newest one of the attempt.
func pick(ds []*api.Deployment, meta map[uint64]map[string]string, attempt string) (current, trial rollout.Deployment) {
	var newest, newestTrial *api.Deployment
	for _, d := range ds {
		if newest == nil || d.CreateIndex > newest.CreateIndex {
			newest = d
		}
		if attempt != "" && meta[d.JobVersion][MetaAttempt] == attempt &&
			(newestTrial == nil || d.CreateIndex > newestTrial.CreateIndex) {
			newestTrial = d
		}
	}
	return convert(newest, meta), convert(newestTrial, meta)
}

func convert(d *api.Deployment, meta map[uint64]map[string]string) rollout.Deployment {
	if d == nil {
		return rollout.Deployment{}
	}
	out := rollout.Deployment{
		ID: d.ID, Version: d.JobVersion, Status: d.Status, Reason: d.StatusDescription,
		Release: meta[d.JobVersion][MetaRelease], Attempt: meta[d.JobVersion][MetaAttempt], Promoted: true,
	}
	for _, g := range d.TaskGroups {
		out.Canaries += g.DesiredCanaries
		out.Healthy += g.HealthyAllocs
		out.Wanted += g.DesiredTotal
		out.Promoted = out.Promoted && g.Promoted
	}
	return out
}

// count sorts the allocations by the release of their job version. Only the attempt's own count for the canary: an
// earlier attempt of the same release may have died.
func (v *View) count(allocs []*api.AllocationListStub, meta map[uint64]map[string]string, attempt, stable string) {
	for _, a := range allocs {
		m := meta[a.JobVersion]
		switch {
		case attempt != "" && m[MetaAttempt] == attempt:
			v.Canary.add(a)
		case m[MetaRelease] == stable:
			v.Stable.add(a)
		}
	}
}

func (s *Allocs) add(a *api.AllocationListStub) {
	s.IDs = append(s.IDs, a.ID)
	switch a.ClientStatus {
	case api.AllocClientStatusRunning:
		s.Running++
		if undecided(a) {
			s.Open++
		}
	case api.AllocClientStatusFailed, api.AllocClientStatusLost:
		s.Dead++
	case api.AllocClientStatusComplete:
		if a.DesiredStatus == api.AllocDesiredStatusRun {
			s.Dead++
		}
	}
	ended := a.ClientStatus == api.AllocClientStatusFailed || a.ClientStatus == api.AllocClientStatusLost
	if ended && a.DesiredStatus == api.AllocDesiredStatusRun && a.NextAllocation == "" {
		s.Stuck++
	}
	if s.Trouble == "" && (ended || a.DesiredStatus == api.AllocDesiredStatusRun) {
		s.Trouble = Trouble(a.ID, a.ClientStatus, a.TaskStates)
	}
}

// undecided says whether Nomad may be about to decide on the health of an allocation that has just been placed. Those of
// no deployment never are decided on, so that only young ones count.
func undecided(a *api.AllocationListStub) bool {
	const young = 15 * time.Second
	open := a.DeploymentStatus == nil || a.DeploymentStatus.Healthy == nil
	return open && a.DesiredStatus == api.AllocDesiredStatusRun && time.Since(time.Unix(0, a.CreateTime)) < young
}

// Trouble says in words how the tasks of an allocation ended: "allocation 1a2b3c4d, task server: Exit Code: 137"; ""
// while none has ended by itself.
func Trouble(id, status string, tasks map[string]*api.TaskState) string {
	short := id[:min(8, len(id))]
	for name, t := range tasks {
		var last *api.TaskEvent
		for _, e := range t.Events {
			if e.Type == api.TaskTerminated || e.Type == api.TaskDriverFailure || e.Type == api.TaskSetupFailure {
				last = e
			}
		}
		if last != nil && (t.Failed || t.State == "dead" || t.Restarts > 0) {
			at := time.Unix(0, last.Time).UTC().Format(time.TimeOnly)
			return fmt.Sprintf("allocation %s, task %s: %s at %s", short, name, last.DisplayMessage, at)
		}
	}
	if status == api.AllocClientStatusLost {
		return fmt.Sprintf("allocation %s: its node is lost", short)
	}
	return ""
}

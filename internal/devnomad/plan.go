package devnomad

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// planJob answers what registering a job would do, without doing it.
func (a *Agent) planJob(r *http.Request) (any, uint64, error) {
	var in struct {
		Job  *api.Job
		Diff bool
	}
	if err := decode(r, &in); err != nil {
		return nil, 0, err
	}
	switch {
	case in.Job == nil:
		return nil, 0, badRequest("Job must be specified")
	case val(in.Job.ID) == "":
		return nil, 0, badRequest("Job must have a valid ID")
	case val(in.Job.ID) != r.PathValue("id"):
		return nil, 0, badRequest("Job ID does not match")
	}
	prepare(in.Job, r.URL.Query().Get("namespace"))
	if problems := problemsOf(in.Job); len(problems) > 0 {
		return nil, 0, errors.New(listErrors(problems))
	}
	var out planned
	a.store.read(func() { out = a.store.dryRun(in.Job, in.Diff) })
	return out, 0, nil
}

// planned answers a dry run.
type planned struct {
	Annotations        *api.PlanAnnotations
	FailedTGAllocs     map[string]*api.AllocationMetric
	JobModifyIndex     uint64
	CreatedEvals       []*evaluation
	Diff               *api.JobDiff
	NextPeriodicLaunch *string
	Warnings           string
	Index              uint64
}

func (s *store) dryRun(job *api.Job, diff bool) planned {
	id := val(job.ID)
	current := s.jobs[id]
	next := *job
	next.Version, next.JobModifyIndex, next.CreateIndex = new(uint64(0)), new(s.index+1), new(s.index+1)
	if current != nil {
		next.Version, next.CreateIndex = new(val(current.Version)+1), current.CreateIndex
		if sameSpec(current, job) && !val(current.Stop) {
			next = *current
		}
	}
	tx := &txn{store: s, now: s.now()}
	p := tx.planWith(&next, id, "", val(job.Priority))
	out := planned{Annotations: &api.PlanAnnotations{DesiredTGUpdates: p.groups}}
	if current != nil {
		out.JobModifyIndex = val(current.JobModifyIndex)
	}
	if diff {
		out.Diff = diffJobs(current, job, &p)
	}
	return out
}

func union[V any](a, b map[string]V) []string {
	var keys []string
	for _, m := range []map[string]V{a, b} {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, cmp.Compare)
	return slices.Compact(keys)
}

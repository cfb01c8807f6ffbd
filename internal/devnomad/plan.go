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
	FailedTGAllocs     map[string]*failedPlace
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
	tx := &txn{store: s, now: s.now(), delta: map[string]usage{}}
	p := tx.planWith(&next, id, "", val(job.Priority))
	out := planned{Annotations: &api.PlanAnnotations{DesiredTGUpdates: p.groups}, FailedTGAllocs: tx.tryPlaces(p, &next)}
	if current != nil {
		out.JobModifyIndex = val(current.JobModifyIndex)
	}
	if diff {
		out.Diff = diffJobs(current, job, &p)
	}
	return out
}

// tryPlaces looks for places for what a plan places, without placing it, and returns the groups for which there is none.
func (tx *txn) tryPlaces(p plan, job *api.Job) map[string]*failedPlace {
	var failed map[string]*failedPlace
	for _, s := range p.stop {
		tx.planned(s.alloc.NodeID, takenBy(s.alloc), -1)
	}
	for _, pl := range p.place {
		if failed == nil {
			failed = map[string]*failedPlace{}
		}
		if place := tx.findPlace(pl, job, pl.group, failed); place.node != nil {
			tx.planned(place.node.ID, usageOf(place.resources), 1)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed
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

package devnomad

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/jobspec"
)

func (a *Agent) jobRoutes() map[string]methods {
	get, put, del := http.MethodGet, http.MethodPut, http.MethodDelete
	return map[string]methods{
		"/v1/jobs":                 {get: a.read(listJobs), put: a.act(a.registerJob)},
		"/v1/jobs/parse":           {put: plain(parseJob)},
		"/v1/validate/job":         {put: plain(validateJob)},
		"/v1/job/{id}":             {get: a.read(getJob), put: a.act(a.registerJob), del: a.act(a.deregisterJob)},
		"/v1/job/{id}/versions":    {get: a.read(jobVersions)},
		"/v1/job/{id}/summary":     {get: a.read(jobSummary)},
		"/v1/job/{id}/submission":  {get: a.read(jobSubmission)},
		"/v1/job/{id}/deployment":  {get: a.read(jobDeployment)},
		"/v1/job/{id}/deployments": {get: a.read(jobDeployments)},
		"/v1/job/{id}/allocations": {get: a.read(jobAllocations)},
		"/v1/job/{id}/evaluations": {get: a.read(jobEvaluations)},
		"/v1/job/{id}/plan":        {put: a.act(a.planJob)},
		"/v1/job/{id}/revert":      {put: a.act(a.revertJob)},
		"/v1/job/{id}/stable":      {put: a.act(a.stableJob)},
		"/v1/job/{id}/evaluate":    {put: a.act(a.evaluateJob)},
		"/v1/job/{id}/scale":       {get: a.read(scaleStatus), put: a.act(a.scaleJob)},
	}
}

func listJobs(r *http.Request) query {
	prefix := r.URL.Query().Get("prefix")
	return func(s *store) (any, uint64, error) {
		all := sorted(s.jobs, func(j *api.Job) bool { return strings.HasPrefix(val(j.ID), prefix) }, compareJobs)
		token := func(j *api.Job) string { return val(j.Namespace) + "." + val(j.ID) }
		out, err := page(r, all, token, func(j *api.Job) jobStub { return newJobStub(s, j) })
		return out, max(s.tables["jobs"], s.tables["allocs"]), err
	}
}

func compareJobs(a, b *api.Job) int { return strings.Compare(val(a.ID), val(b.ID)) }

// jobQuery makes a query of what there is about one job.
func jobQuery(missing error, table string, answer func(s *store, id string, job *api.Job) (any, uint64)) func(*http.Request) query {
	return func(r *http.Request) query {
		return func(s *store) (any, uint64, error) {
			id := r.PathValue("id")
			job := s.jobs[id]
			if job == nil && missing != nil {
				return nil, s.tables[table], missing
			}
			value, index := answer(s, id, job)
			return value, index, nil
		}
	}
}

var errNoJob = notFound("job not found")

var getJob = jobQuery(errNoJob, "jobs", func(_ *store, _ string, job *api.Job) (any, uint64) {
	return jobDoc(job), val(job.ModifyIndex)
})

func jobVersions(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		versions := s.versions[r.PathValue("id")]
		if len(versions) == 0 {
			return nil, s.tables["jobs"], notFound("job versions not found")
		}
		out := map[string]any{"Diffs": nil, "KnownLeader": true, "LastContact": 0, "NextToken": ""}
		docs, index, diffs := []any{}, uint64(0), []any{}
		for i, j := range versions {
			docs = append(docs, jobDoc(j))
			index = max(index, val(j.ModifyIndex))
			if i > 0 {
				diffs = append(diffs, diffJobs(j, versions[i-1], nil))
			}
		}
		if with, _ := strconv.ParseBool(r.URL.Query().Get("diffs")); with && len(diffs) > 0 {
			out["Diffs"] = diffs
		}
		out["Versions"], out["Index"] = docs, index
		return out, index, nil
	}
}

var jobSummary = jobQuery(errNoJob, "jobs", func(s *store, _ string, job *api.Job) (any, uint64) {
	out := summary(s, job)
	return out, out.ModifyIndex
})

var jobDeployment = jobQuery(nil, "", func(s *store, id string, _ *api.Job) (any, uint64) {
	d := s.latestDeployment(id)
	if d == nil {
		return nil, s.tables["deployment"]
	}
	return d, d.ModifyIndex
})

var jobDeployments = jobQuery(nil, "", func(s *store, id string, _ *api.Job) (any, uint64) {
	return s.jobDeployments(id), s.tables["deployment"]
})

var jobAllocations = jobQuery(nil, "", func(s *store, id string, _ *api.Job) (any, uint64) {
	return stubs(s.jobAllocs(id)), s.tables["allocs"]
})

var jobEvaluations = jobQuery(nil, "", func(s *store, id string, _ *api.Job) (any, uint64) {
	return s.jobEvals(id), s.tables["evals"]
})

func jobSubmission(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		version, err := strconv.ParseUint(r.URL.Query().Get("version"), 10, 64)
		if err != nil {
			return nil, 0, badRequest("Unable to parse job submission version parameter")
		}
		submission := s.submissions[r.PathValue("id")][version]
		if submission == nil {
			return nil, s.tables["jobs"], notFound("job source not found")
		}
		return submission, s.tables["jobs"], nil
	}
}

// readRegistration reads a job from a request and checks it against the path.
func readRegistration(r *http.Request) (registration, error) {
	var in registration
	if err := decode(r, &in); err != nil {
		return in, err
	}
	switch id := r.PathValue("id"); {
	case in.Job == nil:
		return in, badRequest("Job must be specified")
	case val(in.Job.ID) == "":
		return in, badRequest("Job ID hasn't been provided")
	case id != "" && id != val(in.Job.ID):
		return in, badRequest("Job ID does not match name")
	}
	prepare(in.Job, r.URL.Query().Get("namespace"))
	return in, nil
}

func (a *Agent) registerJob(r *http.Request) (any, uint64, error) {
	in, err := readRegistration(r)
	if err != nil {
		return nil, 0, err
	}
	if problems := problemsOf(in.Job); len(problems) > 0 {
		return nil, 0, fmt.Errorf("%s", listErrors(problems))
	}
	var out registered
	index, err := a.write("JobRegistered", func(tx *txn) error {
		out, err = tx.register(in)
		return err
	})
	return out, index, err
}

func (a *Agent) deregisterJob(r *http.Request) (any, uint64, error) {
	purge, _ := strconv.ParseBool(r.URL.Query().Get("purge"))
	out := struct {
		registered
		VolumeEvalID    string
		VolumeEvalIndex uint64
	}{}
	index := uint64(0)
	_, _ = a.write("JobDeregistered", func(tx *txn) error {
		if job := a.view(r).jobs[r.PathValue("id")]; job != nil {
			out.registered, index = tx.deregister(job, purge), tx.index
		}
		return nil
	})
	return out, index, nil
}

// decodeFor reads a body that names the job of the path.
func decodeFor(r *http.Request, into any, jobID *string) error {
	if err := decode(r, into); err != nil {
		return err
	}
	if *jobID != r.PathValue("id") {
		return badRequest("Job ID does not match")
	}
	return nil
}

func (a *Agent) revertJob(r *http.Request) (any, uint64, error) {
	var in struct {
		JobID               string
		JobVersion          uint64
		EnforcePriorVersion *uint64
	}
	if err := decodeFor(r, &in, &in.JobID); err != nil {
		return nil, 0, err
	}
	var out registered
	index, err := a.write("JobRegistered", func(tx *txn) (err error) {
		out, err = tx.revert(in.JobID, in.JobVersion, in.EnforcePriorVersion)
		return err
	})
	return out, index, err
}

func (a *Agent) stableJob(r *http.Request) (any, uint64, error) {
	var in struct {
		JobID      string
		JobVersion uint64
		Stable     bool
	}
	if err := decodeFor(r, &in, &in.JobID); err != nil {
		return nil, 0, err
	}
	index, err := a.write("JobStability", func(tx *txn) error {
		if !tx.setStable(in.JobID, in.JobVersion, in.Stable) {
			return noVersion(in.JobID, in.JobVersion)
		}
		return nil
	})
	return map[string]uint64{"Index": index}, index, err
}

func (a *Agent) evaluateJob(r *http.Request) (any, uint64, error) {
	var in struct {
		JobID       string
		EvalOptions struct{ ForceReschedule bool }
	}
	if r.ContentLength != 0 { // Nomad's own client sends none where it wants nothing special
		if err := decodeFor(r, &in, &in.JobID); err != nil {
			return nil, 0, err
		}
	}
	var out registered
	index, err := a.write("JobRegistered", func(tx *txn) error {
		job := tx.jobs[r.PathValue("id")]
		if job == nil {
			return fmt.Errorf("%w", errJobGone)
		}
		if in.EvalOptions.ForceReschedule {
			tx.forceReschedule(job)
		}
		out = tx.evaluated(job, byRegister, 0)
		return nil
	})
	return out, index, err
}

var errJobGone = &httpError{http.StatusInternalServerError, "job not found"}

// forceReschedule has the failed allocations of a job replaced at once, where its groups reschedule at all.
func (tx *txn) forceReschedule(job *api.Job) {
	for _, failed := range tx.jobAllocs(val(job.ID)) {
		g := lookupGroup(job, failed.TaskGroup)
		if g == nil || g.ReschedulePolicy == nil || !val(g.ReschedulePolicy.Unlimited) && val(g.ReschedulePolicy.Attempts) == 0 {
			continue
		}
		if failed.ClientStatus == api.AllocClientStatusFailed && !serverTerminal(failed) && failed.NextAllocation == "" {
			a := *failed
			a.DesiredTransition.ForceReschedule = new(true)
			tx.putAlloc(&a)
		}
	}
}

var scaleStatus = jobQuery(errNoJob, "jobs", func(s *store, id string, job *api.Job) (any, uint64) {
	out := api.JobScaleStatusResponse{
		JobID: id, Namespace: val(job.Namespace), JobCreateIndex: val(job.CreateIndex), JobModifyIndex: val(job.JobModifyIndex),
		JobStopped: val(job.Stop), TaskGroups: map[string]api.TaskGroupScaleStatus{},
	}
	for _, g := range job.TaskGroups {
		status := api.TaskGroupScaleStatus{Desired: val(g.Count), Events: []api.ScalingEvent{}}
		for _, a := range s.jobAllocs(id) {
			if a.TaskGroup != val(g.Name) || terminal(a) {
				continue
			}
			status.Placed++
			status.Running += boolInt(a.ClientStatus == api.AllocClientStatusRunning)
			status.Healthy += boolInt(isHealthy(a))
			status.Unhealthy += boolInt(isUnhealthy(a))
		}
		out.TaskGroups[val(g.Name)] = status
	}
	return out, max(val(job.ModifyIndex), s.tables["allocs"])
})

func (a *Agent) scaleJob(r *http.Request) (any, uint64, error) {
	var in struct {
		Count  *int64
		Target map[string]string
	}
	if err := decode(r, &in); err != nil {
		return nil, 0, err
	}
	group := in.Target["Group"]
	if group == "" {
		return nil, 0, badRequest("missing task group name for scaling action")
	}
	var out registered
	index, err := a.write("JobRegistered", func(tx *txn) (err error) {
		job := tx.jobs[r.PathValue("id")]
		switch {
		case job == nil:
			return notFound("job " + strconv.Quote(r.PathValue("id")) + " not found")
		case lookupGroup(job, group) == nil:
			return badRequest(fmt.Sprintf("task group %q specified for scaling does not exist in job", group))
		case in.Count == nil:
			out = registered{Index: tx.store.index, JobModifyIndex: val(job.JobModifyIndex)}
			return nil
		case *in.Count < 0:
			return badRequest("scaling action count can't be negative")
		}
		if out, err = tx.scale(job, group, int(*in.Count)); err != nil {
			return badRequest(err.Error())
		}
		return nil
	})
	return out, index, err
}

// parseJob turns HCL into a job.
func parseJob(r *http.Request) (any, error) {
	var in api.JobsParseRequest
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.JobHCL == "" {
		return nil, badRequest("Job spec is empty")
	}
	vars := jobspec.Vars{}
	if in.Variables != "" {
		vars.Files = []jobspec.File{{Name: "input.vars.hcl", Src: []byte(in.Variables)}}
	}
	job, err := jobspec.Parse("input.hcl", []byte(in.JobHCL), vars)
	if err != nil {
		return nil, badRequest("Failed to parse job: " + err.Error())
	}
	if in.Canonicalize {
		job.Canonicalize()
	}
	return job, nil
}

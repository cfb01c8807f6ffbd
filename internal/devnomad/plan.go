package devnomad

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
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
		out.Diff = diffJobs(current, job, p)
	}
	return out
}

// serverFields are set by the server and no part of a difference.
var serverFields = []string{
	"Status", "StatusDescription", "Stable", "Version", "SubmitTime", "CreateIndex", "ModifyIndex", "JobModifyIndex", "Stop",
}

// diffJobs shows what changes from one job to another: plain fields by name, everything below as one object per block.
func diffJobs(from, to *api.Job, p plan) *api.JobDiff {
	a, b := docOf(from), docOf(to)
	for _, m := range []map[string]any{a, b} {
		for _, f := range serverFields {
			delete(m, f)
		}
	}
	d := diffObject("", a, b, "TaskGroups")
	out := &api.JobDiff{Type: d.Type, ID: val(to.ID), Fields: d.Fields, Objects: d.Objects}
	before, after := named(a["TaskGroups"]), named(b["TaskGroups"])
	for _, name := range union(before, after) {
		g := diffGroup(name, before[name], after[name], p)
		if g.Type != "None" && out.Type == "None" {
			out.Type = "Edited"
		}
		out.TaskGroups = append(out.TaskGroups, g)
	}
	return out
}

func docOf(job *api.Job) map[string]any {
	if job == nil {
		return map[string]any{}
	}
	doc, _ := prune(jobDoc(job)).(map[string]any)
	return doc
}

func diffGroup(name string, a, b map[string]any, p plan) *api.TaskGroupDiff {
	d := diffObject(name, a, b, "Tasks")
	out := &api.TaskGroupDiff{Type: d.Type, Name: name, Fields: d.Fields, Objects: d.Objects, Updates: map[string]uint64{}}
	if u := p.groups[name]; u != nil {
		for label, n := range map[string]uint64{
			"create": u.Place, "destroy": u.Stop, "migrate": u.Migrate, "canary": u.Canary, "ignore": u.Ignore,
			"in-place update": u.InPlaceUpdate, "create/destroy update": u.DestructiveUpdate,
		} {
			if n > 0 {
				out.Updates[label] = n
			}
		}
	}
	before, after := named(a["Tasks"]), named(b["Tasks"])
	for _, task := range union(before, after) {
		t := diffObject(task, before[task], after[task], "")
		if t.Type != "None" && out.Type == "None" {
			out.Type = "Edited"
		}
		td := &api.TaskDiff{Type: t.Type, Name: task, Fields: t.Fields, Objects: t.Objects}
		switch t.Type {
		case "Added":
			td.Annotations = []string{"forces create"}
		case "Deleted":
			td.Annotations = []string{"forces destroy"}
		case "Edited":
			td.Annotations = []string{"forces create/destroy update"}
		}
		out.Tasks = append(out.Tasks, td)
	}
	return out
}

// diffObject compares two objects; the key skip is left to the caller.
func diffObject(name string, a, b map[string]any, skip string) *api.ObjectDiff {
	out := &api.ObjectDiff{Name: name, Type: kindOf(len(a) == 0, len(b) == 0, reflect.DeepEqual(a, b))}
	for _, key := range union(a, b) {
		if key == skip || reflect.DeepEqual(a[key], b[key]) {
			continue
		}
		if isPlain(a[key]) && isPlain(b[key]) {
			out.Fields = append(out.Fields, &api.FieldDiff{
				Type: kindOf(a[key] == nil, b[key] == nil, false), Name: key, Old: text(a[key]), New: text(b[key]),
			})
			continue
		}
		out.Objects = append(out.Objects, diffObject(key, asObject(a[key]), asObject(b[key]), ""))
	}
	return out
}

func kindOf(noOld, noNew, equal bool) string {
	switch {
	case equal || noOld && noNew:
		return "None"
	case noOld:
		return "Added"
	case noNew:
		return "Deleted"
	}
	return "Edited"
}

func isPlain(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// asObject makes an object of a list: by name where its items have one, else by position.
func asObject(v any) map[string]any {
	if list, ok := v.([]any); ok {
		out := map[string]any{}
		for i, item := range list {
			out[fmt.Sprint(i)] = item
		}
		return out
	}
	m, _ := v.(map[string]any)
	return m
}

func text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case float64:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprint(v)
}

func named(v any) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, m := range objects(v) {
		name, _ := m["Name"].(string)
		out[name] = m
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

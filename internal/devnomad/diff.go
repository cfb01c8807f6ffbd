package devnomad

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// diffJobs shows what changes from one version of a job to another, as Nomad's plan and history do: of the job, its
// groups and tasks only the fields that differ, of a block that differs all fields. With a plan it also says what the
// changes do to allocations.
func diffJobs(from, to *api.Job, p *plan) *api.JobDiff {
	a, b := diffDoc(from), diffDoc(to)
	fields, objects := jobShape.compare(a, b)
	out := &api.JobDiff{ID: val(to.ID), Fields: fields, Objects: objects}
	edited := len(fields)+len(objects) > 0
	before, after := named(a["TaskGroups"]), named(b["TaskGroups"])
	for _, name := range union(before, after) {
		g := diffGroup(name, before[name], after[name], p)
		edited = edited || g.Type != diffNone
		out.TaskGroups = append(out.TaskGroups, g)
	}
	out.Type = kindOf(a, b, edited)
	return out
}

// diffDoc is the document of a job with the constraints that its blocks imply.
func diffDoc(job *api.Job) map[string]any {
	doc, _ := jobDoc(job).(map[string]any)
	for _, g := range objects(doc["TaskGroups"]) {
		constraints, _ := g["Constraints"].([]any)
		for _, c := range impliedConstraints(lookupGroup(job, asText(g["Name"]))) {
			constraints = append(constraints, toMap(c))
		}
		g["Constraints"] = constraints
	}
	return doc
}

// impliedConstraints are what a group needs of its node without saying so: Consul, and the signals that it names.
func impliedConstraints(g *api.TaskGroup) []*api.Constraint {
	var out []*api.Constraint
	services, signals := slices.Clone(g.Services), map[string]bool{}
	for _, t := range g.Tasks {
		services = append(services, t.Services...)
		signals[t.KillSignal] = true
		for _, tmpl := range t.Templates {
			signals[val(tmpl.ChangeSignal)] = true
		}
	}
	if slices.ContainsFunc(services, func(s *api.Service) bool { return s.Provider == "consul" }) {
		out = append(out, api.NewConstraint("${attr.consul.version}", "semver", ">= 1.7.0"))
	}
	delete(signals, "")
	if len(signals) > 0 {
		out = append(out, api.NewConstraint("${attr.os.signals}", "set_contains", strings.Join(union(signals, nil), ",")))
	}
	return out
}

func diffGroup(name string, a, b map[string]any, p *plan) *api.TaskGroupDiff {
	out := &api.TaskGroupDiff{Name: name}
	out.Fields, out.Objects = groupShape.compare(a, b)
	edited := len(out.Fields)+len(out.Objects) > 0
	before, after := named(a["Tasks"]), named(b["Tasks"])
	for _, task := range union(before, after) {
		t := diffTask(task, before[task], after[task])
		edited = edited || t.Type != diffNone
		out.Tasks = append(out.Tasks, t)
	}
	out.Type = kindOf(a, b, edited)
	if out.Type != diffEdited { // as in Nomad
		out.Fields = slices.DeleteFunc(out.Fields, func(f *api.FieldDiff) bool { return f.Name == "ShutdownDelay" })
	}
	if p != nil {
		annotate(out, p)
	}
	return out
}

func diffTask(name string, a, b map[string]any) *api.TaskDiff {
	out := &api.TaskDiff{Name: name}
	out.Fields, out.Objects = taskShape.compare(a, b)
	out.Type = kindOf(a, b, len(out.Fields)+len(out.Objects) > 0 || !same(a["RestartPolicy"], b["RestartPolicy"]))
	return out
}

// annotate adds what a group's changes do to its allocations.
func annotate(g *api.TaskGroupDiff, p *plan) {
	g.Updates = map[string]uint64{}
	if u := p.groups[g.Name]; u != nil {
		for label, n := range map[string]uint64{
			"create": u.Place, "destroy": u.Stop, "migrate": u.Migrate, "canary": u.Canary, "ignore": u.Ignore,
			"in-place update": u.InPlaceUpdate, "create/destroy update": u.DestructiveUpdate,
		} {
			if n > 0 {
				g.Updates[label] = n
			}
		}
	}
	for _, f := range g.Fields {
		if f.Name == "Count" {
			f.Annotations = []string{"forces create"}
			if len(f.New) < len(f.Old) || len(f.New) == len(f.Old) && f.New < f.Old {
				f.Annotations = []string{"forces destroy"}
			}
		}
	}
	for _, t := range g.Tasks {
		if what := effect(g, t); what != "" {
			t.Annotations = []string{what}
		}
	}
}

// effect says what the change of a task does.
func effect(g *api.TaskGroupDiff, t *api.TaskDiff) string {
	switch {
	case t.Type == diffNone:
		return ""
	case g.Type == diffAdded:
		return "forces create"
	case g.Type == diffDeleted:
		return "forces destroy"
	}
	destructive := t.Type != diffEdited ||
		slices.ContainsFunc(t.Fields, func(f *api.FieldDiff) bool { return f.Name != "KillTimeout" }) ||
		slices.ContainsFunc(t.Objects, func(o *api.ObjectDiff) bool { return o.Name != "Service" && o.Name != "Constraint" })
	if destructive {
		return "forces create/destroy update"
	}
	return "forces in-place update"
}

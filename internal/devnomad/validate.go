package devnomad

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// prepare brings a submitted job to the form in which it is stored: every default filled in, nothing that only the
// server sets.
func prepare(job *api.Job, namespace string) {
	job.Stable, job.Status, job.StatusDescription, job.Stop = new(false), new(""), new(""), new(false)
	job.Version, job.CreateIndex, job.ModifyIndex, job.JobModifyIndex, job.SubmitTime = nil, nil, nil, nil, nil
	if namespace != "" && (namespace != api.DefaultNamespace || val(job.Namespace) == "") {
		job.Namespace = new(namespace)
	}
	job.Canonicalize()
	if val(job.NodePool) == "" {
		job.NodePool = new("default")
	}
	if len(job.Datacenters) == 0 {
		job.Datacenters = []string{"*"}
	}
	if job.Update != nil { // the groups have it now
		job.Update = &api.UpdateStrategy{
			Stagger: job.Update.Stagger, MaxParallel: job.Update.MaxParallel, Canary: new(0), HealthCheck: new(""),
			MinHealthyTime: new(time.Duration(0)), HealthyDeadline: new(time.Duration(0)),
			ProgressDeadline: new(time.Duration(0)), AutoRevert: new(false), AutoPromote: new(false),
		}
	}
	job.Reschedule, job.Migrate = nil, nil
}

// problemsOf lists what is wrong with a job, in Nomad's words and nesting.
func problemsOf(job *api.Job) []string {
	var out []string
	if ns := val(job.Namespace); ns != api.DefaultNamespace {
		return []string{fmt.Sprintf("job %q is in nonexistent namespace %q", val(job.ID), ns)}
	}
	if strings.ContainsAny(val(job.ID), " \x00") {
		out = append(out, "Job ID contains a space")
	}
	if !slices.Contains([]string{"service", "batch", "system", "sysbatch"}, val(job.Type)) {
		out = append(out, fmt.Sprintf("Invalid job type: %q", val(job.Type)))
	}
	out = append(out, placementProblems(job)...)
	out = append(out, unsupported(job)...)
	if len(job.TaskGroups) == 0 {
		out = append(out, "Missing job task groups")
	}
	seen := map[string]int{}
	for i, g := range job.TaskGroups {
		name := val(g.Name)
		if first, taken := seen[name]; taken {
			out = append(out, fmt.Sprintf("Job task group %d redefines '%s' from group %d", i+1, name, first))
			continue
		}
		seen[name] = i + 1
		if inner := groupProblems(job, g); len(inner) > 0 {
			out = append(out, fmt.Sprintf("Task group %s validation failed: %s", name, listErrors(inner)))
		}
	}
	return out
}

func groupProblems(job *api.Job, g *api.TaskGroup) []string {
	var out []string
	if len(g.Tasks) == 0 {
		out = append(out, "Missing tasks for task group")
	}
	if val(g.Count) < 0 {
		out = append(out, "Task group count can't be negative")
	}
	if u := g.Update; u != nil && val(job.Type) == api.JobTypeService {
		if inner := updateProblems(u); len(inner) > 0 {
			out = append(out, listErrors(inner))
		}
	}
	if inner := restartProblems(g.RestartPolicy); len(inner) > 0 {
		out = append(out, listErrors(inner))
	}
	if inner := serviceProblems("Service[%d] %s", g.Services); len(inner) > 0 {
		out = append(out, "Task group service validation failed: "+listErrors(inner))
	}
	for _, t := range g.Tasks {
		if inner := taskProblems(g, t); len(inner) > 0 {
			out = append(out, fmt.Sprintf("Task %s validation failed: %s", t.Name, listErrors(inner)))
		}
	}
	return out
}

func restartProblems(r *api.RestartPolicy) []string {
	var out []string
	if r == nil {
		return nil
	}
	if !slices.Contains([]string{"fail", "delay"}, val(r.Mode)) {
		out = append(out, fmt.Sprintf("Unsupported restart mode: %q", val(r.Mode)))
	}
	if val(r.Attempts) == 0 && val(r.Mode) != "fail" {
		out = append(out, fmt.Sprintf("Restart policy %q with %d attempts is ambiguous", val(r.Mode), 0))
	}
	return out
}

func updateProblems(u *api.UpdateStrategy) []string {
	var out []string
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	check, healthy, deadline := val(u.HealthCheck), val(u.MinHealthyTime), val(u.HealthyDeadline)
	progress, canary := val(u.ProgressDeadline), val(u.Canary)
	add(!slices.Contains([]string{"", "checks", "task_states", "manual"}, check), "Invalid health check given: %q", check)
	add(val(u.MaxParallel) < 0, "Max parallel can not be less than zero: %d < 0", val(u.MaxParallel))
	add(canary < 0, "Canary count can not be less than zero: %d < 0", canary)
	add(canary == 0 && val(u.AutoPromote), "Auto Promote requires a Canary count greater than zero")
	add(healthy < 0, "Minimum healthy time may not be less than zero: %v", healthy)
	add(deadline <= 0, "Healthy deadline must be greater than zero: %v", deadline)
	add(progress < 0, "Progress deadline must be zero or greater: %v", progress)
	add(healthy >= deadline, "Minimum healthy time must be less than healthy deadline: %v > %v", healthy, deadline)
	add(progress != 0 && deadline >= progress, "Healthy deadline must be less than progress deadline: %v > %v", deadline, progress)
	add(val(u.Stagger) <= 0, "Stagger must be greater than zero: %v", val(u.Stagger))
	return out
}

func taskProblems(g *api.TaskGroup, t *api.Task) []string {
	var out []string
	if t.Name == "" {
		out = append(out, "Missing task name")
	}
	if t.Driver != "raw_exec" && t.Driver != "docker" {
		out = append(out, fmt.Sprintf("driver %q is not available: the embedded agent runs raw_exec and docker tasks only; "+
			"set driver to one of these, or use a Nomad cluster", t.Driver))
	}
	if g.Update != nil && val(g.Update.ProgressDeadline) > 0 && val(t.KillTimeout) > val(g.Update.ProgressDeadline) {
		out = append(out, fmt.Sprintf("KillTimout (%s) longer than the group's ProgressDeadline (%s)",
			val(t.KillTimeout), val(g.Update.ProgressDeadline)))
	}
	if inner := logProblems(g, t.LogConfig); len(inner) > 0 {
		out = append(out, listErrors(inner))
	}
	if inner := taskServiceProblems(g, t.Services); len(inner) > 0 {
		out = append(out, listErrors(inner))
	}
	return out
}

func logProblems(g *api.TaskGroup, logs *api.LogConfig) []string {
	var out []string
	files, size := val(logs.MaxFiles), val(logs.MaxFileSizeMB)
	if disk := val(g.EphemeralDisk.SizeMB); disk < files*size {
		out = append(out, fmt.Sprintf("log storage (%d MB) must be less than requested disk capacity (%d MB)", files*size, disk))
	}
	if files < 1 {
		out = append(out, fmt.Sprintf("minimum number of files is 1; got %d", files))
	}
	if size < 1 {
		out = append(out, fmt.Sprintf("minimum file size is 1MB; got %d", size))
	}
	return out
}

// taskServiceProblems are those of a task's services, which may name only ports of the group.
func taskServiceProblems(g *api.TaskGroup, services []*api.Service) []string {
	out := serviceProblems("service[%d] %q", services)
	users := map[string][]string{} // port label → services
	for _, s := range services {
		if s.PortLabel != "" {
			users[s.PortLabel] = append(users[s.PortLabel], s.Name)
		}
		for _, c := range s.Checks {
			if portless(s, c) {
				out = append(out, fmt.Sprintf("check %q is missing a port", c.Name))
			}
		}
	}
	for _, label := range union(users, nil) {
		if !hasPort(g, label) {
			out = append(out, fmt.Sprintf("port label %q referenced by services %s does not exist", label, strings.Join(users[label], ",")))
		}
	}
	return out
}

func portless(s *api.Service, c api.ServiceCheck) bool {
	return s.PortLabel == "" && c.PortLabel == "" && c.Type != "script"
}

func hasPort(g *api.TaskGroup, label string) bool {
	return slices.ContainsFunc(g.Networks, func(n *api.NetworkResource) bool {
		return slices.ContainsFunc(slices.Concat(n.ReservedPorts, n.DynamicPorts), func(p api.Port) bool { return p.Label == label })
	})
}

// serviceProblems lists what is wrong with services; title is how a message calls one, by its index and name.
func serviceProblems(title string, services []*api.Service) []string {
	var out []string
	for i, s := range services {
		if inner := checkProblems(s); len(inner) > 0 {
			out = append(out, fmt.Sprintf(title+" validation failed: %s", i, s.Name, listErrors(inner)))
		}
		if s.Provider == "nomad" {
			out = append(out, fmt.Sprintf("service %q has provider \"nomad\", which the embedded agent has not; "+
				"set provider to \"consul\"", s.Name))
		}
	}
	return out
}

func checkProblems(s *api.Service) []string {
	var out []string
	for _, c := range s.Checks {
		c.Name = cmp.Or(c.Name, fmt.Sprintf("service: %q check", s.Name))
		switch {
		case portless(s, c):
			out = append(out, fmt.Sprintf("Check %s invalid: check requires a port but neither check nor service %q have a port",
				c.Name, s.Name))
		case !slices.Contains([]string{"http", "tcp", "script"}, c.Type):
			out = append(out, fmt.Sprintf("check %q has type %q, which the embedded agent has not; use http, tcp or script",
				c.Name, c.Type))
		case c.Type == "http" && c.Path == "":
			out = append(out, fmt.Sprintf("Check %s invalid: http type must have http path", c.Name))
		case c.Interval == 0:
			out = append(out, fmt.Sprintf("Check %s invalid: missing required value interval. Interval cannot be less than 1s", c.Name))
		case c.Interval < time.Second:
			out = append(out, fmt.Sprintf("Check %s invalid: interval (%v) cannot be lower than 1s", c.Name, c.Interval))
		case c.Timeout == 0:
			out = append(out, fmt.Sprintf("Check %s invalid: missing required value timeout. Timeout cannot be less than 1s", c.Name))
		case c.Timeout < time.Second:
			out = append(out, fmt.Sprintf("Check %s invalid: timeout (%v) is lower than required minimum timeout 1s", c.Name, c.Timeout))
		}
	}
	return out
}

// listErrors lists complaints as Nomad's API does.
func listErrors(complaints []string) string {
	head := "1 error occurred:"
	if len(complaints) != 1 {
		head = fmt.Sprintf("%d errors occurred:", len(complaints))
	}
	return head + "\n\t* " + strings.Join(complaints, "\n\t* ") + "\n\n"
}

// validateJob checks a job without registering it.
func validateJob(r *http.Request) (any, error) {
	in, err := readRegistration(r)
	if err != nil {
		return nil, err
	}
	out := api.JobValidateResponse{DriverConfigValidated: true, ValidationErrors: problemsOf(in.Job)}
	if len(out.ValidationErrors) > 0 {
		out.Error = listErrors(out.ValidationErrors)
	}
	return out, nil
}

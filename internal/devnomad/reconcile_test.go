package devnomad

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// testJob is a job of three instances; env is what makes versions differ.
func testJob(version uint64, canary, parallel int, env string) *api.Job {
	job := &api.Job{
		ID: new("m"), Type: new("service"), Version: new(version), CreateIndex: new(uint64(1)), JobModifyIndex: new(10 + version),
		TaskGroups: []*api.TaskGroup{{
			Name: new("g"), Count: new(3), Update: &api.UpdateStrategy{Canary: new(canary), MaxParallel: new(parallel)},
			ReschedulePolicy: &api.ReschedulePolicy{Unlimited: new(true), Delay: new(5 * time.Second), DelayFunction: new("constant")},
			Tasks:            []*api.Task{{Name: "t", Driver: "raw_exec", Env: map[string]string{"V": env}}},
		}},
	}
	return job
}

// ran returns the allocations of a job version, healthy in deployment d.
func ran(job *api.Job, d string, n int) []*api.Allocation {
	var out []*api.Allocation
	for i := range n {
		out = append(out, &api.Allocation{
			ID: fmt.Sprintf("v%d-%d", *job.Version, i), Name: fmt.Sprintf("m.g[%d]", i), JobID: "m", Job: job, TaskGroup: "g",
			DeploymentID: d, DeploymentStatus: &api.AllocDeploymentStatus{Healthy: new(true)},
			DesiredStatus: api.AllocDesiredStatusRun, ClientStatus: api.AllocClientStatusRunning,
			CreateIndex: *job.JobModifyIndex,
		})
	}
	return out
}

func running(job *api.Job, g groupState) *deployment {
	return &deployment{
		ID: fmt.Sprintf("d%d", *job.Version), JobID: "m", JobVersion: *job.Version, JobCreateIndex: 1,
		Status: api.DeploymentStatusRunning, TaskGroups: map[string]*groupState{"g": &g},
	}
}

func succeeded(job *api.Job) *deployment {
	d := running(job, groupState{DesiredTotal: 3, HealthyAllocs: 3})
	d.Status = api.DeploymentStatusSuccessful
	return d
}

// brief writes a plan down in one line.
func brief(p plan) string {
	var out []string
	for _, e := range p.ended {
		out = append(out, e.status)
	}
	if p.created != nil {
		g := p.created.TaskGroups["g"]
		out = append(out, fmt.Sprintf("deploy(%d,%d)", g.DesiredTotal, g.DesiredCanaries))
	}
	for _, s := range p.stop {
		out = append(out, "stop "+s.alloc.ID)
	}
	for _, a := range p.inplace {
		out = append(out, "inplace "+a.ID)
	}
	for _, pl := range p.place {
		kind := "place"
		switch {
		case pl.canary:
			kind = "canary"
		case pl.old:
			kind = "place-old"
		}
		out = append(out, kind+" "+strings.TrimPrefix(pl.name, "m.g"))
	}
	for a := range p.later {
		out = append(out, "later "+a.ID)
	}
	return strings.Join(out, ", ")
}

func TestReconcile(t *testing.T) {
	v0, v1 := testJob(0, 1, 1, "a"), testJob(1, 1, 1, "b")
	green := testJob(1, 3, 3, "b")
	sameTask := testJob(1, 1, 2, "a")
	canary := ran(v1, "d1", 1)
	canary[0].DeploymentStatus.Canary = true
	canarying := groupState{DesiredTotal: 3, DesiredCanaries: 1, PlacedCanaries: []string{"v1-0"}, PlacedAllocs: 1, HealthyAllocs: 1}
	promoted := canarying
	promoted.Promoted = true
	failed := func(a []*api.Allocation, allowed bool) []*api.Allocation {
		dead := *a[0]
		dead.ClientStatus, dead.DesiredTransition.Reschedule = api.AllocClientStatusFailed, new(allowed)
		dead.TaskStates = map[string]*api.TaskState{"t": {FinishedAt: t0.Add(-time.Minute)}}
		return append([]*api.Allocation{&dead}, a[1:]...)
	}
	paused := running(v1, promoted)
	paused.Status = api.DeploymentStatusPaused
	lost := running(v1, canarying)
	lost.Status = api.DeploymentStatusFailed
	stopped := *v1
	stopped.Stop = new(true)
	greens := ran(green, "d1", 3)
	for _, c := range []struct {
		name   string
		job    *api.Job
		allocs []*api.Allocation
		d      *deployment
		want   string
	}{
		{"first registration has no canaries", v0, nil, nil, "deploy(3,0), place [0], place [1], place [2]"},
		{"new version places a canary", v1, ran(v0, "d0", 3), succeeded(v0), "deploy(3,1), canary [0]"},
		{"blue-green places as many as run", green, ran(v0, "d0", 3), succeeded(v0), "deploy(3,3), canary [0], canary [1], canary [2]"},
		{"canaries wait", v1, append(ran(v0, "d0", 3), canary...), running(v1, canarying), ""},
		{
			"promoted: namesake and max_parallel", v1, append(ran(v0, "d0", 3), canary...), running(v1, promoted),
			"stop v0-0, stop v0-1, place [1]",
		},
		{
			"promoted blue-green stops all old", green, append(ran(v0, "d0", 3), greens...),
			running(green, groupState{DesiredTotal: 3, DesiredCanaries: 3, HealthyAllocs: 3, Promoted: true, PlacedCanaries: []string{"v1-0", "v1-1", "v1-2"}}),
			"successful, stop v0-0, stop v0-1, stop v0-2",
		},
		{"paused places nothing", v1, append(ran(v0, "d0", 3), canary...), paused, "stop v0-0"},
		{"update block in place", sameTask, ran(v0, "d0", 3), succeeded(v0), "deploy(3,0), inplace v0-0, inplace v0-1, inplace v0-2"},
		{"failed deployment loses its canary", v1, append(ran(v0, "d0", 3), canary...), lost, "stop v1-0"},
		{"job stopped", &stopped, append(ran(v0, "d0", 1), canary...), running(v1, canarying), "cancelled, stop v0-0, stop v1-0"},
		{"dead canary stays", v1, append(ran(v0, "d0", 3), failed(canary, false)...), running(v1, canarying), ""},
		{
			"unhealthy canary is placed again", v1, append(ran(v0, "d0", 3), failed(canary, true)...),
			running(v1, groupState{DesiredTotal: 3, DesiredCanaries: 1, PlacedCanaries: []string{"v1-0"}, UnhealthyAllocs: 1}),
			"stop v1-0, canary [0]",
		},
		{"dead stable one comes back at its old version", v1, append(failed(ran(v0, "d0", 3), false), canary...), running(v1, canarying), "stop v0-0, place-old [0]"},
		{"complete", v0, ran(v0, "d0", 3), running(v0, groupState{DesiredTotal: 3, HealthyAllocs: 3}), "successful"},
		{"not healthy yet", v0, ran(v0, "d0", 3), running(v0, groupState{DesiredTotal: 3, HealthyAllocs: 2}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := reconcile(desired{job: c.job, allocs: c.allocs, deployment: c.d, evalID: "e", priority: 50, now: t0})
			if got := brief(p); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNeedsReplacement(t *testing.T) {
	base := func() *api.Job { return testJob(0, 1, 1, "a") }
	for name, c := range map[string]struct {
		change func(*api.Job)
		want   bool
	}{
		"nothing":      {func(*api.Job) {}, false},
		"count":        {func(j *api.Job) { j.TaskGroups[0].Count = new(9) }, false},
		"update":       {func(j *api.Job) { j.TaskGroups[0].Update.Canary = new(2) }, false},
		"services":     {func(j *api.Job) { j.TaskGroups[0].Services = []*api.Service{{Name: "s"}} }, false},
		"kill timeout": {func(j *api.Job) { j.TaskGroups[0].Tasks[0].KillTimeout = new(time.Minute) }, false},
		"env":          {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Env["V"] = "b" }, true},
		"job meta":     {func(j *api.Job) { j.Meta = map[string]string{"a": "b"} }, true},
		"config":       {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Config = map[string]any{"command": "x"} }, true},
		"resources":    {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources = &api.Resources{CPU: new(1)} }, true},
		"port": {func(j *api.Job) {
			j.TaskGroups[0].Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}}}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			job := base()
			c.change(job)
			if got := needsReplacement(base(), job, "g"); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	job := testJob(1, 1, 1, "b")
	alloc := func(healthy bool) *api.Allocation {
		a := ran(job, "d1", 1)[0]
		a.DeploymentStatus = &api.AllocDeploymentStatus{Healthy: new(healthy), ModifyIndex: 50}
		return a
	}
	with := func(g groupState) *deployment { return running(job, g) }
	canary := groupState{DesiredCanaries: 1, DesiredTotal: 3, ProgressDeadline: time.Minute, PlacedCanaries: []string{"v1-0"}}
	due := canary
	due.RequireProgressBy, due.AutoRevert = t0, true
	dueHealthy := due
	dueHealthy.HealthyAllocs = 1
	strict := canary
	strict.ProgressDeadline, strict.AutoRevert = 0, true
	auto := dueHealthy
	auto.AutoPromote = true
	for _, c := range []struct {
		name  string
		d     *deployment
		alloc *api.Allocation
		seen  uint64
		want  verdict
	}{
		{"healthy and unseen schedules", with(canary), alloc(true), 49, verdict{progress: true}},
		{"healthy and seen does not", with(canary), alloc(true), 50, verdict{}},
		{"unhealthy may be replaced", with(canary), alloc(false), 50, verdict{replace: []string{"v1-0"}}},
		{"without progress deadline unhealthy fails", with(strict), alloc(false), 50, verdict{fail: descUnhealthy, rollback: true}},
		{"past the deadline", with(due), alloc(true), 50, verdict{fail: descDeadline, rollback: true}},
		{"healthy canaries may wait past it", with(dueHealthy), alloc(true), 50, verdict{}},
		{"auto promote", with(auto), alloc(true), 50, verdict{promote: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := judge(c.d, job, []*api.Allocation{c.alloc}, c.seen, t0)
			if got.fail != c.want.fail || got.rollback != c.want.rollback || got.promote != c.want.promote ||
				got.progress != c.want.progress || !slices.Equal(got.replace, c.want.replace) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestRescheduleDelay(t *testing.T) {
	for fn, want := range map[string][]int{
		"constant": {5, 5, 5, 5}, "exponential": {5, 10, 20, 30}, "fibonacci": {5, 5, 10, 15},
	} {
		policy := &api.ReschedulePolicy{Delay: new(5 * time.Second), MaxDelay: new(30 * time.Second), DelayFunction: new(fn)}
		for n, seconds := range want {
			if got := rescheduleDelay(policy, n); got != time.Duration(seconds)*time.Second {
				t.Errorf("%s after %d attempts: got %v, want %ds", fn, n, got, seconds)
			}
		}
	}
}

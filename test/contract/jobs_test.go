package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestPause(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, canary: 1, version: "1", minHealthy: time.Second, progress: ample}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	f.eventually("a canary is placed", func() bool { g := group(f.latest()); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
	id := f.latest().ID
	pause := func(p bool) {
		t.Helper()
		if _, _, err := f.nomad.Deployments().Pause(id, p, nil); err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	if d := f.latest(); d.Status != "paused" || d.StatusDescription != "Deployment is paused" {
		t.Errorf("paused: %s", dump(d))
	}
	f.eventually("canary becomes healthy while paused", func() bool { return group(f.latest()).HealthyAllocs == 1 }, f.list)
	pause(false)
	if d := f.latest(); d.Status != "running" || d.StatusDescription != "Deployment is running" {
		t.Errorf("unpause_says_running_even_when_unpromoted: %s", dump(d))
	}
	f.promote(id)
	f.deploymentIs("successful", "")
}

func TestPausedDeploymentStillFailsAtProgressDeadline(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, canary: 1, version: "1", checks: true, progress: ample}
	f.deployed(s)
	s.version, s.mode, s.deadline, s.progress = "2", "sick", 3*time.Second, 10*time.Second
	f.register(s)
	f.eventually("a canary is placed", func() bool { g := group(f.at(1)); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
	if _, _, err := f.nomad.Deployments().Pause(f.at(1).ID, true, nil); err != nil {
		t.Fatal(err)
	}
	f.eventually("it fails", func() bool {
		d := f.at(1)
		return d.Status == "failed" && d.StatusDescription == "Failed due to progress deadline"
	}, func() string { return dump(f.at(1)) })
}

func TestSupersede(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, canary: 1, version: "1", progress: ample}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	f.canariesHealthy(1)
	t.Run("scale_during_a_deployment_is_400", func(t *testing.T) {
		f.wants(t, "PUT", "/v1/job/"+f.id+"/scale", `{"Count":4,"Target":{"Group":"model"}}`, 400,
			"job scaling blocked due to active deployment")
	})
	t.Run("identical_spec_is_no_new_version", func(t *testing.T) {
		before := f.versions()[0]
		resp := f.register(s)
		if after := f.versions()[0]; *after.Version != *before.Version || resp.JobModifyIndex != *before.JobModifyIndex || resp.EvalID == "" {
			t.Errorf("version %d → %d", *before.Version, *after.Version)
		}
	})
	s.version = "3"
	f.register(s)
	t.Run("a_newer_version_cancels_the_deployment_and_its_canary", func(t *testing.T) {
		f.endsAs(1, "cancelled", "Cancelled due to newer version of job")
		f.eventually("its canary stops", func() bool { return f.count(1, "run") == 0 }, f.list)
	})
	f.canariesHealthy(1)
	t.Run("stopping_the_job_cancels_the_deployment", func(t *testing.T) {
		if _, _, err := f.nomad.Jobs().Deregister(f.id, false, nil); err != nil {
			t.Fatal(err)
		}
		f.endsAs(2, "cancelled", "Cancelled because job is stopped")
		f.eventually("the job is dead", func() bool {
			job, _, err := f.nomad.Jobs().Info(f.id, nil)
			return err == nil && *job.Status == "dead" && *job.Stop
		}, f.list)
	})
}

func TestRevert(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, version: "1", progress: ample}
	f.deployed(s)
	s.version = "2"
	f.deployed(s)
	path := "/v1/job/" + f.id + "/revert"
	body := func(rest string) string { return `{"JobID":"` + f.id + `",` + rest + `}` }
	f.wants(t, "PUT", path, body(`"JobVersion":0,"EnforcePriorVersion":7`), 500, "Current job has version 1; enforcing version 7")
	f.wants(t, "PUT", path, body(`"JobVersion":1`), 500, "can't revert to current version")
	f.wants(t, "PUT", path, body(`"JobVersion":99`), 500, fmt.Sprintf("job %q in namespace \"default\" at version 99 not found", f.id))
	f.wants(t, "PUT", path, `{"JobID":"x","JobVersion":0}`, 400, "Job ID does not match")
	f.wants(t, "PUT", "/v1/job/nope/revert", `{"JobID":"nope","JobVersion":0}`, 500, `job "nope" not found`)
	f.wants(t, "PUT", "/v1/job/nope/stable", `{"JobID":"nope","JobVersion":0,"Stable":true}`, 500,
		`job "nope" in namespace "default" at version 0 not found`)
	if _, _, err := f.nomad.Jobs().Revert(f.id, 0, new(uint64(1)), nil, "", ""); err != nil {
		t.Fatal(err)
	}
	if v := f.versions()[0]; *v.Version != 2 || !*v.Stable || v.TaskGroups[0].Tasks[0].Env["VERSION"] != "1" {
		t.Errorf("version %d stable %v", *v.Version, *v.Stable)
	}
	f.deploymentIs("successful", "")
}

func TestCompareAndSet(t *testing.T) {
	f := newFixture(t)
	job := f.job(spec{count: 1, version: "1"})
	enforce := func(index uint64) string {
		t.Helper()
		body, err := json.Marshal(map[string]any{"Job": job, "EnforceIndex": true, "JobModifyIndex": index})
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := f.call(t, "POST", "/v1/jobs", string(body))
		return text
	}
	recorded := func(name string, replace ...string) string {
		return strings.NewReplacer(replace...).Replace(readAnswer(t, "cas/"+name).Body)
	}
	if got := enforce(5); got != recorded("cas_nonzero_but_absent") {
		t.Errorf("absent: %s", got)
	}
	if got := enforce(0); !strings.Contains(got, "EvalID") {
		t.Errorf("0 for a new job: %s", got)
	}
	if got := enforce(0); got != recorded("cas_zero_but_exists") {
		t.Errorf("exists: %s", got)
	}
	index := *f.versions()[0].JobModifyIndex
	for _, name := range []string{"cas_stale", "cas_put_job_path"} {
		if got := enforce(index - 1); got != recorded(name, "1471", fmt.Sprint(index-1), "1472", fmt.Sprint(index)) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := enforce(index); !strings.Contains(got, "EvalID") {
		t.Errorf("right: %s", got)
	}
}

func TestValidation(t *testing.T) {
	f := newFixture(t)
	nested := func(text string) string {
		return "1 error occurred:\n\t* Task group model validation failed: 1 error occurred:\n\t* 1 error occurred:\n\t* " + text + "\n\n\n\n\n\n"
	}
	update := func(change func(*api.UpdateStrategy)) spec {
		return spec{count: 1, deadline: 8 * time.Second, progress: 20 * time.Second, change: func(j *api.Job) { change(j.TaskGroups[0].Update) }}
	}
	for name, c := range map[string]struct {
		spec spec
		want string
	}{
		"healthy_deadline_above_progress_deadline": {
			update(func(u *api.UpdateStrategy) { u.HealthyDeadline = new(50 * time.Second) }),
			nested("Healthy deadline must be less than progress deadline: 50s > 20s"),
		},
		"min_healthy_time_above_healthy_deadline": {
			update(func(u *api.UpdateStrategy) { u.MinHealthyTime = new(30 * time.Second) }),
			nested("Minimum healthy time must be less than healthy deadline: 30s > 8s"),
		},
		"auto_promote_without_canary": {
			update(func(u *api.UpdateStrategy) { u.AutoPromote = new(true) }),
			nested("Auto Promote requires a Canary count greater than zero"),
		},
		"negative_canary": {
			update(func(u *api.UpdateStrategy) { u.Canary = new(-1) }), nested("Canary count can not be less than zero: -1 < 0"),
		},
		"restart_mode": {
			spec{count: 1, restarts: 1, change: func(j *api.Job) { j.TaskGroups[0].RestartPolicy.Mode = new("x") }}, nested(`Unsupported restart mode: "x"`),
		},
		"check_interval_below_1s": {
			spec{count: 1, checks: true, change: func(j *api.Job) {
				j.TaskGroups[0].Services[0].Name, j.TaskGroups[0].Services[0].Checks[0].Interval = "s", 500*time.Millisecond
			}},
			"1 error occurred:\n\t* Task group model validation failed: 1 error occurred:\n\t* Task group service validation failed: " +
				"1 error occurred:\n\t* Service[0] s validation failed: 1 error occurred:\n\t* Check health invalid: " +
				"interval (500ms) cannot be lower than 1s\n\n\n\n\n\n\n\n",
		},
		"no_groups": {
			spec{count: 1, change: func(j *api.Job) { j.TaskGroups = nil }}, "1 error occurred:\n\t* Missing job task groups\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(map[string]any{"Job": f.job(c.spec)})
			if err != nil {
				t.Fatal(err)
			}
			f.wants(t, "PUT", "/v1/jobs", string(body), 500, c.want)
			f.wants(t, "PUT", "/v1/job/"+f.id+"/plan", string(body), 500, c.want)
		})
	}
}

func TestRollingUpdate(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, version: "1", progress: ample}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	f.eventually("one is replaced", func() bool { return f.count(0, "stop") == 1 }, f.list)
	f.eventually("the first new one is healthy", func() bool { return group(f.at(1)).HealthyAllocs == 1 }, f.list)
	f.eventually("the next step comes", func() bool { return f.count(0, "stop") == 2 }, f.list)
	f.deploymentIs("successful", "")
	t.Run("stop_and_purge", func(t *testing.T) {
		if _, _, err := f.nomad.Jobs().Deregister(f.id, true, nil); err != nil {
			t.Fatal(err)
		}
		f.wants(t, "GET", "/v1/job/"+f.id, "", 404, "job not found")
	})
}

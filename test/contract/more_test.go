package contract

import (
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestCanaryTags(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, canary: 1, version: "1", checks: true, tags: []string{"live"}, progress: ample}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	canary := group(f.canariesHealthy(1)).PlacedCanaries[0]
	e := f.services()[f.serviceID(canary)]
	if e == nil || len(e.ServiceTags) != 1 || e.ServiceTags[0] != "live" {
		t.Errorf("without_canary_tags_canaries_have_the_live_tags: %+v", e)
	}
	if e != nil && e.ServicePort != f.alloc(canary).AllocatedResources.Shared.Ports[0].Value {
		t.Errorf("the_service_has_the_port_of_its_allocation: %+v", e)
	}
}

// TestAutoPromoteRepeats shows that one automatic promotion may be written many times: what follows events must not
// mind. Nomad writes up to some dozens; the embedded agent writes one.
func TestAutoPromoteRepeats(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, canary: 1, autoPromote: true, version: "1", progress: ample}
	f.deployed(s)
	index := f.latest().ModifyIndex
	s.version = "2"
	stream := f.follow("Deployment:"+f.id, index)
	f.register(s)
	promotions, promoted := 0, 0
	for done := false; !done; {
		e := stream.next()
		d, err := e.Deployment()
		if err != nil || d == nil {
			t.Fatalf("%+v, %v", e, err)
		}
		if e.Type == "DeploymentPromotion" {
			promotions++
			if g := group(d); !g.Promoted || d.Status != "running" {
				t.Errorf("promotion %d shows another state: %s", promotions, dump(d))
			}
		}
		if group(d).Promoted {
			promoted++
		}
		done = d.JobVersion == 1 && d.Status == "successful"
	}
	if promotions < 1 || promoted < promotions {
		t.Errorf("%d promotions, %d states with promotion", promotions, promoted)
	}
	t.Logf("%d promotion entries for one promotion", promotions)
	if len(f.running(1)) != 2 || len(f.running(0)) != 0 {
		t.Errorf("promotions_have_acted_once: %s", f.list())
	}
}

func TestRollbackTrap(t *testing.T) {
	start := func(t *testing.T) (*fixture, spec) {
		f := newFixture(t)
		s := spec{count: 2, canary: 1, version: "1", progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		f.promote(f.canariesHealthy(1).ID)
		f.deploymentIs("successful", "")
		return f, s
	}
	t.Run("a_revert_to_a_canary_spec_wants_promotion", func(t *testing.T) {
		f, _ := start(t)
		if _, _, err := f.nomad.Jobs().Revert(f.id, 0, nil, nil, "", ""); err != nil {
			t.Fatal(err)
		}
		f.eventually("the rollback is deployed", func() bool { return f.at(2) != nil }, f.list)
		d := f.canariesHealthy(1)
		if d.JobVersion != 2 || d.StatusDescription != "Deployment is running but requires manual promotion" {
			t.Errorf("it is %s", dump(d))
		}
		f.promote(d.ID)
		f.deploymentIs("successful", "")
	})
	t.Run("the_old_spec_with_canary_0_rolls_back_by_itself", func(t *testing.T) {
		f, s := start(t)
		s.version, s.canary, s.parallel = "1", 0, 2
		d := f.deployed(s)
		if group(d).DesiredCanaries != 0 || len(f.running(2)) != 2 {
			t.Errorf("it is %s", dump(d))
		}
	})
	t.Run("the_old_spec_before_promotion_keeps_the_old_allocs", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 2, canary: 2, parallel: 2, version: "1", progress: ample}
		f.deployed(s)
		before := f.running(0)
		s.version = "2"
		f.register(s)
		f.canariesHealthy(2)
		s.version = "1"
		f.deployed(s)
		f.endsAs(1, "cancelled", "Cancelled due to newer version of job")
		for _, a := range before {
			if now := f.alloc(a.ID); now.DesiredStatus != "run" || *now.Job.Version != 2 {
				t.Errorf("%s was replaced: %s", a.ID, f.list())
			}
		}
	})
	t.Run("no_rollback_to_the_same_specification", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, version: "1", autoRevert: true, minHealthy: 3 * time.Second, progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		f.eventually("a canary is placed", func() bool { return f.at(1) != nil }, f.list)
		s.version = "1"
		f.register(s)
		f.eventually("the third deployment runs", func() bool { return f.at(2) != nil }, f.list)
		if _, _, err := f.nomad.Deployments().Fail(f.at(2).ID, nil); err != nil {
			t.Fatal(err)
		}
		f.endsAs(2, "failed", "Deployment marked as failed - not rolling back to stable job version 0 as current job has same specification")
	})
}

func TestFailingTasks(t *testing.T) {
	t.Run("crash_loop_with_mode_delay_flips_and_is_unhealthy_at_healthy_deadline", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, version: "1", progress: ample, change: func(j *api.Job) {
			j.TaskGroups[0].RestartPolicy = &api.RestartPolicy{
				Attempts: new(2), Mode: new("delay"), Delay: new(500 * time.Millisecond), Interval: new(5 * time.Second),
			}
		}}
		f.deployed(s)
		s.version, s.mode, s.deadline, s.progress = "2", "crash", 6*time.Second, 14*time.Second
		f.register(s)
		seen := map[string]bool{}
		f.eventually("the canary is unhealthy", func() bool {
			for _, a := range f.allocs() {
				if a.JobVersion == 1 {
					seen[a.ClientStatus] = true
				}
			}
			g := group(f.at(1))
			return g != nil && g.UnhealthyAllocs == 1
		}, f.list)
		a := f.alloc(group(f.at(1)).PlacedCanaries[0])
		if seen["failed"] || !seen["pending"] || a.TaskStates["server"].Restarts < 2 {
			t.Errorf("it was %v: %s", seen, f.list())
		}
		if took := a.DeploymentStatus.Timestamp.Sub(time.Unix(0, a.CreateTime)); took < 5900*time.Millisecond || took > 13*time.Second {
			t.Errorf("it was unhealthy after %v", took)
		}
		f.endsAs(1, "failed", "Failed due to progress deadline")
	})
	t.Run("check_restart_with_mode_fail_fails_and_is_rescheduled_as_a_canary", func(t *testing.T) {
		f := newFixture(t)
		s := spec{
			count: 1, canary: 1, version: "1", checks: true, autoRevert: true, progress: ample,
			change: func(j *api.Job) {
				j.TaskGroups[0].Services[0].Checks[0].CheckRestart = &api.CheckRestart{Limit: 2, Grace: new(time.Second)}
			},
		}
		f.deployed(s)
		s.version, s.mode = "2", "sick"
		f.register(s)
		f.eventually("another canary is placed", func() bool { g := group(f.at(1)); return g != nil && len(g.PlacedCanaries) >= 2 }, f.list)
		first := f.alloc(group(f.at(1)).PlacedCanaries[0])
		if first.ClientStatus != "failed" || first.DeploymentStatus.Healthy == nil || *first.DeploymentStatus.Healthy {
			t.Errorf("the first: %s", f.list())
		}
		if event(first, api.TaskRestartSignal).IsZero() {
			t.Errorf("check_restart did not restart it: %s", f.list())
		}
	})
	// failed returns a job whose only allocation has died, with evaluations of the kind that `job eval -force-reschedule` asks for.
	failed := func(t *testing.T, s spec) (f *fixture, old string, force func()) {
		f = newFixture(t)
		s.count, s.version, s.progress = 1, "1", ample
		f.deployed(s)
		old = f.allocs()[0].ID
		f.tell(old, "die")
		f.eventually("it has failed", func() bool { return f.alloc(old).ClientStatus == "failed" }, f.list)
		return f, old, func() {
			evalID, _, err := f.nomad.Jobs().EvaluateWithOpts(f.id, api.EvalOptions{ForceReschedule: true}, nil)
			if err != nil || evalID == "" {
				t.Fatalf("%q, %v", evalID, err)
			}
			f.eventually("the evaluation completes", func() bool { return f.evalDone(evalID) }, f.list)
		}
	}
	t.Run("force_reschedule_does_not_wait_for_the_delay", func(t *testing.T) {
		f, old, force := failed(t, spec{change: func(j *api.Job) { j.TaskGroups[0].ReschedulePolicy.Delay = new(30 * time.Minute) }})
		// On a busy machine the evaluation of the failure may be planned later, and forget that another is forced.
		f.eventually("another is placed", func() bool { force(); return len(f.allocs()) == 2 }, f.list)
		if now := f.alloc(old); now.NextAllocation == "" || now.DesiredDescription != "alloc was rescheduled because it failed" {
			t.Errorf("the old one: %s", f.list())
		}
	})
	t.Run("force_reschedule_does_nothing_without_a_reschedule_policy", func(t *testing.T) {
		f, _, force := failed(t, spec{attempts: -1})
		force()
		if len(f.allocs()) != 1 {
			t.Errorf("another was placed: %s", f.list())
		}
	})
}

func TestPausePastDeadline(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, canary: 1, version: "1", progress: ample}
	f.deployed(s)
	s.version, s.deadline, s.progress = "2", 28*time.Second, 30*time.Second
	f.register(s)
	f.eventually("a canary is placed", func() bool { g := group(f.at(1)); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
	id := f.at(1).ID
	pause := func(p bool) {
		t.Helper()
		if _, _, err := f.nomad.Deployments().Pause(id, p, nil); err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	pause(true)
	f.canariesHealthy(1)
	time.Sleep(time.Until(group(f.at(1)).RequireProgressBy) + time.Second)
	if d := f.at(1); d.Status != "paused" || d.StatusDescription != "Deployment is paused" {
		t.Errorf("a_healthy_paused_deployment_outlives_its_progress_deadline: %s", dump(d))
	}
	f.promote(id)
	if d := f.at(1); d.Status != "paused" || !group(d).Promoted || d.StatusDescription != "Deployment is paused" {
		t.Errorf("promote_while_paused: %s", dump(d))
	}
	pause(false)
	f.deploymentIs("successful", "Deployment completed successfully")
}

func TestScale(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "1", progress: ample})
	resp, _, err := f.nomad.Jobs().Scale(f.id, "model", new(2), "two", false, nil, nil)
	if err != nil || resp.EvalID == "" {
		t.Fatalf("scale: %+v, %v", resp, err)
	}
	f.eventually("two run", func() bool { return len(f.running(1)) == 2 }, f.list)
	f.eventually("the deployment succeeds", func() bool { d := f.latest(); return d.JobVersion == 1 && d.Status == "successful" }, f.list)
	status, _, err := f.nomad.Jobs().ScaleStatus(f.id, nil)
	if g := status.TaskGroups["model"]; err != nil || g.Desired != 2 || g.Running != 2 || g.Placed != 2 || g.Healthy != 2 {
		t.Errorf("scale_status: %+v, %v", status, err)
	}
	f.wants(t, "GET", "/v1/job/nope/scale", "", 404, "job not found")
	f.wants(t, "PUT", "/v1/job/"+f.id+"/scale", `{"Count":1,"Target":{}}`, 400, "missing task group name for scaling action")
	f.wants(t, "PUT", "/v1/job/"+f.id+"/scale", `{"Count":1,"Target":{"Group":"zz"}}`, 400, `task group "zz" specified for scaling does not exist in job`)
	f.wants(t, "PUT", "/v1/job/"+f.id+"/scale", `{"Count":-1,"Target":{"Group":"model"}}`, 400, "scaling action count can't be negative")
	f.wants(t, "PUT", "/v1/job/nope/scale", `{"Count":1,"Target":{"Group":"model"}}`, 404, `job "nope" not found`)
}

package contract

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestFirstRegistration(t *testing.T) {
	f := newFixture(t)
	f.register(spec{count: 2, canary: 1, progress: ample})
	f.eventually("a deployment runs", func() bool { return f.latest() != nil }, func() string { return "none" })
	d := f.latest()
	if d.StatusDescription != "Deployment is running" || group(d).DesiredCanaries != 0 || group(d).DesiredTotal != 2 {
		t.Errorf("desired_canaries_is_0_even_with_canary_1: %s", dump(d))
	}
	d = f.deploymentIs("successful", "Deployment completed successfully")
	v := f.versions()[0]
	if !*v.Stable || *v.ModifyIndex != d.ModifyIndex {
		t.Errorf("stable_flips_at_the_same_index: stable %v, version %d, deployment %d", *v.Stable, *v.ModifyIndex, d.ModifyIndex)
	}
	allocs, _, err := f.nomad.Deployments().Allocations(d.ID, nil)
	if err != nil || len(allocs) != 2 {
		t.Fatalf("deployment_allocations: %d, %v", len(allocs), err)
	}
	full, _, err := f.nomad.Allocations().Info(allocs[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	ports := full.AllocatedResources.Shared.Ports
	if len(ports) != 1 || ports[0].Label != "http" || ports[0].Value < 20000 || ports[0].HostIP != "127.0.0.1" {
		t.Errorf("ports_in_shared_ports: %+v", ports)
	}
}

func TestCanary(t *testing.T) {
	t.Run("canary_reuses_the_first_name_and_count_plus_canary_run", func(t *testing.T) {
		f := newFixture(t)
		f.deployed(spec{count: 2, canary: 1, version: "1", progress: ample})
		f.register(spec{count: 2, canary: 1, version: "2", progress: ample})
		d := f.canariesHealthy(1)
		if d.StatusDescription != "Deployment is running but requires manual promotion" {
			t.Errorf("description: %q", d.StatusDescription)
		}
		old, canary := f.running(0), f.running(1)
		if len(old) != 2 || len(canary) != 1 || canary[0].Name != f.id+".model[0]" || !canary[0].DeploymentStatus.Canary {
			t.Errorf("%d old and %d new run", len(old), len(canary))
		}
	})
	t.Run("blue_green_promote_stops_all_old_in_one_plan_and_succeeds_at_once", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 2, canary: 2, parallel: 2, version: "1", shutdown: 5 * time.Second, progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		d := f.canariesHealthy(2)
		f.promote(d.ID)
		f.deploymentIs("successful", "Deployment completed successfully")
		stopping := 0
		for _, a := range f.allocs() {
			if a.JobVersion == 0 && a.DesiredStatus == "stop" && a.DesiredDescription == "alloc not needed due to job update" && a.ClientStatus == "running" {
				stopping++
			}
		}
		if stopping != 2 {
			t.Errorf("%d old allocations are shutting down, not 2", stopping)
		}
	})
	t.Run("canary_below_count_promote_stops_the_namesake_and_max_parallel_more", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 3, canary: 1, version: "1", shutdown: time.Second, progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		f.promote(f.canariesHealthy(1).ID)
		f.eventually("two old ones stop", func() bool { return f.count(0, "stop") == 2 }, f.list)
		if live := len(f.running(0)) + len(f.running(1)); live != 2 {
			t.Errorf("%d are live, not 2", live)
		}
		replacement := f.find(func(a *api.AllocationListStub) bool { return a.JobVersion == 1 && a.Name == f.id+".model[1]" })
		if replacement == nil || replacement.ClientStatus != "pending" {
			t.Errorf("replacements_start_only_after_their_predecessor_has_ended: %+v", replacement)
		}
		f.deploymentIs("successful", "")
	})
	t.Run("auto_promote_pending_then_successful", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, autoPromote: true, version: "1", progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		f.deploymentIs("running", "Deployment is running pending automatic promotion")
		f.deploymentIs("successful", "")
	})
	t.Run("an_update_block_change_is_in_place", func(t *testing.T) {
		f := newFixture(t)
		f.deployed(spec{count: 1, canary: 1, version: "1", progress: ample})
		before := f.running(0)[0].ID
		f.deployed(spec{count: 1, canary: 1, parallel: 2, version: "1", progress: ample})
		if after := f.running(1); len(after) != 1 || after[0].ID != before {
			t.Errorf("the allocation was replaced: %s", f.list())
		}
	})
	t.Run("a_job_meta_change_is_destructive", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, version: "1", progress: ample}
		f.deployed(s)
		s.change = func(j *api.Job) { j.Meta = map[string]string{"a": "b"} }
		f.register(s)
		f.canariesHealthy(1)
	})
	t.Run("max_parallel_0_makes_no_deployment_and_a_stray_canary", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, version: "1", progress: ample}
		s.change = func(j *api.Job) { j.TaskGroups[0].Update.MaxParallel = new(0) }
		f.register(s)
		f.eventually("it runs", func() bool { return len(f.running(0)) == 1 }, f.list)
		s.version = "2"
		f.register(s)
		f.eventually("the canary runs", func() bool { return len(f.running(1)) == 1 && len(f.running(0)) == 1 }, f.list)
		if d := f.latest(); d != nil {
			t.Errorf("there is a deployment: %s", dump(d))
		}
	})
	t.Run("healthy_canary_idles_past_progress_deadline", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, version: "1", deadline: 28 * time.Second, progress: 30 * time.Second}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		d := f.canariesHealthy(1)
		time.Sleep(time.Until(group(d).RequireProgressBy) + time.Second)
		if d = f.latest(); d.Status != "running" {
			t.Errorf("it is %s", dump(d))
		}
	})
}

func (f *fixture) find(match func(*api.AllocationListStub) bool) *api.AllocationListStub {
	all := f.allocs()
	if i := slices.IndexFunc(all, match); i >= 0 {
		return all[i]
	}
	return nil
}

func (f *fixture) count(version uint64, desired string) int {
	n := 0
	for _, a := range f.allocs() {
		if a.JobVersion == version && a.DesiredStatus == desired {
			n++
		}
	}
	return n
}

func (f *fixture) list() string {
	var b strings.Builder
	for _, a := range f.allocs() {
		b.WriteString(a.ID[:8] + " " + a.Name + " " + a.DesiredStatus + "(" + a.DesiredDescription + ") " + a.ClientStatus + "\n")
		for _, task := range a.TaskStates {
			for _, e := range task.Events {
				b.WriteString("    " + e.Type + ": " + e.DisplayMessage + "\n")
			}
		}
	}
	return b.String()
}

func TestPromote(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, canary: 1, version: "1", minHealthy: 2 * time.Second, progress: ample}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	f.eventually("a canary is placed", func() bool { g := group(f.latest()); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
	id := f.latest().ID
	body := `{"DeploymentID":"` + id + `",`
	path := "/v1/deployment/promote/" + id
	t.Run("before_healthy_is_500_0_of_1", func(t *testing.T) {
		f.wants(t, "PUT", path, body+`"All":true}`, 500,
			"1 error occurred:\n\t* Task group \"model\" has 0/1 healthy allocations\n\n")
	})
	t.Run("unknown_group_is_a_no_op", func(t *testing.T) {
		if status, text, _ := f.call(t, "PUT", path, body+`"Groups":["nope"]}`); status != 200 {
			t.Errorf("%d %s", status, text)
		}
	})
	t.Run("neither_all_nor_groups_is_a_no_op", func(t *testing.T) {
		if status, text, _ := f.call(t, "PUT", path, body+`"All":false}`); status != 200 {
			t.Errorf("%d %s", status, text)
		}
	})
	f.canariesHealthy(1)
	t.Run("twice_is_200", func(t *testing.T) {
		for range 2 {
			if status, text, _ := f.call(t, "POST", path, body+`"All":true}`); status != 200 {
				t.Errorf("%d %s", status, text)
			}
			if d := f.latest(); d.Status != "running" {
				break
			}
		}
	})
	f.deploymentIs("successful", "")
	t.Run("terminal_is_500", func(t *testing.T) {
		f.wants(t, "PUT", path, body+`"All":true}`, 500, "can't promote terminal deployment")
		f.wants(t, "PUT", "/v1/deployment/fail/"+id, "{}", 500, "can't fail terminal deployment")
		f.wants(t, "PUT", "/v1/deployment/pause/"+id, body+`"Pause":true}`, 500, "can't pause terminal deployment")
	})
}

func TestFail(t *testing.T) {
	t.Run("unpromoted_without_auto_revert_the_bad_version_stays_current", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 2, canary: 1, version: "1", progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		d := f.canariesHealthy(1)
		if _, _, err := f.nomad.Deployments().Fail(d.ID, nil); err != nil {
			t.Fatal(err)
		}
		f.deploymentIs("failed", "Deployment marked as failed")
		f.eventually("the canary stops", func() bool { return f.count(1, "run") == 0 }, f.list)
		if v := f.versions()[0]; *v.Version != 1 || *v.Stable || len(f.running(0)) != 2 {
			t.Errorf("version %d stable %v", *v.Version, *v.Stable)
		}
		before, resp := f.latest().ID, f.register(s)
		f.eventually("the evaluation completes", func() bool { return f.evalDone(resp.EvalID) }, f.list)
		if resp.EvalID == "" || f.latest().ID != before || *f.versions()[0].Version != 1 || f.count(1, "run") != 0 {
			t.Errorf("resubmitting_the_identical_spec_does_nothing: %s", f.list())
		}
	})
	t.Run("unpromoted_with_auto_revert_old_allocs_come_back_in_place", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 2, canary: 2, parallel: 2, version: "1", autoRevert: true, progress: ample}
		f.deployed(s)
		before := f.running(0)
		s.version = "2"
		f.register(s)
		d := f.canariesHealthy(2)
		resp, _, err := f.nomad.Deployments().Fail(d.ID, nil)
		if err != nil || resp.RevertedJobVersion == nil || *resp.RevertedJobVersion != 0 {
			t.Fatalf("fail: %+v, %v", resp, err)
		}
		if d = f.deployment(d.ID); d.StatusDescription != "Deployment marked as failed - rolling back to job version 0" {
			t.Errorf("description %q", d.StatusDescription)
		}
		f.eventually("the rollback succeeds", func() bool { l := f.latest(); return l.JobVersion == 2 && l.Status == "successful" }, f.list)
		for _, a := range before {
			if f.find(func(b *api.AllocationListStub) bool {
				return b.ID == a.ID && b.JobVersion == 2 && b.ClientStatus == "running"
			}) == nil {
				t.Errorf("allocation %s did not come back: %s", a.ID, f.list())
			}
		}
		if v := f.versions(); len(v) != 3 || !*v[0].Stable {
			t.Errorf("%d versions", len(v))
		}
	})
	t.Run("after_promote_with_a_canary_spec_the_rollback_wants_promotion", func(t *testing.T) {
		f := newFixture(t)
		s := spec{count: 3, canary: 1, version: "1", autoRevert: true, progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		d := f.canariesHealthy(1)
		f.promote(d.ID)
		f.eventually("a replacement is placed", func() bool { return group(f.deployment(d.ID)).PlacedAllocs == 2 }, f.list)
		if _, _, err := f.nomad.Deployments().Fail(d.ID, nil); err != nil {
			t.Fatal(err)
		}
		f.eventually("the rollback waits", func() bool {
			l := f.latest()
			return l.JobVersion == 2 && l.StatusDescription == "Deployment is running but requires manual promotion"
		}, func() string { return dump(f.latest()) })
		f.eventually("its canary is healthy", func() bool { return group(f.latest()).HealthyAllocs >= 1 && len(group(f.latest()).PlacedCanaries) == 1 }, f.list)
		f.eventually("it can be promoted", func() bool {
			_, _, err := f.nomad.Deployments().PromoteAll(f.latest().ID, nil)
			return err == nil
		}, f.list)
		f.deploymentIs("successful", "")
	})
	t.Run("a_first_deployment_has_nothing_to_revert_to", func(t *testing.T) {
		f := newFixture(t)
		f.register(spec{count: 1, mode: "crash", autoRevert: true, attempts: -1, progress: ample})
		f.deploymentIs("failed", "Failed due to unhealthy allocations - no stable job version to auto revert to")
	})
}

func (f *fixture) evalDone(id string) bool {
	e, _, err := f.nomad.Evaluations().Info(id, nil)
	return err == nil && e.Status == "complete"
}

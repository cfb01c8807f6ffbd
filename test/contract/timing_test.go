package contract

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func (f *fixture) alloc(id string) *api.Allocation {
	f.t.Helper()
	a, _, err := f.nomad.Allocations().Info(id, nil)
	if err != nil {
		f.t.Fatalf("read the allocation: %v", err)
	}
	return a
}

// event returns when the task of an allocation first had an event of a type; zero for never.
func event(a *api.Allocation, kind string) time.Time {
	state := a.TaskStates["server"]
	if state == nil {
		return time.Time{}
	}
	i := slices.IndexFunc(state.Events, func(e *api.TaskEvent) bool { return e.Type == kind })
	if i < 0 {
		return time.Time{}
	}
	return time.Unix(0, state.Events[i].Time)
}

func TestHealth(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 1, canary: 1, version: "1", checks: true, minHealthy: 2 * time.Second, deadline: 8 * time.Second, progress: 20 * time.Second}
	f.register(s)
	f.eventually("an allocation is placed", func() bool { return len(f.allocs()) == 1 }, f.list)
	id := f.allocs()[0].ID
	f.eventually("the task starts", func() bool { return !event(f.alloc(id), api.TaskStarted).IsZero() }, f.list)
	if late := time.Since(event(f.alloc(id), api.TaskStarted)); late > 2*time.Second {
		t.Errorf("client_to_server_sync_takes_up_to_1s: %v", late)
	}
	f.deploymentIs("successful", "")
	a := f.alloc(id)
	if healthy := a.DeploymentStatus.Timestamp.Sub(event(a, api.TaskStarted)); healthy < 1900*time.Millisecond || healthy > 6*time.Second {
		t.Errorf("healthy_is_running_and_passing_for_min_healthy_time: after %v", healthy)
	}
	if mode := a.DeploymentStatus; mode.Canary || !*mode.Healthy {
		t.Errorf("it is %+v", mode)
	}
}

func TestRequireProgressBy(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, canary: 1, version: "1", minHealthy: time.Second, progress: 30 * time.Second}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	f.eventually("a canary is placed", func() bool { g := group(f.at(1)); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
	near := func(what string, when time.Time) {
		t.Helper()
		by := group(f.at(1)).RequireProgressBy
		if off := by.Sub(when.Add(s.progress)); off < -time.Second || off > time.Second {
			t.Errorf("%s: it is %v off", what, off)
		}
	}
	canary := f.alloc(group(f.at(1)).PlacedCanaries[0])
	near("first_placement_plus_progress_deadline", time.Unix(0, canary.CreateTime))
	f.canariesHealthy(1)
	near("moves_on_each_healthy_alloc", f.alloc(canary.ID).DeploymentStatus.Timestamp)
	time.Sleep(1500 * time.Millisecond) // so that promotion is told from health
	promoted := time.Now()
	f.promote(f.at(1).ID)
	if took := time.Since(promoted); took > 2*time.Second {
		t.Errorf("promote_and_fail_act_at_once: promote took %v", took)
	}
	if f.alloc(canary.ID).DeploymentStatus.Canary {
		t.Error("promote_and_fail_act_at_once: it is a canary still")
	}
	near("reset_to_now_on_promote", promoted)
	failed := time.Now()
	if _, _, err := f.nomad.Deployments().Fail(f.at(1).ID, nil); err != nil {
		t.Fatal(err)
	}
	if d := f.at(1); d.Status != "failed" || time.Since(failed) > 2*time.Second {
		t.Errorf("promote_and_fail_act_at_once: %s after %v", dump(d), time.Since(failed))
	}
}

func TestStubbornTaskIsKilled(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{
		count: 1, version: "1", mode: "stubborn", checks: true, shutdown: 3 * time.Second, deadline: 6 * time.Second, progress: 20 * time.Second,
	})
	id := f.running(0)[0].ID
	service := f.serviceID(id)
	if f.services()[service] == nil {
		t.Fatalf("no service %s", service)
	}
	if _, _, err := f.nomad.Jobs().Deregister(f.id, false, nil); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	f.eventually("its service leaves", func() bool { return f.services()[service] == nil }, f.list)
	if took := time.Since(stopped); took > 2900*time.Millisecond {
		t.Errorf("the service leaves before shutdown_delay: after %v", took)
	}
	f.eventually("it has ended", func() bool { return f.alloc(id).ClientStatus == "complete" }, f.list)
	a := f.alloc(id)
	killing, ended := event(a, api.TaskKilling), event(a, api.TaskTerminated)
	if signal := killing.Sub(stopped); signal < -time.Second || killing.IsZero() {
		t.Errorf("killing: %v after the stop", signal)
	}
	// shutdown_delay 3s, then the signal, then kill_timeout 2s, then SIGKILL
	if took := ended.Sub(stopped); took < 4800*time.Millisecond || took > 12*time.Second {
		t.Errorf("stop to SIGKILL took %v: %s", took, f.list())
	}
	state := a.TaskStates["server"]
	i := slices.IndexFunc(state.Events, func(e *api.TaskEvent) bool { return e.Type == api.TaskTerminated })
	if e := state.Events[i]; e.Signal != 9 && !strings.Contains(e.DisplayMessage, "137") {
		t.Errorf("it was killed by %+v", e)
	}
}

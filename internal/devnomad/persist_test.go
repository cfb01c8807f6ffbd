package devnomad

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/proc"
)

// agentProcess runs an agent as a process of its own until kill or the end of the test.
func agentProcess(t *testing.T, addr, consul, dir string, more ...string) (l live, end func(syscall.Signal)) {
	t.Helper()
	end = runProgram(t, "agent", append(more, "ADDR="+addr, "CONSUL="+consul, "DATA="+dir)...)
	l = newLive(t, addr)
	await(t, "agent", func() (string, error) { return l.api.Status().Leader() }, func(string) bool { return true })
	return l, end
}

// runProgram runs one of the programs of this test binary until end or the end of the test.
func runProgram(t *testing.T, program string, env ...string) (end func(syscall.Signal)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "DEVNOMAD_TEST="+program), env...)
	cmd.Stderr = t.Output()
	proc.Tie(cmd)
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	end = func(sig syscall.Signal) {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(sig)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(func() { end(syscall.SIGKILL) })
	return end
}

// pids asks every running allocation for its process number.
func (l live) pids() map[string]string {
	out := map[string]string{}
	for _, a := range l.running() {
		out[a.ID] = get(l.t, fmt.Sprintf("http://127.0.0.1:%d/", a.AllocatedResources.Shared.Ports[0].Value))
	}
	return out
}

// watch asks tasks and Consul again and again, and returns what tells how often a task did not answer or a service was
// not there.
func watch(t *testing.T, consul *parts.ConsulServer, ports []int) (stop func() (asked, failures int)) {
	t.Helper()
	c, err := consul.Client()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	asked, failures := 0, 0
	running.Go(func() {
		tasks := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			asked++
			for _, port := range ports {
				res, err := tasks.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
				if err != nil {
					failures++
					continue
				}
				_ = res.Body.Close()
			}
			if found, _, err := c.Health().Service("live", "", true, nil); err != nil || len(found) != len(ports) {
				failures++
			}
		}
	})
	return func() (int, int) { cancel(); running.Wait(); return asked, failures }
}

// TestKilledAgentGoesOn kills an agent in the middle of a deployment with canaries. The next one has the same
// allocations with the same processes, which never stop to serve, and the deployment goes on to its end.
func TestKilledAgentGoesOn(t *testing.T) {
	t.Parallel()
	consul, dir := partstest.Consul(t), t.TempDir()
	killTasks(t, dir)
	addr := fmt.Sprintf("127.0.0.1:%d", partstest.Port(t))
	l, end := agentProcess(t, addr, consul.Addr, dir)
	l.register(liveJob("1", 2, 2, true))
	l.awaitSuccess(0)
	l.register(liveJob("2", 2, 2, true))
	before := l.awaitDeployment("healthy canaries", func(d *api.Deployment) bool {
		return d.JobVersion == 1 && d.TaskGroups["g"].HealthyAllocs == 2
	})
	old, indexBefore := l.pids(), before.ModifyIndex
	var ports []int
	for _, a := range l.running() {
		ports = append(ports, a.AllocatedResources.Shared.Ports[0].Value)
	}
	if len(old) != 4 {
		t.Fatalf("%d allocations run", len(old))
	}
	stop := watch(t, consul, ports)
	end(syscall.SIGKILL)
	l, end = agentProcess(t, addr, consul.Addr, dir)
	time.Sleep(2 * time.Second) // longer than the batch of the watcher: it must leave everything as it is
	if now := l.pids(); !maps.Equal(now, old) {
		t.Errorf("the processes are %v, were %v", now, old)
	}
	after := l.awaitDeployment("deployment", func(d *api.Deployment) bool { return true })
	if after.ID != before.ID || after.Status != "running" || after.TaskGroups["g"].HealthyAllocs != 2 {
		t.Errorf("the deployment is %s %s, %d healthy", after.ID, after.Status, after.TaskGroups["g"].HealthyAllocs)
	}
	asked, failures := stop()
	if asked < 20 || failures > 0 {
		t.Errorf("of %d rounds, %d requests or looks failed", asked, failures)
	}
	if _, _, err := l.api.Deployments().PromoteAll(before.ID, nil); err != nil {
		t.Fatal(err)
	}
	done := l.awaitSuccess(1)
	if done.ID != before.ID || done.ModifyIndex <= indexBefore {
		t.Errorf("deployment %s ended at %d", done.ID, done.ModifyIndex)
	}
	await(t, "end of the old", func() (map[string]string, error) { return l.pids(), nil }, func(now map[string]string) bool {
		return len(now) == 2
	})
	for _, v := range l.running() {
		if *v.Job.Version != 1 || old[v.ID] == "" {
			t.Errorf("%s of version %d runs", v.ID, *v.Job.Version)
		}
	}
	end(syscall.SIGINT)
}

func TestEndedAgent(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]bool{"stops its tasks": false, "keeps its tasks when told": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			killTasks(t, dir)
			addr := fmt.Sprintf("127.0.0.1:%d", partstest.Port(t))
			env := fmt.Sprintf("KEEP=%v", keep)
			l, end := agentProcess(t, addr, "", dir, env)
			l.register(liveJob("1", 1, 0, false))
			l.awaitSuccess(0)
			before := l.pids()
			end(syscall.SIGINT)
			l, end = agentProcess(t, addr, "", dir, env)
			now := await(t, "task", func() (map[string]string, error) { return l.pids(), nil }, func(m map[string]string) bool {
				return len(m) == 1
			})
			if maps.Equal(now, before) != keep {
				t.Errorf("the process is %v, was %v", now, before)
			}
			versions, _, _, err := l.api.Jobs().Versions("live", false, nil)
			if err != nil || len(versions) != 1 || !*versions[0].Stable {
				t.Errorf("versions: %v, %v", versions, err)
			}
			end(syscall.SIGINT)
		})
	}
}

// TestEndedTasksLogsStayReadable kills an agent after a task has ended and another was stopped; the next one shows what
// they have said until they are collected as garbage.
func TestEndedTasksLogsStayReadable(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "ended": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			killTasks(t, dir)
			addr := fmt.Sprintf("127.0.0.1:%d", partstest.Port(t))
			l, end := agentProcess(t, addr, "", dir)
			l.register(liveJob("1", 1, 0, false))
			l.awaitSuccess(0)
			failed := liveJob("2", 1, 0, false)
			failed.ID, failed.Type = new("batch"), new("batch")
			task := failed.TaskGroups[0].Tasks[0]
			task.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", "echo version 2; exit 7"}}
			failed.TaskGroups[0].RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
			failed.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}
			failed.TaskGroups[0].Update = nil
			l.register(failed)
			if _, _, err := l.api.Jobs().Deregister("live", false, nil); err != nil {
				t.Fatal(err)
			}
			allocs := l.awaitEnds()
			end(sig)
			l, end = agentProcess(t, addr, "", dir)
			for _, a := range allocs {
				want := map[string]string{"live": "version 1", "batch": "version 2"}[a.JobID]
				path := "/v1/client/fs/logs/" + a.ID + "?task=t&type=stdout&plain=true&follow=true"
				if got := get(t, l.api.Address()+path); got != want {
					t.Errorf("%s has said %q, want %q", a.JobID, got, want)
				}
				if files, err := os.ReadDir(dir + "/alloc/" + a.ID); err != nil || len(files) == 0 {
					t.Errorf("the folder of %s: %v, %v", a.JobID, files, err)
				}
			}
			if _, _, err := l.api.Jobs().Deregister("batch", false, nil); err != nil {
				t.Fatal(err)
			}
			await(t, "garbage collection", func() ([]os.DirEntry, error) {
				if err := l.api.System().GarbageCollect(); err != nil {
					return nil, err
				}
				return os.ReadDir(dir + "/alloc")
			}, func(left []os.DirEntry) bool { return len(left) == 0 })
			end(syscall.SIGINT)
		})
	}
}

// awaitEnds waits until two allocations have ended and returns them.
func (l live) awaitEnds() []*api.AllocationListStub {
	l.t.Helper()
	return await(l.t, "two ended allocations", func() ([]*api.AllocationListStub, error) {
		all, _, err := l.api.Allocations().List(nil)
		return all, err
	}, func(all []*api.AllocationListStub) bool {
		ended := func(a *api.AllocationListStub) bool {
			return a.ClientStatus == "complete" || a.ClientStatus == "failed"
		}
		return len(all) == 2 && ended(all[0]) && ended(all[1])
	})
}

// TestStateIsAsItWas compares everything in a store with what another loads.
func TestStateIsAsItWas(t *testing.T) {
	dir := t.TempDir()
	log := newAgent(Config{Logger: discard}).log
	s := newStore(time.Now)
	if err := s.openDisk(dir, log); err != nil {
		t.Fatal(err)
	}
	for version, env := range []string{"a", "b"} {
		job := testJob(0, 1, 1, env)
		prepare(job, "")
		_, err := s.write("test", func(tx *txn) error {
			tx.putNode(newNode("n", "127.0.0.1:1", loopback))
			_, err := tx.register(registration{Job: job, Submission: &api.JobSubmission{Source: env}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.write("test", func(tx *txn) error {
			e, _ := tx.dueEval()
			tx.completeEval(e, tx.applyPlan(e))
			return nil
		})
		_, _ = s.write("test", func(tx *txn) error {
			for _, a := range tx.jobAllocs("m") {
				if int(jobVersion(a)) == version {
					healthy := *a
					healthy.ClientStatus, healthy.DeploymentStatus = "running", &api.AllocDeploymentStatus{Healthy: new(true), Timestamp: tx.now}
					tx.putAlloc(&healthy)
				}
			}
			tx.endDeployment(tx.latestDeployment("m").ID, api.DeploymentStatusSuccessful, descSuccessful)
			return nil
		})
	}
	if err := s.closeDisk(); err != nil {
		t.Fatal(err)
	}
	again := newStore(time.Now)
	if err := again.openDisk(dir, log); err != nil {
		t.Fatal(err)
	}
	if again.index != s.index || !maps.Equal(again.tables, s.tables) || len(s.allocs) < 4 {
		t.Errorf("index %d, was %d; %d allocations", again.index, s.index, len(s.allocs))
	}
	for what, pair := range map[string][2]any{
		"jobs": {again.jobs, s.jobs}, "versions": {again.versions, s.versions}, "evals": {again.evals, s.evals},
		"allocs": {again.allocs, s.allocs}, "deployments": {again.deployments, s.deployments}, "nodes": {again.nodes, s.nodes},
		"submissions": {again.submissions, s.submissions}, "used": {again.used, s.used},
	} {
		if !same(pair[0], pair[1]) {
			t.Errorf("%s differ:\n%v\n%v", what, normal(pair[0]), normal(pair[1]))
		}
	}
	if !slices.Equal(slices.Sorted(maps.Keys(again.evalsIn)), slices.Sorted(maps.Keys(s.evalsIn))) {
		t.Error("evaluations are in other states")
	}
	if err := newStore(time.Now).openDisk(dir, log); err == nil {
		t.Error("opened twice")
	}
	if err := again.closeDisk(); err != nil {
		t.Error(err)
	}
}

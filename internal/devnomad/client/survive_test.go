package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/proc"
)

// runAgent runs, or goes on with, the allocation given by ALLOC until it is killed, and prints every update as a line.
func runAgent() {
	var spec api.Allocation
	if err := json.Unmarshal([]byte(os.Getenv("ALLOC")), &spec); err != nil {
		panic(err)
	}
	c, err := client.New(client.Config{
		DataDir: os.Getenv("DATA"), ConsulAddr: os.Getenv("CONSUL"), NodeID: "node-1", NodeName: "n1",
		Limits: task(&spec).Env["LIMITS"] != "",
	})
	if err != nil {
		panic(err)
	}
	if err := c.Restore(&spec); err != nil { // runs it if it is new
		panic(err)
	}
	for u := range c.Updates() {
		if err := json.NewEncoder(os.Stdout).Encode(u); err != nil {
			panic(err)
		}
	}
}

// killed runs an allocation in a client that is a process of its own, until it sends an update that satisfies ok. Then
// it kills that client, and returns its data folder and the update.
func killed(
	t *testing.T, consulAddr string, spec *api.Allocation, ok func(client.Update) bool,
) (dir string, last client.Update) {
	t.Helper()
	dir = t.TempDir()
	t.Cleanup(func() { killLeftovers(t, dir) })
	cmd, updates := startAgent(t, dir, consulAddr, spec)
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	stop := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	decoder := json.NewDecoder(updates)
	for !ok(last) {
		last = client.Update{}
		if err := decoder.Decode(&last); err != nil {
			t.Fatalf("the client that is to be killed ended first: %v; %s", err, describe(last))
		}
	}
	return dir, last
}

// startAgent starts a client for runAgent in a process of its own, and returns it with its updates.
func startAgent(t *testing.T, dir, consulAddr string, spec *api.Allocation) (*exec.Cmd, io.Reader) {
	t.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TASK=agent", "DATA="+dir, "CONSUL="+consulAddr, "ALLOC="+string(data))
	cmd.Stderr = t.Output()
	updates, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	proc.Tie(cmd)
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	return cmd, updates
}

func killLeftovers(t *testing.T, dir string) {
	left, err := client.Leftovers(dir)
	if err != nil {
		t.Error(err)
	}
	for _, p := range left {
		if err := p.Kill(t.Context(), syscall.SIGKILL, time.Second); err != nil {
			t.Error(err)
		}
	}
}

func runs(u client.Update) bool { return u.ClientStatus == api.AllocClientStatusRunning }

// leftover returns the one process that a killed client has left.
func leftover(t *testing.T, dir string) client.Process {
	t.Helper()
	left, err := client.Leftovers(dir)
	if err != nil || len(left) != 1 || !left[0].Alive() {
		t.Fatalf("leftovers are %v, %v, want the task", left, err)
	}
	return left[0]
}

func (h *harness) restore(spec *api.Allocation) {
	h.t.Helper()
	if err := h.Restore(spec); err != nil {
		h.t.Fatal(err)
	}
}

func TestKilledAgentsTaskIsTakenOver(t *testing.T) {
	t.Parallel()
	server := partstest.Consul(t)
	consul, err := server.Client()
	if err != nil {
		t.Fatal(err)
	}
	spec := withService(newAllocation(t, "serve"))
	spec.DeploymentID = newID()
	dir, before := killed(t, server.Addr, spec, healthy)
	seen := recordStatuses(consul, serviceOf(t, consul, spec.ID).ID)
	p := leftover(t, dir)

	h := newHarnessAt(t, dir, server.Addr)
	h.consul = consul
	h.CompareWithConsul(t.Context()) // before Restore: must not take the service of a task that lives
	h.restore(spec)
	u := h.await(spec.ID, "healthy", healthy)
	if !u.HealthAt.Equal(before.HealthAt) {
		t.Errorf("healthy since %s, was since %s", u.HealthAt, before.HealthAt)
	}
	if got, want := eventTexts(u, "server"), eventTexts(before, "server"); !slices.Equal(got, want) || len(want) != 3 {
		t.Errorf("events are %q, were %q", got, want)
	}
	if s, was := u.TaskStates["server"], before.TaskStates["server"]; !s.StartedAt.Equal(was.StartedAt) || s.Restarts != 0 {
		t.Errorf("started at %s, was %s, with %d restarts", s.StartedAt, was.StartedAt, s.Restarts)
	}
	h.CompareWithConsul(t.Context())
	if got := leftover(t, dir); got != p {
		t.Errorf("the process is %v, was %v", got, p)
	}
	if statuses := seen(); !slices.Equal(statuses, []string{"passing"}) {
		t.Errorf("the check was seen as %v, want passing throughout", statuses)
	}
	if err := h.Restore(spec); err == nil {
		t.Error("restored twice")
	}

	h.Stop(spec.ID)
	u = h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	events := eventTexts(u, "server")
	if len(events) != 6 || events[5] != "Killed: Task successfully killed" || p.Alive() {
		t.Errorf("stopped: %s", describe(u))
	}
	if h.service(spec.ID) != nil {
		t.Error("the service is still there")
	}
}

func TestTaskWritesItsLogOnWithoutAnAgent(t *testing.T) {
	t.Parallel()
	spec := newAllocation(t, "clock")
	dir, _ := killed(t, "", spec, runs)
	path := dir + "/alloc/" + spec.ID + "/alloc/logs/server.stdout.0"
	size := sizeOf(t, path)
	eventually(t, "the log grows without an agent", func() bool { return sizeOf(t, path) > size })
	h := newHarnessAt(t, dir, "")
	h.restore(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	size = sizeOf(t, path)
	h.eventually("the log grows with the next agent", func() bool { return len(h.logLines(spec.ID, "stdout")) > int(size/4) })
	h.Stop(spec.ID)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if texts := eventTexts(u, "server"); !strings.HasPrefix(texts[4], "Terminated: Exit Code: ") {
		t.Errorf("stopped: %s", describe(u))
	}
}

func TestTaskThatDiedWithoutAnAgentFollowsItsRestartPolicy(t *testing.T) {
	t.Parallel()
	server := partstest.Consul(t)
	consul, err := server.Client()
	if err != nil {
		t.Fatal(err)
	}
	spec := withService(newAllocation(t, "serve"))
	group(spec).RestartPolicy.Attempts = new(1)
	group(spec).RestartPolicy.Interval = new(time.Hour)
	dir, _ := killed(t, server.Addr, spec, runs)
	if err := leftover(t, dir).Kill(t.Context(), syscall.SIGKILL, time.Second); err != nil {
		t.Fatal(err)
	}
	h := newHarnessAt(t, dir, server.Addr)
	h.consul = consul
	h.restore(spec)
	u := h.await(spec.ID, "restarted", func(u client.Update) bool { return runs(u) && u.TaskStates["server"].Restarts == 1 })
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		`Terminated: Exit Code: -1, Exit Message: "ended while the agent was away, its exit code is unknown"`,
		"Restarting: Task restarting in 1…", "Started: Task started by client")
	h.eventually("the check passes", func() bool {
		status, _, err := consul.Agent().AgentHealthServiceByID(serviceID(spec))
		return err == nil && status == consulapi.HealthPassing
	})
	if err := h.Signal(spec.ID, "server", "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	u = h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	texts := eventTexts(u, "server")
	if want := `Not Restarting: Exceeded allowed attempts 1 in interval 1h0m0s and mode is "fail"`; texts[len(texts)-1] != want {
		t.Errorf("after the second end: %s", describe(u))
	}
}

func serviceID(spec *api.Allocation) string { return "_nomad-task-" + spec.ID + "-group-model-m-http" }

func TestRestartsAreCountedOverTheAgentsDeath(t *testing.T) {
	t.Parallel()
	spec := newAllocation(t, "clock")
	group(spec).RestartPolicy.Attempts, group(spec).RestartPolicy.Interval = new(1), new(time.Hour)
	task(spec).Env["END"] = "first" // it ends once by itself
	dir, before := killed(t, "", spec, func(u client.Update) bool { return runs(u) && u.TaskStates["server"].Restarts == 1 })
	h := newHarnessAt(t, dir, "")
	h.restore(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	if got, want := eventTexts(u, "server"), eventTexts(before, "server"); !slices.Equal(got, want) {
		t.Errorf("events are %q, were %q", got, want)
	}
	if err := h.Signal(spec.ID, "server", "SIGINT"); err != nil { // it is not our child
		t.Fatal(err)
	}
	u = h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	texts := eventTexts(u, "server")
	if !strings.HasPrefix(texts[len(texts)-1], "Not Restarting: Exceeded allowed attempts 1") {
		t.Errorf("after the second end: %s", describe(u))
	}
	if want := "Terminated: Exit Code: 3"; texts[len(texts)-2] != want {
		t.Errorf("the end of the adopted task is %q, want %q", texts[len(texts)-2], want)
	}
}

func TestTakenOverTaskIsKilledWithAllThatItHasStarted(t *testing.T) {
	t.Parallel()
	spec := newAllocation(t, "stubborn")
	task(spec).KillTimeout = new(200 * time.Millisecond)
	task(spec).Env["LIMITS"] = "yes"
	dir, _ := killed(t, "", spec, runs)
	groups := controls(t, leftover(t, dir).PID)
	h := newHarnessAt(t, dir, "", limited)
	h.restore(spec)
	var child int
	h.eventually("the task's child is ready", func() bool { child = childOf(h, spec); return child != 0 })
	h.Stop(spec.ID)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if texts := eventTexts(u, "server"); !slices.Contains(texts, "Killed: Task successfully killed") {
		t.Errorf("stopped: %s", describe(u))
	}
	h.eventually("the child is gone", func() bool { return gone(child) })
	for _, dir := range groups {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("its control group is still there: %v", err)
		}
	}
}

func TestRestoredAsItWas(t *testing.T) {
	t.Parallel()
	t.Run("dead", func(t *testing.T) {
		t.Parallel()
		spec := newAllocation(t, "crash")
		dir, before := killed(t, "", spec, func(u client.Update) bool { return u.ClientStatus == api.AllocClientStatusFailed })
		h := newHarnessAt(t, dir, "")
		h.restore(spec)
		u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
		if got, want := eventTexts(u, "server"), eventTexts(before, "server"); !slices.Equal(got, want) {
			t.Errorf("events are %q, were %q", got, want)
		}
		if err := h.Remove(spec.ID); err != nil {
			t.Error(err)
		}
	})
	t.Run("waiting", func(t *testing.T) {
		t.Parallel()
		spec := newAllocation(t, "crash")
		group(spec).RestartPolicy.Attempts, group(spec).RestartPolicy.Delay = new(1), new(2*time.Second)
		dir, before := killed(t, "", spec, func(u client.Update) bool {
			return u.TaskStates["server"] != nil && u.TaskStates["server"].Restarts == 1
		})
		events := before.TaskStates["server"].Events
		last := events[len(events)-1]
		h := newHarnessAt(t, dir, "")
		h.restore(spec)
		h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
		if early := time.Until(time.Unix(0, last.Time).Add(time.Duration(last.StartDelay))); early > 0 {
			t.Errorf("restarted %s before its time", early)
		}
	})
	t.Run("stopping", func(t *testing.T) {
		t.Parallel()
		spec := newAllocation(t, "serve")
		dir, _ := killed(t, "", spec, runs)
		spec.DesiredStatus = api.AllocDesiredStatusStop
		h := newHarnessAt(t, dir, "")
		h.restore(spec)
		h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	})
	t.Run("never begun", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, "")
		spec := newAllocation(t, "serve")
		h.restore(spec)
		wantEvents(t, h.awaitStatus(spec.ID, api.AllocClientStatusRunning), "server",
			"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client")
	})
}

func TestADataFolderHasOneClient(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	_, err := client.New(client.Config{DataDir: h.dir})
	if err == nil || !strings.Contains(err.Error(), "another agent works in this data folder") {
		t.Errorf("a second client: %v", err)
	}
}

// TestOneProcessHoweverOftenTheAgentIsKilled kills the agent at any moment of its start, of the task's start and of the
// task's restarts: in the end one process runs, and what the agents said of it holds together.
func TestOneProcessHoweverOftenTheAgentIsKilled(t *testing.T) {
	t.Parallel()
	spec := newAllocation(t, "clock")
	group(spec).RestartPolicy.Attempts, group(spec).RestartPolicy.Delay = new(1000), new(20*time.Millisecond)
	dir := t.TempDir()
	t.Cleanup(func() { killLeftovers(t, dir) })
	for range 10 {
		cmd, _ := startAgent(t, dir, "", spec)
		time.Sleep(rand.N(400 * time.Millisecond)) // the moment is the point
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if rand.N(3) == 0 {
			killLeftovers(t, dir)
		}
	}
	h := newHarnessAt(t, dir, "")
	h.restore(spec)
	u := h.await(spec.ID, "running", func(u client.Update) bool { return runs(u) && len(processesOf(spec)) == 1 })
	s, started := u.TaskStates["server"], 0
	for _, e := range s.Events {
		if e.Type == api.TaskStarted {
			started++
		}
	}
	if len(s.Events) < 10 && started != int(s.Restarts)+1 { // else some have been dropped
		t.Errorf("%d restarts and %d starts: %s", s.Restarts, started, describe(u))
	}
	h.Stop(spec.ID)
	h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if left := processesOf(spec); len(left) != 0 {
		t.Errorf("still running: %v", left)
	}
}

// processesOf returns the processes that have an allocation's ID in their environment.
func processesOf(spec *api.Allocation) (found []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		env, err := os.ReadFile(path)
		if err == nil && bytes.Contains(env, []byte("NOMAD_ALLOC_ID="+spec.ID+"\x00")) {
			found = append(found, path)
		}
	}
	return found
}

func limited(cfg *client.Config) { cfg.Limits = true }

// controls returns the folders of a process's control groups that a client has made.
func controls(t *testing.T, pid int) []string {
	t.Helper()
	own, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for line := range strings.Lines(string(own)) {
		columns := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if !strings.HasPrefix(columns[2], "/weir-") {
			continue
		}
		roots := []string{columns[1]} // version 1
		if columns[1] == "" {
			roots = []string{"", "unified"}
		}
		for _, root := range roots {
			dir := filepath.Join("/sys/fs/cgroup", root, columns[2])
			if procs, err := os.ReadFile(dir + "/cgroup.procs"); err == nil && slices.Contains(strings.Fields(string(procs)), strconv.Itoa(pid)) {
				dirs = append(dirs, dir)
				break
			}
		}
	}
	return dirs
}

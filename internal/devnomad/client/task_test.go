package client_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

func TestTaskRunsWithItsEnvironmentAndStops(t *testing.T) {
	t.Parallel()
	h := newHarnessAt(t, t.TempDir(), "", func(cfg *client.Config) { cfg.NodeClass = "blue" })
	spec := newAllocation(t, "print")
	task(spec).Env["ADDR"] = "${NOMAD_ADDR_http}"
	task(spec).Env["NODE"] = `${node.unique.name}/${NOMAD_GROUP_NAME}/${nothing.here}/${env["HOME"]}/${ NOMAD_DC }`
	task(spec).Config["args"] = []any{"-port", "${NOMAD_PORT_http}"}
	spec.Job.Meta = map[string]string{"weir-release": "r1", "where": "${node.class}-${NOMAD_JOB_ID}-${NOMAD_META_who}"}
	group(spec).Meta = map[string]string{"who": "group"}
	task(spec).Meta = map[string]string{"who": "${node.datacenter}"}
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	port := strconv.Itoa(spec.AllocatedResources.Shared.Ports[0].Value)
	root := filepath.Join(h.dir, "alloc", spec.ID)
	for _, line := range []string{
		"ADDR=127.0.0.1:" + port, `NODE=n1/model/${nothing.here}/${env["HOME"]}/${ NOMAD_DC }`, "ARGS=-port," + port, "NOMAD_ALLOC_ID=" + spec.ID,
		"NOMAD_ALLOC_INDEX=0", "NOMAD_META_weir_release=r1", "NOMAD_META_WEIR_RELEASE=r1",
		"NOMAD_META_WHERE=blue-m-${NOMAD_META_who}", "NOMAD_META_who=dc1",
		"NOMAD_TASK_DIR=" + root + "/server/local", "NOMAD_ALLOC_DIR=" + root + "/alloc", "WD=" + root + "/server",
	} {
		h.eventually("log has "+line, func() bool { return slices.Contains(h.logLines(spec.ID, "stdout"), line) })
	}
	h.Stop(spec.ID)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		"Killing: Sent interrupt. Waiting 2s before force killing", "Terminated: Exit Code: 0",
		"Killed: Task successfully killed")
	if s := u.TaskStates["server"]; s.State != "dead" || s.Failed || u.ClientDescription != "All tasks have completed" {
		t.Errorf("stopped: %s", describe(u))
	}
	if err := h.Remove(spec.ID); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func (h *harness) logLines(id, typ string) []string {
	files, err := h.LogFiles(id, "server", typ)
	if err != nil || len(files) == 0 {
		return nil
	}
	data, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func wantEvents(t *testing.T, u client.Update, task string, want ...string) {
	t.Helper()
	got := eventTexts(u, task)
	if len(got) != len(want) {
		t.Fatalf("events of %s:\n%s\nwant:\n%s", task, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for i := range want {
		if prefix, found := strings.CutSuffix(want[i], "…"); found && strings.HasPrefix(got[i], prefix) {
			continue
		}
		if got[i] != want[i] {
			t.Errorf("event %d of %s is %q, want %q", i, task, got[i], want[i])
		}
	}
}

func TestCrashLoopFailsWhenItsAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "crash")
	spec.DeploymentID = newID()
	group(spec).RestartPolicy.Attempts = new(1)
	group(spec).Update.MinHealthyTime = new(5 * time.Second)
	h.run(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		"Terminated: Exit Code: 1", "Restarting: Task restarting in 1…", "Started: Task started by client",
		"Terminated: Exit Code: 1",
		`Not Restarting: Exceeded allowed attempts 1 in interval 1m0s and mode is "fail"`)
	if s := u.TaskStates["server"]; !s.Failed || s.Restarts != 1 || u.ClientDescription != "Failed tasks" {
		t.Errorf("failed: %s", describe(u))
	}
	if u.Healthy == nil || *u.Healthy || !u.HealthAt.IsZero() {
		t.Errorf("health is %v at %s, want false without a time", u.Healthy, u.HealthAt)
	}
}

func TestCrashLoopInDelayModeGoesOnUntilItIsStopped(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "crash")
	group(spec).RestartPolicy = &api.RestartPolicy{
		Attempts: new(1), Interval: new(5 * time.Second), Delay: new(10 * time.Millisecond), Mode: new("delay"),
	}
	h.run(spec)
	h.await(spec.ID, "delayed", func(u client.Update) bool {
		return slices.ContainsFunc(eventTexts(u, "server"), func(text string) bool {
			return strings.HasPrefix(text, "Restarting: Exceeded allowed attempts, applying a delay - Task restarting in 4.")
		})
	})
	h.Stop(spec.ID)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if got := eventTexts(u, "server"); !strings.HasPrefix(got[len(got)-1], "Killing: ") {
		t.Errorf("the last event is %q, want Killing", got[len(got)-1])
	}
}

func TestKillTimeoutEndsEverythingThatTheTaskHasStarted(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "stubborn")
	task(spec).KillTimeout = new(200 * time.Millisecond)
	h.run(spec)
	var child int
	h.eventually("the task's child is ready", func() bool { child = childOf(h, spec); return child != 0 })
	h.Stop(spec.ID)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		"Killing: Sent interrupt. Waiting 200ms before force killing", "Terminated: Exit Code: 137, Signal: 9",
		"Killed: Task successfully killed")
	h.eventually("the child is gone", func() bool { return gone(child) })
}

// childOf returns the child of a stubborn task when both ignore signals, 0 before.
func childOf(h *harness, spec *api.Allocation) int {
	child, lines := 0, h.logLines(spec.ID, "stdout")
	for _, line := range lines {
		if digits, found := strings.CutPrefix(line, "CHILD "); found {
			child, _ = strconv.Atoi(digits)
		}
	}
	if strings.Count(strings.Join(lines, "\n"), "READY") != 2 {
		return 0
	}
	return child
}

// gone reports whether a process has ended; one that nobody reaps (a zombie) has.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestCloseThatMayNotWaitKillsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "stubborn")
	task(spec).KillTimeout = new(time.Minute)
	group(spec).ShutdownDelay = new(time.Minute)
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	left, err := client.Leftovers(h.dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("leftovers are %v, %v, want the task's process", left, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := h.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("close took %s", took)
	}
	if left, err := client.Leftovers(h.dir); err != nil || len(left) != 0 {
		t.Errorf("leftovers are %v, %v, want none", left, err)
	}
}

func TestLeftoverIsKilled(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "stubborn")
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	left, err := client.Leftovers(h.dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("leftovers are %v, %v, want the task's process", left, err)
	}
	if err := left[0].Kill(t.Context(), syscall.SIGTERM, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
}

func TestFailedTaskEndsItsSiblings(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	other := *task(spec)
	other.Name, other.Env = "side", map[string]string{"TASK": "crash"}
	group(spec).Tasks = append(group(spec).Tasks, &other)
	h.run(spec)
	u := h.await(spec.ID, "all dead", func(u client.Update) bool {
		return u.TaskStates["server"].State == "dead" && u.TaskStates["side"].State == "dead"
	})
	if u.ClientStatus != api.AllocClientStatusFailed || u.TaskStates["server"].Failed {
		t.Errorf("ended as %s", describe(u))
	}
	if !slices.Contains(eventTexts(u, "server"), `Sibling Task Failed: Task's sibling "side" failed`) {
		t.Errorf("the sibling is not told: %s", describe(u))
	}
}

func TestEndOfTheLeaderEndsTheOthers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	spec.Job.Type = new("batch")
	leader := *task(spec)
	leader.Name, leader.Leader, leader.Env = "leader", true, map[string]string{"TASK": "once"}
	group(spec).Tasks = append(group(spec).Tasks, &leader)
	h.run(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if !slices.Contains(eventTexts(u, "server"), "Leader Task Dead: Leader Task in Group dead") {
		t.Errorf("the others are not told: %s", describe(u))
	}
}

func TestRestartAndSignalByTheUser(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := newAllocation(t, "print")
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	h.eventually("the task listens to signals", func() bool { return len(h.logLines(spec.ID, "stdout")) > 1 })
	if err := h.Restart(spec.ID, ""); err != nil {
		t.Fatal(err)
	}
	u := h.await(spec.ID, "restarted", func(u client.Update) bool {
		return u.TaskStates["server"].Restarts == 1 && u.TaskStates["server"].State == "running"
	})
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		"Restart Signaled: User requested task to restart", "Terminated: Exit Code: 0", "Restarting: Task restarting in 0s",
		"Started: Task started by client")
	if err := h.Signal(spec.ID, "server", "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	u = h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	if !slices.Contains(eventTexts(u, "server"), "Terminated: Exit Code: 137, Signal: 9") {
		t.Errorf("after SIGKILL: %s", describe(u))
	}
	if err := h.Signal(spec.ID, "server", "SIGFOO"); err == nil {
		t.Error("an unknown signal is sent")
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*api.Allocation)
		want   string
	}{
		"driver": {
			func(a *api.Allocation) { task(a).Driver = "java" },
			`Driver Failure: driver "java" is not in the embedded agent, which has raw_exec and docker; run it on a real Nomad`,
		},
		"config": {
			func(a *api.Allocation) { task(a).Config["cgroup"] = "x" },
			`Driver Failure: config key "cgroup" of raw_exec is not in the embedded agent, which has args and command`,
		},
		"command": {
			func(a *api.Allocation) { task(a).Config["command"] = "/no/such/thing" },
			"Driver Failure: start /no/such/thing: fork/exec /no/such/thing: no such file or directory",
		},
		"consul": {
			func(a *api.Allocation) { withService(a) },
			"Setup Failure: the job registers a Consul service, but the agent runs without Consul; start it with one",
		},
		"port": {
			func(a *api.Allocation) { withService(a); group(a).Services[0].PortLabel = "web" },
			`Setup Failure: service "m": port "web" is no port of the group's network block and no number`,
		},
		"check type": {
			func(a *api.Allocation) { withService(a); group(a).Services[0].Checks[0].Type = "grpc" },
			`Setup Failure: service "m": check "health": type "grpc" is not in the embedded agent; use "http", "tcp" or…`,
		},
		"template": {
			func(a *api.Allocation) {
				task(a).Templates = []*api.Template{{DestPath: new("local/x"), EmbeddedTmpl: new(`{{ key "a" }}`)}}
			},
			`Setup Failure: render template "local/x": the function "key" of templates is not in the embedded agent, which…`,
		},
		"artifact": {
			func(a *api.Allocation) {
				task(a).Artifacts = []*api.TaskArtifact{{GetterSource: new("git::https://x/y")}}
			},
			`Failed Artifact Download: fetch artifact "git::https://x/y": scheme "git" is not in the embedded agent, which…`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, "")
			spec := newAllocation(t, "once")
			tt.change(spec)
			h.run(spec)
			u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
			want, _ := strings.CutSuffix(tt.want, "…")
			if !slices.ContainsFunc(eventTexts(u, "server"), func(text string) bool { return strings.HasPrefix(text, want) }) {
				t.Errorf("events are\n%s\nwant among them\n%s", strings.Join(eventTexts(u, "server"), "\n"), tt.want)
			}
		})
	}
}

package client_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
	"github.com/weirhq/weir/internal/parts/partstest"
)

// wantEngine ends the test where no Docker engine answers: it is no part of Weir. Start dockerd to have it run.
func wantEngine(t *testing.T) {
	t.Helper()
	version, err := client.DockerVersion(t.Context())
	if err != nil {
		t.Skipf("docker tasks want a Docker engine: %v", err)
	}
	t.Logf("Docker engine %s", version)
}

// withImage makes an image of testdata/container for the test.
func withImage(t *testing.T) (image string) {
	t.Helper()
	wantEngine(t)
	name := "weir-test/" + newID()
	if err := client.ImportImage(t.Context(), name, taskFiles(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.RemoveImage(context.WithoutCancel(t.Context()), name+":test"); err != nil {
			t.Error(err)
		}
	})
	return name + ":test"
}

// taskFiles returns a tar that holds testdata/container as /task.
func taskFiles(t *testing.T) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "task")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/container")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	err = archive.WriteHeader(&tar.Header{Name: "task", Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return files.Bytes()
}

// newContainer is an allocation whose task is a container that does what role says.
func newContainer(t *testing.T, image, role string) *api.Allocation {
	t.Helper()
	spec := newAllocation(t, role)
	task(spec).Driver = "docker"
	task(spec).Config = map[string]any{
		"image": image, "command": "/task", "args": []any{role}, "ports": []any{"http"}, "force_pull": false,
	}
	task(spec).Resources = &api.Resources{CPU: new(100), MemoryMB: new(64)}
	t.Cleanup(func() {
		if err := client.RemoveContainer(context.WithoutCancel(t.Context()), containerOf(spec)); err != nil {
			t.Error(err)
		}
	})
	return spec
}

func containerOf(spec *api.Allocation) string { return "server-" + spec.ID }

func TestContainerIsATask(t *testing.T) {
	t.Parallel()
	image := withImage(t)
	h := withConsul(t)
	spec := withService(newContainer(t, image, "serve"))
	spec.AllocatedResources.Shared.Ports[0].To = 8123
	spec.DeploymentID = newID()
	mounted := t.TempDir()
	if err := os.WriteFile(mounted+"/file", []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	task(spec).Env["SECRETS"] = "${NOMAD_SECRETS_DIR}/key"
	task(spec).User = "65532"
	task(spec).Config["volumes"] = []any{"local/sub:/sub"}
	task(spec).Config["mount"] = []any{
		map[string]any{"type": "bind", "source": mounted, "target": "/mounted", "readonly": true},
	}
	task(spec).Templates = []*api.Template{{DestPath: new("${NOMAD_TASK_DIR}/sub/x"), EmbeddedTmpl: new("x")}}
	h.run(spec)
	h.await(spec.ID, "healthy", healthy)
	for _, line := range []string{
		"NOMAD_ALLOC_DIR=/alloc", "NOMAD_PORT_http=8123", "SECRETS=/secrets/key", "FILE=content <nil>",
		"WRITE open /mounted/other: read-only file system", "LOCAL <nil>",
		fmt.Sprintf("NOMAD_HOST_PORT_http=%d", spec.AllocatedResources.Shared.Ports[0].Value),
	} {
		h.eventually("log has "+line, func() bool { return slices.Contains(h.logLines(spec.ID, "stdout"), line) })
	}
	if slices.ContainsFunc(h.logLines(spec.ID, "stdout"), func(l string) bool { return strings.HasPrefix(l, "GOPATH=") }) {
		t.Error("the agent's own environment is in the container")
	}
	h.eventually("stderr is apart", func() bool { return slices.Equal(h.logLines(spec.ID, "stderr"), []string{"to stderr"}) })
	if x, err := os.ReadFile(filepath.Join(h.dir, "alloc", spec.ID, "server/local/sub/x")); err != nil || string(x) != "x" {
		t.Errorf("the template holds %q, %v", x, err)
	}
	h.Stop(spec.ID)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		"Killing: Sent interrupt. Waiting 2s before force killing", "Terminated: Exit Code: 0",
		"Killed: Task successfully killed")
	if client.HasContainer(t.Context(), containerOf(spec)) || h.service(spec.ID) != nil {
		t.Error("the container or its service is still there")
	}
}

func TestContainersEndAsTasksDo(t *testing.T) {
	t.Parallel()
	image := withImage(t)
	tests := map[string]struct {
		role   string
		change func(*api.Allocation)
		act    func(*harness, *api.Allocation)
		want   string
	}{
		"out of memory": {role: "glutton", want: `Terminated: Exit Code: 137, Exit Message: "OOM Killed"`},
		"stubborn": {
			role: "stubborn", change: func(a *api.Allocation) { task(a).KillTimeout = new(200 * time.Millisecond) },
			act: func(h *harness, a *api.Allocation) { h.Stop(a.ID) }, want: "Terminated: Exit Code: 137",
		},
		"signalled": {
			role: "clock", want: "Terminated: Exit Code: 3",
			act: func(h *harness, a *api.Allocation) { _ = h.Signal(a.ID, "server", "SIGINT") },
		},
		"no image": {
			role: "clock", change: func(a *api.Allocation) { task(a).Config["image"] = "weir-test/nothing:1" },
			want: `Driver Failure: image "weir-test/nothing:1" is to be pulled, which this agent is not allowed to; build or ` +
				"load it on this machine and leave force_pull out, or allow pulling",
		},
		"unknown key": {
			role: "clock", change: func(a *api.Allocation) { task(a).Config["privileged"] = true },
			want: `Driver Failure: config key "privileged" of docker is not in the embedded agent, which has args and command`,
		},
		"volume mount": {
			role: "clock", change: func(a *api.Allocation) {
				task(a).Config["mounts"] = []any{map[string]any{"type": "volume", "source": "x", "target": "/x"}}
			},
			want: `Driver Failure: mount of type "volume" is not in the embedded agent, which has bind`,
		},
		"no such command": {
			role: "clock", change: func(a *api.Allocation) { task(a).Config["command"] = "/nothing" },
			want: "Driver Failure: start container ",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, "")
			spec := newContainer(t, image, tt.role)
			if tt.change != nil {
				tt.change(spec)
			}
			h.run(spec)
			if tt.act != nil {
				h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
				h.eventually("it writes", func() bool { return len(h.logLines(spec.ID, "stdout")) > 0 })
				tt.act(h, spec)
			}
			u := h.await(spec.ID, "ended", func(u client.Update) bool {
				return u.TaskStates["server"] != nil && u.TaskStates["server"].State == "dead"
			})
			texts := eventTexts(u, "server")
			if !slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(text, tt.want) }) {
				t.Errorf("events are\n%s\nwant among them\n%s", strings.Join(texts, "\n"), tt.want)
			}
			if client.HasContainer(t.Context(), containerOf(spec)) {
				t.Error("the container is still there")
			}
		})
	}
}

func TestContainerOfAKilledAgentIsTakenOver(t *testing.T) {
	t.Parallel()
	image := withImage(t)
	spec := newContainer(t, image, "clock")
	dir, before := killed(t, "", spec, runs)
	time.Sleep(100 * time.Millisecond) // it writes on without an agent
	h := newHarnessAt(t, dir, "")
	h.restore(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	if got, want := eventTexts(u, "server"), eventTexts(before, "server"); !slices.Equal(got, want) {
		t.Errorf("events are %q, were %q", got, want)
	}
	seen := len(h.logLines(spec.ID, "stdout"))
	h.eventually("the log grows", func() bool { return len(h.logLines(spec.ID, "stdout")) > seen+50 })
	h.Stop(spec.ID)
	u = h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if texts := eventTexts(u, "server"); !slices.Contains(texts, "Terminated: Exit Code: 3") {
		t.Errorf("stopped: %s", describe(u))
	}
	for i, line := range h.logLines(spec.ID, "stdout") {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d of the log is %q: something is lost or twice", i, line)
		}
	}
}

func TestContainerThatEndedWithoutAnAgentTellsItsExitCode(t *testing.T) {
	t.Parallel()
	image := withImage(t)
	server := partstest.Consul(t)
	spec := newContainer(t, image, "clock")
	dir, _ := killed(t, server.Addr, spec, runs)
	if err := leftover(t, dir).Kill(t.Context(), syscall.SIGINT, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	h := newHarnessAt(t, dir, server.Addr)
	h.restore(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	if texts := eventTexts(u, "server"); texts[len(texts)-2] != "Terminated: Exit Code: 3" {
		t.Errorf("ended: %s", describe(u))
	}
}

func TestWithoutAnEngineADockerTaskFailsAndSaysSo(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	h := newHarness(t, "")
	spec := newAllocation(t, "clock")
	task(spec).Driver, task(spec).Config = "docker", map[string]any{"image": "x"}
	h.run(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	texts := strings.Join(eventTexts(u, "server"), "\n")
	if !strings.Contains(texts, "Driver Failure: ask the Docker engine at") || !strings.Contains(texts, "is it running?") {
		t.Errorf("events are\n%s", texts)
	}
}

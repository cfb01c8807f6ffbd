//go:build linux

package client_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// needsController skips a test where the kernel gives a process no such controller, in either version.
func needsController(t *testing.T, name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("control groups take root")
	}
	roots := []string{"/sys/fs/cgroup/" + name}
	for _, unified := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if has, err := os.ReadFile(unified + "/cgroup.controllers"); err == nil && slices.Contains(strings.Fields(string(has)), name) {
			roots = append(roots, unified)
		}
	}
	for _, root := range roots {
		if probe, err := os.MkdirTemp(root, "weirprobe"); err == nil {
			_ = os.Remove(probe)
			return
		}
	}
	t.Skipf("this kernel gives no control groups with the controller %q: nothing can be limited here", name)
}

func TestLimitedTaskHasAControlGroup(t *testing.T) {
	t.Parallel()
	needsController(t, "memory")
	needsController(t, "cpu")
	h := newHarnessAt(t, t.TempDir(), "", limited)
	spec := newAllocation(t, "stubborn")
	task(spec).KillTimeout = new(100 * time.Millisecond)
	task(spec).Resources = &api.Resources{CPU: new(500), MemoryMB: new(256)}
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	var child int
	h.eventually("the task's child is ready", func() bool { child = childOf(h, spec); return child != 0 })
	dirs := controls(t, child)
	for files, want := range map[string]string{"memory.max memory.limit_in_bytes": "268435456", "cpu.weight cpu.shares": "19 500"} {
		if got := firstFile(dirs, strings.Fields(files)...); !slices.Contains(strings.Fields(want), got) {
			t.Errorf("%s of %q is %q, want %s", files, dirs, got, want)
		}
	}
	if own := controls(t, os.Getpid()); len(own) > 0 {
		t.Errorf("this process is in %q itself", own)
	}
	threads, err := filepath.Glob("/proc/self/task/*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if own, err := os.ReadFile(thread); err == nil && strings.Contains(string(own), spec.ID) {
			t.Errorf("a thread of this process has stayed behind: %s", own)
		}
	}
	h.Stop(spec.ID)
	h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if !gone(child) {
		t.Error("the child is not gone")
	}
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the control group is still there: %v", err)
		}
	}
}

// firstFile returns what is in the first of the files that there is.
func firstFile(dirs []string, names ...string) string {
	for _, dir := range dirs {
		for _, name := range names {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
				return strings.TrimSpace(string(text))
			}
		}
	}
	return ""
}

func TestTaskOverItsMemoryIsOOMKilled(t *testing.T) {
	t.Parallel()
	needsController(t, "memory")
	h := newHarnessAt(t, t.TempDir(), "", limited)
	spec := newAllocation(t, "glutton")
	task(spec).Resources = &api.Resources{CPU: new(100), MemoryMB: new(64)}
	h.run(spec)
	u := h.await(spec.ID, "ended", func(u client.Update) bool { return u.ClientStatus == api.AllocClientStatusFailed })
	i := slices.Index(eventTexts(u, "server"), `Terminated: Exit Code: 137, Signal: 9, Exit Message: "OOM Killed"`)
	if i < 0 {
		t.Fatalf("ended: %s", describe(u))
	}
	if e := u.TaskStates["server"].Events[i]; e.ExitCode != 137 || e.Signal != 9 || e.Details["oom_killed"] != "true" {
		t.Errorf("the event is %+v", e)
	}
	roomy := newAllocation(t, "glutton")
	task(roomy).Resources = &api.Resources{CPU: new(100), MemoryMB: new(64), MemoryMaxMB: new(1024)}
	h.run(roomy)
	u = h.await(roomy.ID, "ended", func(u client.Update) bool { return u.ClientStatus == api.AllocClientStatusFailed })
	if texts := eventTexts(u, "server"); !slices.Contains(texts, "Terminated: Exit Code: 0") {
		t.Errorf("with memory_max enough: %s", describe(u))
	}
}

func TestLimitsAreWrittenAsTheKernelWantsThem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"version 2": {"memory.max": "209715200", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.weight": "39"},
		"version 1": {"memory.limit_in_bytes": "209715200", "memory.memsw.limit_in_bytes": "209715200", "cpu.shares": "1024"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file := range want {
				if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.Limit(dir, &api.Resources{CPU: new(1024), MemoryMB: new(100), MemoryMaxMB: new(200)}); err != nil {
				t.Fatal(err)
			}
			for file, value := range want {
				if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != value {
					t.Errorf("%s is %q, %v, want %s", file, got, err, value)
				}
			}
		})
	}
	for _, c := range []struct {
		file, text string
		want       bool
	}{
		{"memory.events", "low 0\noom 3\noom_kill 1\n", true},
		{"memory.events", "oom 3\noom_kill 0\n", false},
		{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", true},
		{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", false},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := client.OOMKilled(dir); got != c.want {
			t.Errorf("OOM killed by %s %q: %v", c.file, c.text, got)
		}
	}
}

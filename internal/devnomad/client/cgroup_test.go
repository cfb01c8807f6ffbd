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

// TestLimitedTaskHasAControlGroup runs with whatever the system gives: where it gives no control groups, or no memory
// controller, the task runs without, as Config.Limits says.
func TestLimitedTaskHasAControlGroup(t *testing.T) {
	t.Parallel()
	h := newHarnessAt(t, t.TempDir(), "", limited)
	spec := newAllocation(t, "stubborn")
	task(spec).KillTimeout = new(100 * time.Millisecond)
	task(spec).Resources = &api.Resources{CPU: new(500), MemoryMB: new(256)}
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusRunning)
	var child int
	h.eventually("the task's child is ready", func() bool { child = childOf(h, spec); return child != 0 })
	dir := cgroupOf(t, child)
	if writable(t) && !strings.HasSuffix(dir, spec.ID+".server") {
		t.Errorf("the task's child is in control group %q", dir)
	}
	if limit, err := os.ReadFile(dir + "/memory.max"); err == nil && string(limit) != "268435456\n" && dir != "" {
		t.Errorf("memory.max is %q", limit)
	}
	h.Stop(spec.ID)
	h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if !gone(child) {
		t.Error("the child is not gone")
	}
	if _, err := os.Stat(dir); dir != "" && !os.IsNotExist(err) {
		t.Errorf("the control group is still there: %v", err)
	}
}

// writable reports whether control groups can be made here.
func writable(t *testing.T) bool {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(root + "/cgroup.controllers"); err != nil {
			continue
		}
		if probe, err := os.MkdirTemp(root, "weirprobe"); err == nil {
			_ = os.Remove(probe)
			return true
		}
	}
	return false
}

func TestTaskOverItsMemoryIsToldAsOOMKilled(t *testing.T) {
	t.Parallel()
	h := newHarnessAt(t, t.TempDir(), "", limited)
	spec := newAllocation(t, "glutton")
	task(spec).Resources = &api.Resources{CPU: new(100), MemoryMB: new(64)}
	h.run(spec)
	u := h.await(spec.ID, "ended", func(u client.Update) bool { return u.ClientStatus == api.AllocClientStatusFailed })
	want := `Terminated: Exit Code: 137, Signal: 9, Exit Message: "OOM Killed"`
	if !hasMemoryController() {
		want = "Terminated: Exit Code: 0" // it gets what it wants
	}
	if texts := eventTexts(u, "server"); !slices.Contains(texts, want) {
		t.Errorf("ended: %s\nwant %s", describe(u), want)
	}
}

func hasMemoryController() bool {
	controllers, err := os.ReadFile("/sys/fs/cgroup/cgroup.subtree_control")
	return err == nil && strings.Contains(string(controllers), "memory")
}

func TestLimitsAreWrittenAsTheKernelWantsThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Limit(dir, &api.Resources{CPU: new(1024), MemoryMB: new(100), MemoryMaxMB: new(200)}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"memory.max": "209715200", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.weight": "39",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v, want %s", name, got, err, want)
		}
	}
	for events, want := range map[string]bool{"low 0\noom 3\noom_kill 1\n": true, "oom 3\noom_kill 0\n": false} {
		if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte(events), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := client.OOMKilled(dir); got != want {
			t.Errorf("OOM killed by %q: %v", events, got)
		}
	}
}

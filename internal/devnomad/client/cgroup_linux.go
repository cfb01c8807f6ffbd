package client

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sys/unix"

	"github.com/weirhq/weir/internal/proc"
)

// cgroups makes control groups for each task, under one of the client's own: of version 2, and of version 1 for the
// controllers that the system keeps there. nil makes none.
type cgroups struct{ trees []cgroupTree }

// cgroupTree is the client's part of a mounted hierarchy.
type cgroupTree struct {
	parent string // the client's own group
	home   string // version 1: the group that this process is in, whose threads come back to it; "" for version 2
}

// limited are the controllers that hold a task to its resources.
var limited = []string{"cpu", "memory"}

// openCgroups makes the client's control groups. What can't be had is told once; the client goes on without it.
func openCgroups(dataDir string, log *slog.Logger) *cgroups {
	mounts, err := cgroupMounts()
	if err != nil {
		log.Warn("no resource limits", "err", err)
		return nil
	}
	sum := sha256.Sum256([]byte(dataDir))
	name := fmt.Sprintf("weir-%x", sum[:4])
	c := &cgroups{}
	missing := limited
	if root := mounts[""]; root != "" {
		missing, err = c.addUnified(root, name)
	}
	for _, controller := range slices.Clone(missing) {
		if root := mounts[controller]; root != "" && err == nil {
			missing = slices.DeleteFunc(slices.Clone(missing), func(m string) bool { return m == controller })
			err = c.addVersion1(root, name, controller)
		}
	}
	if err != nil {
		log.Warn("no resource limits", "err", err)
		c.close()
		return nil
	}
	if len(missing) > 0 {
		log.Warn("resource limits are not enforced: the system has no control groups of these controllers", "controllers", missing)
	}
	return c
}

// cgroupMounts returns where control groups are mounted: those of version 1 by controller, version 2 under "".
func cgroupMounts() (map[string]string, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find the control groups: %w", err)
	}
	mounts := map[string]string{}
	for line := range strings.Lines(string(info)) { // … <root> <mount point> … - <type> <source> <options>, see proc(5)
		left, right, _ := strings.Cut(line, " - ")
		place, kind := strings.Fields(left), strings.Fields(right)
		switch {
		case len(place) < 5 || len(kind) < 3 || place[3] != "/":
		case kind[0] == "cgroup2":
			mounts[""] = place[4]
		case kind[0] == "cgroup":
			for option := range strings.SplitSeq(kind[2], ",") {
				mounts[option] = place[4]
			}
		}
	}
	return mounts, nil
}

// addUnified makes the client's group of version 2, and returns the controllers that are not to be had there.
func (c *cgroups) addUnified(root, name string) (missing []string, err error) {
	if err := c.add(cgroupTree{parent: filepath.Join(root, name)}); err != nil {
		return nil, err
	}
	for _, controller := range limited {
		for _, dir := range []string{root, filepath.Join(root, name)} {
			if err := writeCgroup(dir, "cgroup.subtree_control", "+"+controller); err != nil {
				missing = append(missing, controller)
				break
			}
		}
	}
	return missing, nil
}

// addVersion1 makes the client's group in the hierarchy of one controller.
func (c *cgroups) addVersion1(root, name, controller string) error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("find the agent's control group: %w", err)
	}
	for line := range strings.Lines(string(own)) { // <number>:<controllers>:<path>
		columns := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(columns) == 3 && slices.Contains(strings.Split(columns[1], ","), controller) {
			return c.add(cgroupTree{parent: filepath.Join(root, name), home: filepath.Join(root, columns[2])})
		}
	}
	return fmt.Errorf("find the agent's control group of %s: it has none", controller)
}

// add makes the client's group in a tree, and removes in it what a killed agent has left of tasks that have ended.
func (c *cgroups) add(tree cgroupTree) error {
	if err := os.MkdirAll(tree.parent, 0o755); err != nil {
		return fmt.Errorf("make the client's control group: %w", err)
	}
	c.trees = append(c.trees, tree)
	left, _ := filepath.Glob(filepath.Join(tree.parent, "*")) // the pattern is well-formed
	for _, dir := range left {
		_ = os.Remove(dir) // one with processes stays, and so do files
	}
	return nil
}

func writeCgroup(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644)
}

// of returns the control group of a task, which need not be there.
func (c *cgroups) of(task *api.Task, env *taskEnv) cgroup {
	if c == nil {
		return nil
	}
	g := make(cgroup, len(c.trees))
	for i, tree := range c.trees {
		g[i] = cgroupDir{dir: filepath.Join(tree.parent, env.own["NOMAD_ALLOC_ID"]+"."+task.Name), home: tree.home}
	}
	return g
}

// close removes the client's control groups that are empty.
func (c *cgroups) close() {
	if c != nil {
		for _, tree := range c.trees {
			_ = os.Remove(tree.parent)
		}
	}
}

// cgroup is the control group of one task, in each hierarchy that is used; none in none.
type cgroup []cgroupDir

// cgroupDir is a control group in one hierarchy.
type cgroupDir struct{ dir, home string } // home as in cgroupTree

// limitFile is a file of a control group that takes a limit.
type limitFile struct {
	name  string
	value int
}

// limitsOf are the limits of a task for both versions, in the order in which the kernel takes them: memory is hard, CPU
// a share among those that want it.
func limitsOf(r *api.Resources) []limitFile {
	if r == nil {
		return nil
	}
	memory, shares := max(or(r.MemoryMB, 300), or(r.MemoryMaxMB, 0))<<20, min(max(or(r.CPU, 100), 2), 262144)
	return []limitFile{
		{"memory.max", memory},
		{"memory.swap.max", 0},
		{"memory.oom.group", 1},
		{"cpu.weight", cpuWeight(shares)},
		{"memory.limit_in_bytes", memory},
		{"memory.memsw.limit_in_bytes", memory},
		{"cpu.shares", shares},
	}
}

// make makes the group with the limits of the task.
func (g cgroup) make(r *api.Resources) error {
	for _, d := range g {
		if err := os.MkdirAll(d.dir, 0o755); err != nil {
			return fmt.Errorf("make the control group: %w", err)
		}
		for _, limit := range limitsOf(r) {
			if _, err := os.Stat(filepath.Join(d.dir, limit.name)); err != nil {
				continue // of the other version, or of a controller whose want has been told
			}
			if err := writeCgroup(d.dir, limit.name, strconv.Itoa(limit.value)); err != nil {
				return fmt.Errorf("limit the task: %w", err)
			}
		}
	}
	return nil
}

// cpuWeight turns Nomad's MHz, which are shares of version 1 (2 to 262144), into a weight of version 2 (1 to 10000).
func cpuWeight(shares int) int { return 1 + (shares-2)*9999/262142 }

// start starts cmd in the group. Version 2 takes the group with the fork; in version 1 a child is where the thread is
// that forks, so that thread goes there and back.
func (g cgroup) start(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, d := range g {
		if d.home != "" {
			if err := enterCgroup(d.dir); err != nil {
				return err
			}
			defer enterCgroup(d.home) //nolint:errcheck // where the process itself is: there is always room
			continue
		}
		dir, err := os.Open(d.dir)
		if err != nil {
			return fmt.Errorf("open the control group: %w", err)
		}
		defer dir.Close()
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	return proc.Start(cmd)
}

// enterCgroup moves the calling thread.
func enterCgroup(dir string) error {
	if err := writeCgroup(dir, "tasks", strconv.Itoa(unix.Gettid())); err != nil {
		return fmt.Errorf("enter the control group: %w", err)
	}
	return nil
}

// end kills whatever runs in the group, removes it, and reports whether the kernel had killed in it for want of memory.
func (g cgroup) end() (oom bool) {
	for _, d := range g {
		oom = oom || d.oomKilled()
		_ = writeCgroup(d.dir, "cgroup.kill", "1") // version 2 from Linux 5.14 on; elsewhere the marks do
	}
	for _, d := range g {
		for range 500 {
			if err := os.Remove(d.dir); err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			time.Sleep(2 * time.Millisecond) // what has been killed ends
		}
	}
	return oom
}

// oomKilled reads the count of such kills: both versions have a line of it.
func (d cgroupDir) oomKilled() bool {
	for _, name := range []string{"memory.events", "memory.oom_control"} {
		text, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if count, found := strings.CutPrefix(line, "oom_kill "); found {
				return strings.TrimSpace(count) != "0"
			}
		}
	}
	return false
}

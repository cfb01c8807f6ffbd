package client

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// cgroups makes a control group (version 2) for each task, under one of the client's own. nil makes none.
type cgroups struct{ parent string }

// openCgroups makes the client's control group. What can't be had is told once; the client goes on without it.
func openCgroups(dataDir string, log *slog.Logger) *cgroups {
	root, err := cgroupRoot()
	if err != nil {
		log.Warn("no resource limits", "err", err)
		return nil
	}
	sum := sha256.Sum256([]byte(dataDir))
	c := &cgroups{parent: filepath.Join(root, fmt.Sprintf("weir-%x", sum[:4]))}
	if err := os.MkdirAll(c.parent, 0o755); err != nil {
		log.Warn("no resource limits", "err", err)
		return nil
	}
	left, _ := filepath.Glob(filepath.Join(c.parent, "*")) // the pattern is well-formed
	for _, dir := range left {
		_ = os.Remove(dir) // of a task that a killed agent has left and that has ended; one that runs stays
	}
	var missing []string
	for _, controller := range []string{"cpu", "memory"} {
		if c.enable(root, controller) != nil {
			missing = append(missing, controller)
		}
	}
	if len(missing) > 0 {
		log.Warn("resource limits are not enforced: the system keeps these controllers from control groups version 2",
			"controllers", missing)
	}
	return c
}

func (c *cgroups) enable(root, controller string) error {
	for _, dir := range []string{root, c.parent} {
		if err := writeCgroup(dir, "cgroup.subtree_control", "+"+controller); err != nil {
			return err
		}
	}
	return nil
}

// cgroupRoot returns where control groups version 2 are mounted.
func cgroupRoot() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find the control groups: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields, rest, found := strings.Cut(line, " - cgroup2 ")
		if columns := strings.Fields(fields); found && len(columns) > 4 && rest != "" {
			return columns[4], nil
		}
	}
	return "", errors.New("find the control groups: version 2 is not mounted")
}

func writeCgroup(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644)
}

// of returns the control group of a task, which need not be there.
func (c *cgroups) of(task *api.Task, env *taskEnv) cgroup {
	if c == nil {
		return cgroup{}
	}
	return cgroup{dir: filepath.Join(c.parent, env.own["NOMAD_ALLOC_ID"]+"."+task.Name)}
}

// close removes the client's control group when it is empty.
func (c *cgroups) close() {
	if c != nil {
		_ = os.Remove(c.parent)
	}
}

// cgroup is the control group of one task; the zero value is none.
type cgroup struct{ dir string }

// make makes the group with the limits of the task: memory is hard, CPU a share among those that want it.
func (g cgroup) make(r *api.Resources) error {
	if g.dir == "" {
		return nil
	}
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		return fmt.Errorf("make the control group: %w", err)
	}
	if r == nil {
		return nil
	}
	memory := max(or(r.MemoryMB, 300), or(r.MemoryMaxMB, 0))
	for name, value := range map[string]int{
		"memory.max": memory << 20, "memory.swap.max": 0, "memory.oom.group": 1, "cpu.weight": cpuWeight(or(r.CPU, 100)),
	} {
		if _, err := os.Stat(filepath.Join(g.dir, name)); err != nil {
			continue // a missing controller has been told of
		}
		if err := writeCgroup(g.dir, name, strconv.Itoa(value)); err != nil {
			return fmt.Errorf("limit the task: %w", err)
		}
	}
	return nil
}

// cpuWeight turns Nomad's MHz, which are shares of version 1 (2 to 262144), into a weight of version 2 (1 to 10000).
func cpuWeight(shares int) int {
	shares = min(max(shares, 2), 262144)
	return 1 + (shares-2)*9999/262142
}

// join makes cmd start in the group. What it returns is to be called after the start.
func (g cgroup) join(cmd *exec.Cmd) (func(), error) {
	if g.dir == "" {
		return func() {}, nil
	}
	dir, err := os.Open(g.dir)
	if err != nil {
		return nil, fmt.Errorf("open the control group: %w", err)
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return func() { _ = dir.Close() }, nil
}

// end kills whatever runs in the group, removes it, and reports whether the kernel had killed in it for want of memory.
func (g cgroup) end() (oom bool) {
	if g.dir == "" {
		return false
	}
	oom = g.oomKilled()
	_ = writeCgroup(g.dir, "cgroup.kill", "1") // Linux 5.14; before that the marks do
	for range 500 {
		if err := os.Remove(g.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(2 * time.Millisecond) // what has been killed ends
	}
	return oom
}

func (g cgroup) oomKilled() bool {
	events, err := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(bytes.NewReader(events))
	for lines.Scan() {
		if count, found := strings.CutPrefix(lines.Text(), "oom_kill "); found {
			return count != "0"
		}
	}
	return false
}

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// rawExec runs tasks as process groups of the agent's own user, as Nomad's raw_exec driver.
type rawExec struct {
	tied    bool
	cgroups *cgroups
}

// rawConfig is the config block of raw_exec.
type rawConfig struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// decodeConfig reads the config block of a driver into out, whose keys are all that it may have.
func decodeConfig(task *api.Task, out any) error {
	data, err := json.Marshal(task.Config)
	if err != nil {
		return fmt.Errorf("read the config of %s: %w", task.Driver, err)
	}
	known := map[string]json.RawMessage{}
	if empty, err := json.Marshal(out); err == nil {
		_ = json.Unmarshal(empty, &known) // what Marshal has written
	}
	for key := range task.Config {
		if _, found := known[key]; !found {
			return fmt.Errorf("config key %q of %s is %w, which has %s", key, task.Driver, errUnsupported, strings.Join(slices.Sorted(maps.Keys(known)), " and "))
		}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the config of %s: %w", task.Driver, err)
	}
	return nil
}

func readRawConfig(task *api.Task, env *taskEnv) (rawConfig, error) {
	var cfg rawConfig
	if task.User != "" {
		return cfg, fmt.Errorf("user %q is %w, which runs raw_exec tasks as its own user; remove user",
			task.User, errUnsupported)
	}
	if err := decodeConfig(task, &cfg); err != nil {
		return cfg, err
	}
	if cfg.Command == "" {
		return cfg, errors.New("read the config of raw_exec: command is missing")
	}
	cfg.Command, cfg.Args = env.expand(cfg.Command), env.expandAll(cfg.Args)
	return cfg, nil
}

// lookup finds the command as Nomad's executor does: in the task's local folder, in the task's folder, on PATH.
func lookup(command string, dir allocDir, task string) (string, error) {
	if filepath.IsAbs(command) {
		return command, nil
	}
	for _, base := range []string{dir.local(task), dir.task(task)} {
		path := filepath.Join(base, command)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	path, err := exec.LookPath(command)
	if err != nil {
		return "", fmt.Errorf("find command %q in the task's folder or on PATH: %w", command, err)
	}
	return path, nil
}

func (d rawExec) start(_ context.Context, task *api.Task, dir allocDir, env *taskEnv) (handle, error) {
	cfg, err := readRawConfig(task, env)
	if err != nil {
		return nil, err
	}
	path, err := lookup(cfg.Command, dir, task.Name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, cfg.Args...) //nolint:noctx // it outlives the agent; stop ends it
	cmd.Dir = dir.task(task.Name)
	cmd.Env = env.list()
	closeLogs, err := openLogs(cmd, task, dir)
	if err != nil {
		return nil, err
	}
	defer closeLogs()
	if d.tied {
		proc.Tie(cmd)
	}
	c := &child{cmd: cmd, group: d.newGroup(task, dir, env)}
	if err := c.start(task.Resources); err != nil {
		return nil, err
	}
	if id, err := proc.Identify(task.Name, c.pid); err == nil { // else it has ended already
		if err := id.Save(dir.pidFile(task.Name)); err != nil {
			return nil, errors.Join(err, c.kill(), cmd.Wait())
		}
	}
	return c, nil
}

// group is the process group of a task with all that has left the group.
type group struct {
	pid     int
	pidFile string
	cgroup  cgroup
	marks   []string // what the task's environment has and no other task's, see proc.KillMarked
}

func (d rawExec) newGroup(task *api.Task, dir allocDir, env *taskEnv) group {
	return group{
		pidFile: dir.pidFile(task.Name),
		cgroup:  d.cgroups.of(task, env),
		marks:   []string{"NOMAD_ALLOC_ID=" + env.own["NOMAD_ALLOC_ID"], "NOMAD_TASK_NAME=" + task.Name},
	}
}

func (g group) kill() error { return proc.SignalGroup(g.pid, syscall.SIGKILL) }

// cleanUp kills what the task's own process has left behind, and adds to its result what the control group knows.
func (g group) cleanUp(result exit) exit {
	if g.pid != 0 {
		_ = g.kill() // there may be nothing
	}
	if g.cgroup.end() {
		result.oom, result.message = true, "OOM Killed"
	}
	proc.KillMarked(g.marks...)
	_ = os.Remove(g.pidFile) // a stale one is harmless: it names a process that is gone
	return result
}

// child is a task that this agent has started.
type child struct {
	cmd *exec.Cmd
	group
}

func (c *child) start(limits *api.Resources) error {
	if err := c.cgroup.make(limits); err != nil {
		return err
	}
	if err := c.cgroup.start(c.cmd); err != nil {
		c.cgroup.end()
		return err
	}
	c.pid = c.cmd.Process.Pid
	return nil
}

func (c *child) signal(sig syscall.Signal) error { return c.cmd.Process.Signal(sig) }

func (c *child) wait() exit {
	_ = c.cmd.Wait() // ProcessState tells more
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return c.cleanUp(exitOf(status))
}

func exitOf(status syscall.WaitStatus) exit {
	if status.Signaled() {
		return exit{code: 128 + int(status.Signal()), signal: int(status.Signal())}
	}
	return exit{code: status.ExitStatus()}
}

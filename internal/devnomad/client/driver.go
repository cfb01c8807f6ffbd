package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// rawExec is the config block of Nomad's raw_exec driver.
type rawExec struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

// exit says how a process ended, in Nomad's numbers: a signal makes the code 128 + signal.
type exit struct{ code, signal int }

// process is a running task: a process group with its log files. The agent's death does not end it.
type process struct {
	cmd     *exec.Cmd
	marks   []string // what its environment has and no other task's, see proc.KillMarked
	pidFile string
	done    chan struct{}
	result  exit // read after done
}

// readConfig reads the driver's config block with every value interpolated.
func readConfig(task *api.Task, env *taskEnv) (rawExec, error) {
	if task.Driver != "raw_exec" {
		return rawExec{}, fmt.Errorf("driver %q is %w, which has raw_exec only; run it on a real Nomad",
			task.Driver, errUnsupported)
	}
	if task.User != "" {
		return rawExec{}, fmt.Errorf("user %q is %w, which runs every task as its own user; remove user",
			task.User, errUnsupported)
	}
	for key := range task.Config {
		if key != "command" && key != "args" {
			return rawExec{}, fmt.Errorf("config key %q of raw_exec is %w, which has command and args", key, errUnsupported)
		}
	}
	data, err := json.Marshal(task.Config)
	if err != nil {
		return rawExec{}, fmt.Errorf("read the config of raw_exec: %w", err)
	}
	var cfg rawExec
	if err := json.Unmarshal(data, &cfg); err != nil {
		return rawExec{}, fmt.Errorf("read the config of raw_exec: %w", err)
	}
	if cfg.Command == "" {
		return rawExec{}, errors.New("read the config of raw_exec: command is missing")
	}
	cfg.Command = env.expand(cfg.Command)
	for i, arg := range cfg.Args {
		cfg.Args[i] = env.expand(arg)
	}
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

// startProcess starts the task's process.
func startProcess(task *api.Task, dir allocDir, env *taskEnv, tied bool) (*process, error) {
	cfg, err := readConfig(task, env)
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
	if tied {
		proc.Tie(cmd)
	}
	if err := proc.Start(cmd); err != nil {
		return nil, err
	}
	p := &process{
		cmd: cmd, pidFile: dir.pidFile(task.Name), done: make(chan struct{}),
		marks: []string{"NOMAD_ALLOC_ID=" + env.own["NOMAD_ALLOC_ID"], "NOMAD_TASK_NAME=" + task.Name},
	}
	if id, err := proc.Identify(task.Name, p.pid()); err == nil { // else it has ended already
		if err := id.Save(p.pidFile); err != nil {
			return nil, errors.Join(err, p.kill(), cmd.Wait())
		}
	}
	go p.wait()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal sends sig to the task's own process, as Nomad does: what it has started is its own to end.
func (p *process) signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

func (p *process) kill() error { return proc.SignalGroup(p.pid(), syscall.SIGKILL) }

// wait reaps the process and kills what it left behind.
func (p *process) wait() {
	_ = p.cmd.Wait() // ProcessState tells more
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		p.result = exit{code: 128 + int(status.Signal()), signal: int(status.Signal())}
	} else {
		p.result = exit{code: status.ExitStatus()}
	}
	_ = p.kill() // there may be nothing
	proc.KillMarked(p.marks...)
	_ = os.Remove(p.pidFile) // a stale one is harmless: it names a process that is gone
	close(p.done)
}

// stop sends sig, waits up to timeout for the end or until force is closed, then kills the group.
func (p *process) stop(sig syscall.Signal, timeout time.Duration, force <-chan struct{}) exit {
	_ = p.signal(sig) // fails only if it runs no more
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		_ = p.kill()
	case <-force:
		_ = p.kill()
	}
	<-p.done
	return p.result
}

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// script is a check that the client runs itself, in the environment of the task, and reports to Consul as a TTL check:
// exit code 0 is passing, 1 warning, another critical.
type script struct {
	Command string
	Args    []string
	timeout time.Duration
}

const (
	scriptGrace  = 31 * time.Second // that a report may be late before Consul takes the check as critical
	scriptOutput = 4096             // bytes of output that Consul gets
)

// scriptOf returns the script of a check and the task that it runs in.
func scriptOf(
	c *api.ServiceCheck, owner string, group *api.TaskGroup,
) (run *script, task string, err error) {
	switch {
	case c.Command == "":
		return nil, "", errors.New("command is missing")
	case owner == "" && len(group.Tasks) == 1:
		owner = group.Tasks[0].Name
	case owner == "":
		return nil, "", errors.New("a script in a group of several tasks needs task = \"<name>\", to say where it runs")
	}
	for _, task := range group.Tasks {
		if task.Name == owner && task.Driver != "raw_exec" {
			return nil, "", fmt.Errorf("a script in a %s task is %w; use an http or tcp check", task.Driver, errUnsupported)
		}
	}
	return &script{Command: c.Command, Args: c.Args, timeout: c.Timeout}, owner, nil
}

// runScripts keeps a loop for each script whose task runs, until the allocation ends.
func (a *alloc) runScripts() {
	loops := map[string]context.CancelFunc{}
	var running sync.WaitGroup
	defer running.Wait()
	for {
		changed, over := a.changed.next(), a.over()
		wanted := map[string]check{}
		if !over {
			wanted = a.scripts()
		}
		for id, stop := range loops {
			if _, found := wanted[id]; !found {
				stop()
				delete(loops, id)
			}
		}
		for id, c := range wanted {
			if loops[id] == nil {
				ctx, stop := context.WithCancel(context.Background())
				loops[id] = stop
				running.Go(func() { a.repeatScript(ctx, c) })
			}
		}
		if over {
			return
		}
		<-changed
	}
}

// scripts returns the checks that are scripts of tasks that run, by ID.
func (a *alloc) scripts() map[string]check {
	wanted := map[string]check{}
	for _, s := range a.list() {
		for _, c := range s.checks {
			if c.script != nil && a.tasks[c.task] != nil && a.tasks[c.task].current() != nil {
				wanted[c.id] = c
			}
		}
	}
	return wanted
}

func (a *alloc) repeatScript(ctx context.Context, c check) {
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		status, output := a.tasks[c.task].runScript(ctx, c.script)
		if ctx.Err() != nil {
			return
		}
		if err := a.client.consul.report(ctx, c.id, status, output); err != nil && ctx.Err() == nil {
			a.client.log.Debug("script check not reported", "alloc", a.id, "check", c.name, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// report tells Consul the status of a TTL check. The service may not be registered yet: it is sent first.
func (c *consul) report(ctx context.Context, checkID, status, output string) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if err := c.apply(ctx); err != nil {
		return err
	}
	opts := (&consulapi.QueryOptions{}).WithContext(ctx)
	return c.client.Agent().UpdateTTLOpts(checkID, output, status, opts)
}

// runScript runs a script once and returns the check's status with the output.
func (t *task) runScript(ctx context.Context, s *script) (status, output string) {
	env, err := t.startedEnv()
	if err != nil {
		return consulapi.HealthCritical, err.Error()
	}
	path, err := lookup(env.expand(s.Command), t.alloc.dir, t.spec.Name)
	if err != nil {
		return consulapi.HealthCritical, err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	out := &capped{limit: scriptOutput}
	cmd := exec.CommandContext(ctx, path, env.expandAll(s.Args)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = t.alloc.dir.task(t.spec.Name), env.list(), out, out
	cmd.Cancel = func() error { return proc.SignalGroup(cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for who holds its output, out of the group
	proc.Tie(cmd)
	if err := proc.Start(cmd); err != nil {
		return consulapi.HealthCritical, err.Error()
	}
	err = cmd.Wait()
	switch code := cmd.ProcessState.ExitCode(); {
	case ctx.Err() != nil:
		return consulapi.HealthCritical, fmt.Sprintf("the script did not end within its timeout of %s", s.timeout)
	case code == 0 && (err == nil || errors.Is(err, exec.ErrWaitDelay)):
		return consulapi.HealthPassing, out.String()
	case code == 1:
		return consulapi.HealthWarning, out.String()
	default:
		return consulapi.HealthCritical, out.String()
	}
}

// startedEnv returns the environment that the task was started in, with what its templates add.
func (t *task) startedEnv() (*taskEnv, error) {
	env := t.env()
	for _, template := range t.spec.Templates {
		if err := addTemplateEnv(template, t.alloc.dir, t.spec.Name, env); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// capped keeps the first bytes that are written to it.
type capped struct {
	bytes.Buffer
	limit int
}

func (c *capped) Write(p []byte) (int, error) {
	_, err := c.Buffer.Write(p[:min(len(p), max(c.limit-c.Len(), 0))])
	return len(p), err
}

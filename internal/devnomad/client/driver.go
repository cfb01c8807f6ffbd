package client

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// driver runs tasks of one kind.
type driver interface {
	// start starts the task.
	start(ctx context.Context, task *api.Task, dir allocDir, env *taskEnv) (handle, error)
	// recover takes over what an earlier client has started; nil if that runs no more.
	recover(task *api.Task, dir allocDir, env *taskEnv) handle
}

// handle is a driver's hold on a task that runs. The agent's death does not end the task.
type handle interface {
	// signal sends sig to the task's own process, as Nomad does: what it has started is its own to end.
	signal(sig syscall.Signal) error
	// kill ends the task and everything that it has started.
	kill() error
	// wait returns when the task has ended and nothing of it is left.
	wait() exit
}

// exit says how a task ended, in Nomad's numbers: a signal makes the code 128 + signal.
type exit struct {
	code, signal int
	oom          bool
	message      string
}

// ended is the handle of a task whose end nobody was there to see.
type ended struct{}

func (ended) signal(syscall.Signal) error { return errNotRunning }
func (ended) kill() error                 { return nil }
func (ended) wait() exit {
	return exit{code: -1, message: "ended while the agent was away, its exit code is unknown"}
}

func (t *task) driver() (driver, error) {
	c := t.alloc.client
	switch t.spec.Driver {
	case "raw_exec":
		return rawExec{tied: c.cfg.TieTasks, cgroups: c.cgroups}, nil
	case "docker":
		return docker{engine: newEngine(), pull: c.cfg.DockerPull, alloc: t.alloc.current()}, nil
	default:
		return nil, fmt.Errorf("driver %q is %w, which has raw_exec and docker; run it on a real Nomad",
			t.spec.Driver, errUnsupported)
	}
}

// process is a running task.
type process struct {
	handle
	done   chan struct{}
	result exit // read after done
}

// follow returns the process of a handle.
func follow(h handle) *process {
	p := &process{handle: h, done: make(chan struct{})}
	go func() {
		p.result = h.wait()
		close(p.done)
	}()
	return p
}

// stop sends sig, waits up to timeout for the end or until force is closed, then kills what is left.
func (p *process) stop(sig syscall.Signal, timeout time.Duration, force <-chan struct{}) {
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
}

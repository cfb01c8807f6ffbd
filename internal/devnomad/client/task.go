package client

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// task runs one task of an allocation from its setup to its death:
//
//	Received → Task Setup → Started → Terminated ─┬→ Restarting → Started …
//	                                              └→ Not Restarting (failed), or Killed (stopped)
type task struct {
	alloc      *alloc
	spec       *api.Task
	policy     *restartPolicy
	killSignal syscall.Signal

	state     api.TaskState // guarded by alloc.mu
	process   *process      // guarded by alloc.mu; nil while none runs
	recovered *process      // what Restore has found, until run takes it

	killCtx context.Context
	killNow context.CancelFunc
	restart chan restartRequest
	done    chan struct{}
}

// restartRequest asks for a restart outside of the process's own end.
type restartRequest struct {
	reason  string
	failure bool // counts against the restart policy
}

func newTask(a *alloc, spec *api.Task) (*task, error) {
	t := &task{
		alloc: a, spec: spec, policy: newRestartPolicy(a.group, spec), killSignal: syscall.SIGINT,
		state:   api.TaskState{State: "pending"},
		restart: make(chan restartRequest, 1), done: make(chan struct{}),
	}
	t.killCtx, t.killNow = context.WithCancel(context.Background())
	if spec.KillSignal != "" {
		sig, err := proc.ParseSignal(spec.KillSignal)
		if err != nil {
			return nil, fmt.Errorf("read kill_signal of task %q: %w", spec.Name, err)
		}
		t.killSignal = sig
	}
	return t, nil
}

func (t *task) killTimeout() time.Duration { return or(t.spec.KillTimeout, 5*time.Second) }

// kill ends the task for good; its events begin with why.
func (t *task) kill(why *api.TaskEvent) {
	if t.killCtx.Err() != nil {
		return
	}
	t.emit(why)
	t.killNow()
}

// run runs the task until it is dead.
func (t *task) run() {
	defer close(t.done)
	defer t.killNow()
	switch before := t.look(); {
	case before.State == "dead": // restored
		return
	case t.recovered != nil:
	default:
		if err := t.setUp(len(before.Events) == 0); err != nil {
			t.die(setupFailed(err), true)
			return
		}
		t.resume(before)
	}
	for t.recovered != nil || t.killCtx.Err() == nil {
		next, dead := t.runOnce()
		if dead {
			t.die(next, next != nil)
			return
		}
		if next != nil {
			t.restarting(next)
			t.pause(time.Duration(next.StartDelay))
		}
	}
	t.die(nil, false)
}

func (t *task) setUp(fresh bool) error {
	if fresh {
		t.emit(received())
		t.emit(buildingTaskDir())
	}
	return t.alloc.dir.make(t.spec.Name)
}

// runOnce starts the process and waits for its end. It returns the event of what follows and whether that is the task's
// death: a restart, a failure, or nil for a kill and for a batch task that is complete.
func (t *task) runOnce() (next *api.TaskEvent, dead bool) {
	p := t.recovered
	t.recovered = nil
	if p == nil {
		var event *api.TaskEvent
		var err error
		if p, event, err = t.start(); err != nil {
			return t.notStarted(event, err)
		}
	}
	t.dropRequests()
	t.running(p)
	t.alloc.registerTask(t)
	select {
	case <-p.done:
		return t.ended(p)
	case <-t.killCtx.Done():
		t.takeDown(p)
		return nil, false
	case req := <-t.restart:
		return t.restarted(p, req)
	}
}

func (t *task) env() *taskEnv {
	return newEnv(t.alloc.client.cfg, t.alloc.current(), t.alloc.group, t.spec, t.alloc.dir)
}

// start starts the process. With an error it returns the event that tells of it.
func (t *task) start() (*process, *api.TaskEvent, error) {
	env := t.env()
	if event, err := t.prepare(env); err != nil {
		return nil, event(err), err
	}
	driver, err := t.driver()
	if err != nil {
		return nil, driverFailed(err), err
	}
	h, err := driver.start(t.killCtx, t.spec, t.alloc.dir, env)
	if err != nil {
		return nil, driverFailed(err), err
	}
	return follow(h), nil, nil
}

// errUnsupported is wrapped by what the embedded agent can't do: trying again does not help.
var errUnsupported = errors.New("not in the embedded agent")

// notStarted tells why the process could not be started.
func (t *task) notStarted(event *api.TaskEvent, err error) (next *api.TaskEvent, dead bool) {
	t.emit(event)
	if errors.Is(err, errUnsupported) {
		return notRestarting("Error was unrecoverable"), true
	}
	return t.failed()
}

// prepare fetches artifacts and writes templates. With an error it returns what makes an event of it.
func (t *task) prepare(env *taskEnv) (func(error) *api.TaskEvent, error) {
	if len(t.spec.Artifacts) > 0 {
		t.emit(downloadingArtifacts())
	}
	for _, artifact := range t.spec.Artifacts {
		if err := fetchArtifact(t.killCtx, artifact, t.alloc.dir, t.spec.Name, env); err != nil {
			return artifactFailed, err
		}
	}
	for _, template := range t.spec.Templates {
		if err := renderTemplate(template, t.alloc.dir, t.spec.Name, env); err != nil {
			return setupFailed, err
		}
	}
	return nil, nil
}

// failed asks the restart policy what follows.
func (t *task) failed() (next *api.TaskEvent, dead bool) {
	t.alloc.mu.Lock()
	event := t.policy.failed(time.Now())
	t.alloc.mu.Unlock()
	return event, event.Type == api.TaskNotRestarting
}

// ended handles an end that nobody asked for.
func (t *task) ended(p *process) (next *api.TaskEvent, dead bool) {
	t.alloc.deregisterTask(t)
	t.stopped(p)
	if p.result.code == 0 && t.alloc.isBatch() {
		return nil, true
	}
	return t.failed()
}

// restarted ends the process for a restart.
func (t *task) restarted(p *process, req restartRequest) (next *api.TaskEvent, dead bool) {
	t.emit(restartSignaled(req.reason))
	t.alloc.deregisterTask(t)
	p.stop(t.killSignal, t.killTimeout(), t.forced())
	t.stopped(p)
	if t.killCtx.Err() != nil {
		return nil, false
	}
	if req.failure {
		return t.failed()
	}
	return restarting("", 0), false
}

// takeDown ends the process for good: services, shutdown_delay, kill signal, kill timeout, SIGKILL.
func (t *task) takeDown(p *process) {
	t.alloc.deregisterTask(t)
	if delay := t.spec.ShutdownDelay; delay > 0 {
		t.emit(waitingShutdown(delay))
		wait(delay, p.done, t.forced())
	}
	p.stop(t.killSignal, t.killTimeout(), t.forced())
	t.stopped(p)
	t.emit(killed())
}

func (t *task) forced() <-chan struct{} { return t.alloc.client.force.Done() }

// pause waits before a restart. A kill ends it.
func (t *task) pause(d time.Duration) { wait(d, t.killCtx.Done(), nil) }

// wait waits for d or until one of the channels is closed.
func wait(d time.Duration, one, other <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-one:
	case <-other:
	}
}

// request asks a running task for a restart; one that waits already is enough.
func (t *task) request(req restartRequest) error {
	if t.current() == nil {
		return fmt.Errorf("restart task %q: %w", t.spec.Name, errNotRunning)
	}
	select {
	case t.restart <- req:
	default:
	}
	return nil
}

// dropRequests forgets what was asked of a process that is gone.
func (t *task) dropRequests() {
	select {
	case <-t.restart:
	default:
	}
}

// current returns the process that runs, nil if none does.
func (t *task) current() *process {
	t.alloc.mu.Lock()
	defer t.alloc.mu.Unlock()
	return t.process
}

// signal sends sig to the task's process.
func (t *task) signal(name string, sig syscall.Signal) error {
	p := t.current()
	if p == nil {
		return fmt.Errorf("signal task %q: %w", t.spec.Name, errNotRunning)
	}
	t.emit(signaling(name))
	return p.signal(sig)
}

var errNotRunning = errors.New("Task not running") //nolint:staticcheck,revive // Nomad's text

package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// alloc runs one allocation: its services, its tasks and the watches over them.
type alloc struct {
	client *Client
	id     string
	dir    allocDir
	group  *api.TaskGroup // as it was when the tasks started
	tasks  map[string]*task

	changed broadcast // a task's state or the spec

	registering sync.Mutex
	registry    registry

	mu       sync.Mutex
	spec     *api.Allocation
	watched  time.Time // since when the health is watched, for the deployment of spec
	healthy  *bool     // for the deployment of spec
	healthAt time.Time
	unwatch  context.CancelFunc // ends the watch of the health
	watches  sync.WaitGroup     // added to only while !ended
	ended    bool

	stopOnce sync.Once
	stopping chan struct{}
	done     chan struct{}
}

func newAlloc(c *Client, spec *api.Allocation) (*alloc, error) {
	group, err := groupOf(spec)
	if err != nil {
		return nil, fmt.Errorf("run allocation %s: %w", spec.ID, err)
	}
	dir, err := newAllocDir(c.cfg.DataDir, spec.ID)
	if err != nil {
		return nil, err
	}
	a := &alloc{
		client: c, id: spec.ID, dir: dir, group: group, spec: spec, tasks: map[string]*task{},
		registry: registry{up: map[string]bool{}},
		unwatch:  func() {}, stopping: make(chan struct{}), done: make(chan struct{}),
	}
	for _, spec := range group.Tasks {
		if a.tasks[spec.Name], err = newTask(a, spec); err != nil {
			return nil, fmt.Errorf("run allocation %s: %w", a.id, err)
		}
	}
	return a, nil
}

// groupOf returns the task group of an allocation's job that it is of.
func groupOf(spec *api.Allocation) (*api.TaskGroup, error) {
	if spec.Job == nil {
		return nil, errors.New("it comes without its job")
	}
	for _, group := range spec.Job.TaskGroups {
		if or(group.Name, "") == spec.TaskGroup {
			return group, nil
		}
	}
	return nil, fmt.Errorf("job %q has no group %q", or(spec.Job.ID, ""), spec.TaskGroup)
}

func (a *alloc) current() *api.Allocation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spec
}

func (a *alloc) isBatch() bool {
	kind := or(a.current().Job.Type, "service")
	return kind == "batch" || kind == "sysbatch"
}

// touched tells of a change. a.mu must not be held.
func (a *alloc) touched() {
	a.changed.wake()
	a.client.store.touch(a)
	a.client.updates.touch(a)
}

func (a *alloc) start() {
	services, err := a.buildServices(a.spec)
	if err != nil {
		a.refuse(err)
		return
	}
	a.registry.services = services
	if !a.stopped() && a.lives() {
		a.registerGroup()
	}
	a.watchHealth()
	a.watch(a.restartFailing)
	a.watch(a.runScripts)
	go a.run()
}

// lives reports whether a task is to run still.
func (a *alloc) lives() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tasks {
		if t.state.State != "dead" {
			return true
		}
	}
	return false
}

// watch starts a watch that returns when the allocation is over.
func (a *alloc) watch(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watches.Go(f)
}

// refuse fails every task before it starts.
func (a *alloc) refuse(err error) {
	go func() {
		defer close(a.done)
		for _, t := range a.tasks {
			if len(t.look().Events) == 0 {
				t.emit(received())
			}
			if p := t.recovered; p != nil {
				p.stop(t.killSignal, t.killTimeout(), t.forced())
			}
			t.die(setupFailed(err), true)
			close(t.done)
		}
	}()
}

// run runs the tasks and returns when all are dead.
func (a *alloc) run() {
	defer close(a.done)
	ended := make(chan *task)
	for _, t := range a.tasks {
		go func() {
			t.run()
			ended <- t
		}()
	}
	allDead := make(chan struct{})
	var taking sync.WaitGroup
	taking.Go(func() { a.takeDownWhenAsked(allDead) })
	for range a.tasks {
		a.taskEnded(<-ended)
	}
	close(allDead)
	taking.Wait()
	a.deregisterGroup()
	a.endWatches()
	a.touched()
}

// taskEnded ends the other tasks where one fails or the leader is done.
func (a *alloc) taskEnded(t *task) {
	a.mu.Lock()
	failed := t.state.Failed
	a.mu.Unlock()
	for _, other := range a.tasks {
		switch {
		case other == t:
		case failed:
			other.killIfAlive(siblingFailed(t.spec.Name))
		case t.spec.Leader:
			other.killIfAlive(leaderDead())
		}
	}
}

func (t *task) killIfAlive(why *api.TaskEvent) {
	select {
	case <-t.done:
	default:
		t.kill(why)
	}
}

func (a *alloc) stop() { a.stopOnce.Do(func() { close(a.stopping) }) }

// takeDownWhenAsked stops the allocation as Nomad does: its services go at once, then comes the group's shutdown_delay,
// then the leader is killed, then the others.
func (a *alloc) takeDownWhenAsked(allDead <-chan struct{}) {
	select {
	case <-allDead:
		return
	case <-a.stopping:
	}
	a.cancelHealthWatch()
	a.deregisterGroup()
	if delay := or(a.groupNow().ShutdownDelay, 0); delay > 0 {
		wait(delay, allDead, a.client.force.Done())
	}
	for _, leaders := range []bool{true, false} {
		for _, t := range a.tasks {
			if t.spec.Leader == leaders {
				t.killIfAlive(killing(t.killTimeout()))
			}
		}
		for _, t := range a.tasks {
			if t.spec.Leader == leaders {
				<-t.done
			}
		}
	}
}

// groupNow returns the group of the current job version; update has made sure that it is there.
func (a *alloc) groupNow() *api.TaskGroup {
	group, err := groupOf(a.current())
	if err != nil {
		return a.group
	}
	return group
}

func (a *alloc) update(spec *api.Allocation) error {
	if _, err := groupOf(spec); err != nil {
		return fmt.Errorf("update allocation %s: %w", a.id, err)
	}
	a.mu.Lock()
	fresh := spec.DeploymentID != a.spec.DeploymentID
	a.spec = spec
	if fresh {
		a.watched, a.healthy, a.healthAt = time.Time{}, nil, time.Time{}
	}
	a.mu.Unlock()
	if a.stopped() {
		return nil
	}
	if err := a.changeServices(spec); err != nil {
		return fmt.Errorf("update allocation %s: %w", a.id, err)
	}
	if fresh {
		a.watchHealth()
	}
	a.changed.wake()
	return nil
}

// stopped reports whether the allocation is down or on its way.
func (a *alloc) stopped() bool {
	select {
	case <-a.stopping:
		return true
	case <-a.done:
		return true
	default:
		return false
	}
}

// named returns one task, or all for "".
func (a *alloc) named(name string) ([]*task, error) {
	if t := a.tasks[name]; t != nil {
		return []*task{t}, nil
	}
	if name != "" {
		return nil, fmt.Errorf("allocation %s has no task %q", a.id, name)
	}
	all := make([]*task, 0, len(a.tasks))
	for _, t := range a.tasks {
		all = append(all, t)
	}
	return all, nil
}

func (a *alloc) restart(name string, req restartRequest) error {
	tasks, err := a.named(name)
	for _, t := range tasks {
		err = errors.Join(err, t.request(req))
	}
	return err
}

func (a *alloc) signal(name, sigName string) error {
	sig, err := proc.ParseSignal(sigName)
	if err != nil {
		return err
	}
	tasks, err := a.named(name)
	for _, t := range tasks {
		err = errors.Join(err, t.signal(sigName, sig))
	}
	return err
}

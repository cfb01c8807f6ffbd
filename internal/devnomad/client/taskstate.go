package client

import (
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Every change of a task's state goes through here, and wakes whoever follows the allocation.

func (t *task) change(f func(*api.TaskState)) {
	t.alloc.mu.Lock()
	f(&t.state)
	t.alloc.mu.Unlock()
	t.alloc.touched()
}

func addEvent(s *api.TaskState, e *api.TaskEvent) {
	s.Events = append(s.Events, e)
	if extra := len(s.Events) - maxEvents; extra > 0 {
		s.Events = slices.Clone(s.Events[extra:])
	}
}

func (t *task) emit(e *api.TaskEvent) { t.change(func(s *api.TaskState) { addEvent(s, e) }) }

func (t *task) running(p *process) {
	t.change(func(s *api.TaskState) {
		t.process = p
		if s.State == "running" { // restored
			return
		}
		s.State, s.StartedAt = "running", time.Now().UTC()
		addEvent(s, started())
	})
}

// stopped notes the end of the process; the state follows from what comes next.
func (t *task) stopped(p *process) {
	t.change(func(s *api.TaskState) {
		t.process = nil
		addEvent(s, terminated(p.result))
	})
}

func (t *task) restarting(e *api.TaskEvent) {
	t.change(func(s *api.TaskState) {
		s.State, s.LastRestart = "pending", time.Now().UTC()
		s.Restarts++
		addEvent(s, e)
	})
}

// die ends the task; e may be nil.
func (t *task) die(e *api.TaskEvent, failed bool) {
	t.change(func(s *api.TaskState) {
		s.State, s.Failed, s.FinishedAt = "dead", failed, time.Now().UTC()
		if e != nil {
			addEvent(s, e)
		}
	})
}

// look returns a copy of the state.
func (t *task) look() *api.TaskState {
	t.alloc.mu.Lock()
	defer t.alloc.mu.Unlock()
	return t.snapshot()
}

// snapshot copies the state. alloc.mu must be held. Events are never changed once they are added.
func (t *task) snapshot() *api.TaskState {
	s := t.state
	s.Events = slices.Clone(t.state.Events)
	return &s
}

package client

import (
	"fmt"
	"time"

	consulapi "github.com/hashicorp/consul/api"
)

// restartFailing restarts tasks by check_restart until the allocation ends: a check restarts its task when it has been
// failing for limit - 1 intervals, counted from the end of grace after the task's start.
func (a *alloc) restartFailing() {
	failing := map[string]time.Time{} // check ID → since when
	for {
		changed, checks := a.changed.next(), a.client.checksChanged()
		if a.over() {
			return
		}
		next := a.judgeChecks(failing, time.Now())
		var due <-chan time.Time
		var timer *time.Timer
		if !next.IsZero() {
			timer = time.NewTimer(time.Until(next))
			due = timer.C
		}
		select {
		case <-changed:
		case <-checks:
		case <-due:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

func (a *alloc) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// judgeChecks restarts what is due and returns when the next one may be, zero for never.
func (a *alloc) judgeChecks(failing map[string]time.Time, now time.Time) time.Time {
	var next time.Time
	for _, s := range a.list() {
		for _, c := range s.checks {
			due := a.restartDue(c, failing, now)
			switch {
			case due.IsZero():
			case !due.After(now):
				delete(failing, c.id)
				reason := fmt.Sprintf("healthcheck: check %q unhealthy", c.name)
				_ = a.restart(c.task, restartRequest{reason: reason, failure: true}) // one that runs no more restarts anyway
			case next.IsZero() || due.Before(next):
				next = due
			}
		}
	}
	return next
}

// restartDue returns when a check will restart its task if nothing changes, zero for never.
func (a *alloc) restartDue(c check, failing map[string]time.Time, now time.Time) time.Time {
	if c.restart == nil || c.restart.Limit <= 0 {
		return time.Time{}
	}
	began, running := a.runningSince(c.task)
	status := a.client.consul.status(c.id)
	bad := status == consulapi.HealthCritical || status == consulapi.HealthWarning && !c.restart.IgnoreWarnings
	if !running || !bad {
		delete(failing, c.id)
		return time.Time{}
	}
	counted := began.Add(or(c.restart.Grace, time.Second))
	since, known := failing[c.id]
	if !known || since.Before(counted) {
		since = now
		if counted.After(now) {
			since = counted
		}
		failing[c.id] = since
	}
	return since.Add(time.Duration(c.restart.Limit-1) * c.interval)
}

// runningSince returns the start of a task, or of the youngest of all for "", and whether it runs.
func (a *alloc) runningSince(name string) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var began time.Time
	for _, t := range a.tasks {
		if name != "" && t.spec.Name != name {
			continue
		}
		if t.state.State != "running" || t.process == nil {
			return time.Time{}, false
		}
		if t.state.StartedAt.After(began) {
			began = t.state.StartedAt
		}
	}
	return began, true
}

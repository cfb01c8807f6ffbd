package client

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"
)

// strategy is what decides health: of the update block for a deployment, else of the migrate block, for a drain.
type strategy struct {
	check      string // "checks", "task_states" or "manual"
	minHealthy time.Duration
	deadline   time.Duration
}

func strategyOf(spec *api.Allocation) strategy {
	s := strategy{check: "checks", minHealthy: 10 * time.Second, deadline: 5 * time.Minute}
	group, err := groupOf(spec)
	if err != nil {
		return s
	}
	if m := group.Migrate; spec.DeploymentID == "" && m != nil {
		return strategy{or(m.HealthCheck, s.check), or(m.MinHealthyTime, s.minHealthy), or(m.HealthyDeadline, s.deadline)}
	}
	for _, update := range []*api.UpdateStrategy{spec.Job.Update, group.Update} {
		if update == nil {
			continue
		}
		s.check = firstOf(or(update.HealthCheck, ""), s.check)
		s.minHealthy = or(update.MinHealthyTime, s.minHealthy)
		if d := or(update.HealthyDeadline, 0); d > 0 {
			s.deadline = d
		}
	}
	return s
}

// watchHealth starts the watch for the deployment that the allocation is of now, in place of an earlier one.
func (a *alloc) watchHealth() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unwatch()
	a.unwatch = func() {}
	s := strategyOf(a.spec)
	if a.ended || or(a.spec.Job.Type, "service") != api.JobTypeService || s.check == "manual" || a.healthy != nil {
		return
	}
	if a.watched.IsZero() {
		a.watched = time.Now().UTC()
	}
	until := a.watched.Add(s.deadline)
	ctx, cancel := context.WithCancel(context.Background())
	a.unwatch = cancel
	deployment := a.spec.DeploymentID
	a.watches.Go(func() { a.judgeHealth(ctx, deployment, s, until) })
}

func (a *alloc) cancelHealthWatch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unwatch()
}

// endWatches ends every watch of the allocation and waits for them.
func (a *alloc) endWatches() {
	a.mu.Lock()
	a.ended = true
	a.unwatch()
	a.mu.Unlock()
	a.changed.wake()
	a.watches.Wait()
}

// judgeHealth waits until the allocation has been well for minHealthy, fails, or reaches the deadline.
func (a *alloc) judgeHealth(ctx context.Context, deployment string, s strategy, until time.Time) {
	deadline := time.NewTimer(time.Until(until))
	defer deadline.Stop()
	held := time.NewTimer(0)
	defer held.Stop()
	var since time.Time
	for {
		changed, checks := a.changed.next(), a.client.checksChanged()
		well, from, failed := a.wellSince(s, since)
		if failed {
			return // the failed state tells, without a time
		}
		switch {
		case !well:
			since = time.Time{}
			held.Stop()
		case !from.Equal(since):
			since = from
			held.Reset(time.Until(from.Add(s.minHealthy)))
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-checks:
		case <-held.C:
			if !since.IsZero() {
				a.setHealth(deployment, true)
				return
			}
		case <-deadline.C:
			a.missedDeadline(s)
			a.setHealth(deployment, false)
			return
		}
	}
}

// wellSince reports whether every task runs and every check that counts passes, from when on, and whether a task has
// failed. A task that has started after since makes it younger.
func (a *alloc) wellSince(s strategy, since time.Time) (well bool, from time.Time, failed bool) {
	from = since
	if from.IsZero() {
		from = time.Now()
	}
	a.mu.Lock()
	well = true
	for _, t := range a.tasks {
		failed = failed || t.state.Failed
		if t.state.State != "running" {
			well = false
		}
		if t.state.StartedAt.After(from) {
			from = t.state.StartedAt
		}
	}
	a.mu.Unlock()
	return well && (s.check != "checks" || a.passing()), from, failed
}

// setHealth reports the health, once per deployment.
func (a *alloc) setHealth(deployment string, healthy bool) {
	a.mu.Lock()
	if a.spec.DeploymentID == deployment && a.healthy == nil {
		a.healthy, a.healthAt = &healthy, time.Now().UTC()
	}
	a.mu.Unlock()
	a.touched()
}

// missedDeadline tells each task why, in Nomad's words.
func (a *alloc) missedDeadline(s strategy) {
	for _, t := range a.tasks {
		why := fmt.Sprintf("Task not running for min_healthy_time of %v by healthy_deadline of %v", s.minHealthy, s.deadline)
		if t.current() == nil {
			why = fmt.Sprintf("Task not running by healthy_deadline of %v", s.deadline)
		}
		t.emit(unhealthy(why))
	}
}

package client

import (
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Restore goes on with an allocation that a client with this data folder ran before it was killed: running tasks are
// taken over with their services, health and restart counts, ended ones get their Terminated event and follow the
// restart policy. One that was never begun starts as by Run. One whose desired status is to stop is stopped.
func (c *Client) Restore(spec *api.Allocation) error {
	a, err := newAlloc(c, spec)
	if err != nil {
		return err
	}
	if _, err := c.alloc(spec.ID); err == nil {
		return fmt.Errorf("restore allocation %s: it already runs", spec.ID)
	}
	kept, err := c.store.load(spec.ID)
	if err != nil {
		return err
	}
	a.restore(kept)
	if spec.DesiredStatus == api.AllocDesiredStatusStop || spec.DesiredStatus == api.AllocDesiredStatusEvict {
		a.stop()
	}
	return c.begin(a)
}

// restore brings the allocation to its recorded state, before it starts.
func (a *alloc) restore(kept record) {
	if kept.Deployment == a.spec.DeploymentID {
		a.watched, a.healthy, a.healthAt = kept.Watched, kept.Healthy, kept.HealthAt
	}
	for name, t := range a.tasks {
		r, found := kept.Tasks[name]
		if found && r.State != nil {
			t.state = *r.State
			t.policy.count, t.policy.since = r.Failures, r.Since
		}
		if t.state.State == "dead" {
			continue
		}
		t.recover()
	}
}

// recover finds the task's process. If it should run but has ended, the process is one that has.
func (t *task) recover() {
	driver, err := t.driver()
	if err != nil {
		return // nothing runs, and the start tells why
	}
	switch found := driver.recover(t.spec, t.alloc.dir, t.env()); {
	case found != nil:
		t.recovered = follow(found)
	case t.state.State == "running":
		t.recovered = follow(ended{})
	}
}

// resume waits for the rest of a restart's delay that the agent's death has interrupted.
func (t *task) resume(before *api.TaskState) {
	if len(before.Events) == 0 {
		return
	}
	if last := before.Events[len(before.Events)-1]; last.Type == api.TaskRestarting {
		t.pause(time.Until(time.Unix(0, last.Time).Add(time.Duration(last.StartDelay))))
	}
}

// record returns what is to be kept of the allocation.
func (a *alloc) record() record {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := record{
		Deployment: a.spec.DeploymentID, Watched: a.watched, Healthy: a.healthy, HealthAt: a.healthAt,
		Tasks: make(map[string]taskRecord, len(a.tasks)),
	}
	for name, t := range a.tasks {
		r.Tasks[name] = taskRecord{State: t.snapshot(), Failures: t.policy.count, Since: t.policy.since}
	}
	return r
}

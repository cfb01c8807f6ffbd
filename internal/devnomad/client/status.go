package client

import "github.com/hashicorp/nomad/api"

// snapshot returns the state of the allocation now.
func (a *alloc) snapshot() Update {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := Update{AllocID: a.id, TaskStates: map[string]*api.TaskState{}, Healthy: a.healthy, HealthAt: a.healthAt}
	for name, t := range a.tasks {
		u.TaskStates[name] = t.snapshot()
	}
	u.ClientStatus, u.ClientDescription = clientStatus(u.TaskStates)
	if u.ClientStatus == api.AllocClientStatusFailed && a.spec.DeploymentID != "" && a.healthy == nil {
		u.Healthy = new(false) // without a time, as Nomad reports it
	}
	return u
}

// clientStatus sums up the states of the tasks, in Nomad's words.
func clientStatus(states map[string]*api.TaskState) (status, description string) {
	var failed, running, pending bool
	for _, s := range states {
		switch {
		case s.State == "running":
			running = true
		case s.State == "pending":
			pending = true
		case s.Failed:
			failed = true
		}
	}
	switch {
	case failed:
		return api.AllocClientStatusFailed, "Failed tasks"
	case running:
		return api.AllocClientStatusRunning, "Tasks are running"
	case pending:
		return api.AllocClientStatusPending, "No tasks have started"
	default:
		return api.AllocClientStatusComplete, "All tasks have completed"
	}
}

package client

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/nomad/api"
)

// restartPolicy counts the failures of a task within an interval and says what follows from the next one.
type restartPolicy struct { // guarded by alloc.mu
	attempts int
	interval time.Duration
	delay    time.Duration
	mode     string // "fail" or "delay"

	count int
	since time.Time
}

// Nomad's defaults for service jobs.
func newRestartPolicy(group *api.TaskGroup, task *api.Task) *restartPolicy {
	p := &restartPolicy{attempts: 2, interval: 30 * time.Minute, delay: 15 * time.Second, mode: "fail"}
	for _, spec := range []*api.RestartPolicy{group.RestartPolicy, task.RestartPolicy} {
		if spec == nil {
			continue
		}
		p.attempts = or(spec.Attempts, p.attempts)
		p.interval = or(spec.Interval, p.interval)
		p.delay = or(spec.Delay, p.delay)
		p.mode = or(spec.Mode, p.mode)
	}
	return p
}

// failed returns what follows from a failure: an event that restarts the task after its StartDelay, or one that does
// not.
func (p *restartPolicy) failed(now time.Time) *api.TaskEvent {
	if p.since.IsZero() || now.Sub(p.since) > p.interval {
		p.since, p.count = now, 0
	}
	p.count++
	switch {
	case p.count <= p.attempts:
		return restarting(api.AllocRestartReasonWithinPolicy, jitter(p.delay))
	case p.mode == "delay":
		return restarting("Exceeded allowed attempts, applying a delay", p.since.Add(p.interval).Sub(now))
	case p.attempts == 0:
		return notRestarting("Policy allows no restarts")
	default:
		return notRestarting(fmt.Sprintf("Exceeded allowed attempts %d in interval %v and mode is %q",
			p.attempts, p.interval, p.mode))
	}
}

// jitter adds up to a quarter, so that what died together does not come back together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + rand.N(d/4+1)
}

// or returns what p points to, or the default.
func or[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

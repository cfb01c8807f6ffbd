package client

import (
	"context"
	"time"

	consulapi "github.com/hashicorp/consul/api"
)

// watchChecks follows the status of every check of Nomad's by blocking queries, until ctx ends.
func (c *consul) watchChecks(ctx context.Context) {
	var index uint64
	for ctx.Err() == nil {
		opts := (&consulapi.QueryOptions{
			WaitIndex: index, WaitTime: time.Minute, Filter: `CheckID matches "^_nomad-check-"`,
		}).WithContext(ctx)
		checks, meta, err := c.client.Health().State(consulapi.HealthAny, opts)
		if err != nil {
			index = 0
			c.setStatuses(nil)                 // what is not known does not pass
			wait(time.Second, ctx.Done(), nil) // Consul is away; it does not call back
			continue
		}
		if meta.LastIndex < index { // Consul was reset
			meta.LastIndex = 0
		}
		index = meta.LastIndex
		c.setStatuses(checks)
	}
}

func (c *consul) setStatuses(checks consulapi.HealthChecks) {
	statuses := make(map[string]string, len(checks))
	for _, check := range checks {
		statuses[check.CheckID] = check.Status
	}
	c.mu.Lock()
	c.statuses = statuses
	c.mu.Unlock()
	c.changed.wake()
}

// status returns the status of a check, "" while Consul does not know it.
func (c *consul) status(checkID string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statuses[checkID]
}

// checksChanged returns a channel that is closed when a check's status may have changed; nil without Consul.
func (c *Client) checksChanged() <-chan struct{} {
	if c.consul == nil {
		return nil
	}
	return c.consul.changed.next()
}

// passing reports whether every check that a deployment asks for passes.
func (a *alloc) passing() bool {
	for _, s := range a.list() {
		for _, check := range s.checks {
			switch status := a.client.consul.status(check.id); {
			case status == consulapi.HealthPassing, check.onUpdate == "ignore":
			case status == consulapi.HealthWarning && check.onUpdate == "ignore_warnings":
			default:
				return false
			}
		}
	}
	return true
}

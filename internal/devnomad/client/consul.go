package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	consulapi "github.com/hashicorp/consul/api"
)

const (
	syncEvery   = 5 * time.Second // how often the agent is compared with what it should hold
	syncTimeout = 5 * time.Second // for one request
	allocIDLen  = 36
)

// consul keeps the services of this client registered in the local Consul agent.
type consul struct {
	client    *consulapi.Client
	transport *http.Transport
	log       *slog.Logger
	ownsDead  func(allocID string) bool
	wake      chan struct{}
	applying  sync.Mutex // one apply at a time, so that changes of one service stay in order

	mu      sync.Mutex
	desired map[string]*consulapi.AgentServiceRegistration
	dirty   map[string]bool // IDs whose state in Consul may differ from desired

	statuses map[string]string // check ID → status, guarded by mu
	changed  broadcast         // of statuses
}

func newConsul(addr string, log *slog.Logger, ownsDead func(string) bool) (*consul, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	client, err := consulapi.NewClient(&consulapi.Config{Address: addr, Transport: transport})
	if err != nil {
		return nil, fmt.Errorf("make a client of Consul at %s: %w", addr, err)
	}
	return &consul{
		client: client, transport: transport, log: log, ownsDead: ownsDead, wake: make(chan struct{}, 1),
		desired: map[string]*consulapi.AgentServiceRegistration{}, dirty: map[string]bool{}, statuses: map[string]string{},
	}, nil
}

// register wants a service in Consul; it returns at once.
func (c *consul) register(reg *consulapi.AgentServiceRegistration) {
	c.mu.Lock()
	c.desired[reg.ID] = reg
	c.dirty[reg.ID] = true
	c.mu.Unlock()
	c.poke()
}

// deregister wants a service out of Consul; it returns at once.
func (c *consul) deregister(id string) {
	c.mu.Lock()
	if c.desired[id] != nil {
		delete(c.desired, id)
		c.dirty[id] = true
	}
	c.mu.Unlock()
	c.poke()
}

func (c *consul) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// sync sends changes at once and compares everything every few seconds, until ctx ends.
func (c *consul) sync(ctx context.Context) {
	defer c.transport.CloseIdleConnections()
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	failing := false
	c.compare(ctx)
	for {
		err := c.apply(ctx)
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			c.log.Warn("Consul registration", "failing", failing, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
			c.compare(ctx)
		}
	}
}

// flush sends what is left to send, within a few seconds even if ctx has ended: what is dead must not stay registered.
func (c *consul) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), syncTimeout)
	defer cancel()
	if err := c.apply(ctx); err != nil {
		c.log.Warn("Consul registration", "failing", true, "err", err)
	}
}

// apply brings each dirty service to its desired state. What fails stays dirty.
func (c *consul) apply(ctx context.Context) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	c.mu.Lock()
	dirty := slices.Sorted(maps.Keys(c.dirty))
	clear(c.dirty)
	c.mu.Unlock()
	var errs error
	for _, id := range dirty {
		if err := c.applyOne(ctx, id); err != nil {
			errs = errors.Join(errs, err)
			c.mu.Lock()
			c.dirty[id] = true
			c.mu.Unlock()
		}
	}
	return errs
}

func (c *consul) applyOne(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	c.mu.Lock()
	reg := c.desired[id]
	c.mu.Unlock()
	if reg == nil {
		err := c.client.Agent().ServiceDeregisterOpts(id, (&consulapi.QueryOptions{}).WithContext(ctx))
		if err != nil && !strings.Contains(err.Error(), "Unknown service") {
			return fmt.Errorf("deregister service %s: %w", id, err)
		}
		return nil
	}
	// One call for the service and its checks: there is no moment in which it stands without them. A check that stays
	// the same keeps its status.
	opts := consulapi.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := c.client.Agent().ServiceRegisterOpts(reg, opts); err != nil {
		return fmt.Errorf("register service %s: %w", id, err)
	}
	return nil
}

// compare marks dirty what Consul has lost or changed, and what dead allocations of ours have left there.
func (c *consul) compare(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	opts := (&consulapi.QueryOptions{}).WithContext(ctx)
	services, err := c.client.Agent().ServicesWithFilterOpts("", opts)
	if err != nil {
		return // apply and watchChecks tell
	}
	checks, err := c.client.Agent().ChecksWithFilterOpts("", opts)
	if err != nil {
		return
	}
	leftovers := c.leftovers(services) // asks the client, which must not be done under c.mu
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, reg := range c.desired {
		if !holds(services[id], checks, reg) {
			c.dirty[id] = true
		}
	}
	for _, id := range leftovers {
		if c.desired[id] == nil {
			c.dirty[id] = true
		}
	}
}

func (c *consul) leftovers(services map[string]*consulapi.AgentService) []string {
	var ids []string
	for id := range services {
		rest, found := strings.CutPrefix(id, servicePrefix)
		if found && len(rest) > allocIDLen && c.ownsDead(rest[:allocIDLen]) {
			ids = append(ids, id)
		}
	}
	return ids
}

// holds reports whether Consul has the service as it is wanted.
func holds(
	got *consulapi.AgentService, checks map[string]*consulapi.AgentCheck, want *consulapi.AgentServiceRegistration,
) bool {
	if got == nil || got.Port != want.Port || got.Address != want.Address || !maps.Equal(got.Meta, want.Meta) {
		return false
	}
	if !want.EnableTagOverride && !slices.Equal(got.Tags, want.Tags) {
		return false
	}
	for _, check := range want.Checks {
		if checks[check.CheckID] == nil {
			return false
		}
	}
	return true
}

package client

import (
	"errors"

	"github.com/hashicorp/nomad/api"
)

var errNoConsul = errors.New("the job registers a Consul service, but the agent runs without Consul; start it with one")

// registry is the services of an allocation and which of them are in Consul: "" stands for the group's, a task's name
// for its own. Group services are registered before the tasks start, a task's when it has started, as Nomad does. Once
// they are down, a change of the job does not bring them back. Guarded by alloc.registering.
type registry struct {
	services []service
	up       map[string]bool
}

// buildServices renders the services of spec.
func (a *alloc) buildServices(spec *api.Allocation) ([]service, error) {
	built, err := buildServices(a.client.cfg, spec, a.dir)
	if err != nil {
		return nil, err
	}
	if len(built) > 0 && a.client.consul == nil {
		return nil, errNoConsul
	}
	return built, nil
}

// changeServices brings the services to a new spec: those that stay change in place, under the same IDs.
func (a *alloc) changeServices(spec *api.Allocation) error {
	built, err := a.buildServices(spec)
	if err != nil {
		return err
	}
	a.registering.Lock()
	defer a.registering.Unlock()
	stays := map[string]bool{}
	for _, s := range built {
		stays[s.id] = true
		if a.registry.up[s.task] {
			a.client.consul.register(s.reg)
		}
	}
	for _, s := range a.registry.services {
		if !stays[s.id] {
			a.client.consul.deregister(s.id)
		}
	}
	a.registry.services = built
	return nil
}

func (a *alloc) list() []service {
	a.registering.Lock()
	defer a.registering.Unlock()
	return a.registry.services
}

func (a *alloc) registerGroup() { a.setUp("", true) }

func (a *alloc) registerTask(t *task) { a.setUp(t.spec.Name, true) }

func (a *alloc) deregisterGroup() { a.setUp("", false) }

func (a *alloc) deregisterTask(t *task) { a.setUp(t.spec.Name, false) }

// setUp registers or deregisters the services of a task, or with "" of the group.
func (a *alloc) setUp(owner string, up bool) {
	a.registering.Lock()
	defer a.registering.Unlock()
	a.registry.up[owner] = up
	for _, s := range a.registry.services {
		switch {
		case s.task != owner:
		case up:
			a.client.consul.register(s.reg)
		default:
			a.client.consul.deregister(s.id)
		}
	}
}

package nomad

import (
	"context"
	"fmt"
	"sync"

	"github.com/weirhq/weir/deployer/rollout"
)

// Place is where in a Nomad cluster a job is. An empty field leaves it to the environment (NOMAD_NAMESPACE, NOMAD_REGION),
// and then to the agent.
type Place struct{ Namespace, Region string }

// PlaceOf is where the job of a rollout is.
func PlaceOf(s rollout.Spec) Place { return Place{Namespace: s.Namespace, Region: s.Region} }

func (p Place) String() string {
	s := fmt.Sprintf("namespace %q", p.namespace())
	if p.Region != "" {
		s += fmt.Sprintf(" of region %q", p.Region)
	}
	return s
}

func (p Place) namespace() string {
	if p.Namespace == "" {
		return "default"
	}
	return p.Namespace
}

// Same says whether two places can be one: a region that is not named is the agent's own, which may be any.
func (p Place) Same(q Place) bool {
	return p.namespace() == q.namespace() && (p.Region == q.Region || p.Region == "" || q.Region == "")
}

// places are the clients of the same Nomad that are bound to other places.
type places struct {
	addr string
	own  Place

	mu    sync.Mutex
	bound map[Place]*Client
}

// In returns a client for the same Nomad whose every call names the place. Empty fields stay as they are in this client.
func (c *Client) In(p Place) (*Client, error) {
	if p == (Place{}) || p == c.places.own {
		return c, nil
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	if in, ok := c.places.bound[p]; ok {
		return in, nil
	}
	in, err := NewIn(c.places.addr, p)
	if err != nil {
		return nil, err
	}
	if c.places.bound == nil {
		c.places.bound = map[Place]*Client{}
	}
	c.places.bound[p] = in
	return in, nil
}

// Runs says whether a model has a job here that is not stopped.
func (c *Client) Runs(ctx context.Context, model string) (bool, error) {
	job, _, err := c.api.Jobs().Info(model, read(ctx))
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read job %q: %w", model, err)
	}
	return job.Stop == nil || !*job.Stop, nil
}

// Package consul is the deployer's view of Consul: records and traffic keys in the KV store, the lease of a guardian,
// and the health of a model's instances.
package consul

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

// Client reads and writes Weir's documents in one Consul cluster.
type Client struct{ api *api.Client }

// New returns a client for the Consul that the usual environment names (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, …).
// A non-empty addr wins over the environment.
func New(addr string) (*Client, error) {
	cfg := api.DefaultConfig()
	if addr != "" {
		cfg.Address = addr
	}
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the Consul client: %w", err)
	}
	return &Client{api: c}, nil
}

// Check returns an error that says what to do unless Consul answers and has a leader.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	leader, err := c.api.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reach Consul: %w; set CONSUL_HTTP_ADDR, or start the parts with `deployer dev`", err)
	}
	if leader == "" {
		return fmt.Errorf("reach Consul: it answers but has no leader; look at `consul operator raft list-peers`")
	}
	return nil
}

// consistent makes a read see every earlier write.
func consistent(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

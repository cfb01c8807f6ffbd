// Package consul is the deployer's view of Consul: records and traffic keys in the KV store, the lease of a guardian,
// and the health of a model's instances.
package consul

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// Client reads and writes Weir's documents in one Consul cluster.
type Client struct {
	api        *api.Client
	datacenter string // that each call names; "" for the agent's own
	hub        *hub
	sessions   sessions
	served     served
	pulse      pulse
	turns      chan struct{}
}

// Bounds of the connections to Consul, which refuses the 201st from one address by default. Calls beyond them wait.
const (
	maxConns = 150
	maxIdle  = 32
)

// looksAtOnce is how many guardians of a client may look at the same time. More of them would not get their answers sooner.
const looksAtOnce = 32

// Turn waits until a guardian may look. It calls done when it has.
func (c *Client) Turn(ctx context.Context) (done func(), err error) {
	select {
	case c.turns <- struct{}{}:
		return func() { <-c.turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// New returns a client for the Consul that the usual environment names (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, …).
// A non-empty addr wins over the environment.
func New(addr string) (*Client, error) { return NewIn(addr, "") }

// NewIn is New for a datacenter: each of its calls names it. "" is the agent's own.
func NewIn(addr, datacenter string) (*Client, error) {
	cfg := api.DefaultConfig()
	cfg.Datacenter = datacenter
	if addr != "" {
		cfg.Address = addr
	}
	cfg.Transport.MaxConnsPerHost, cfg.Transport.MaxIdleConnsPerHost = maxConns, maxIdle
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the Consul client: %w", err)
	}
	client := &Client{api: c, datacenter: datacenter, sessions: sessions{held: map[string]*session{}}, turns: make(chan struct{}, looksAtOnce)}
	client.hub = newHub(client)
	return client, nil
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

// pulse is when Consul last answered.
type pulse struct {
	mu   sync.Mutex
	last time.Time // when the last call that was answered began
	next time.Time // before that, a call that failed is not made again
}

// Fresh is for how long one answer proves that Consul can be reached.
const Fresh = time.Second

// Answers says whether Consul's leader has just answered, or does now. However many ask, Consul is asked once.
func (c *Client) Answers(ctx context.Context) bool {
	c.pulse.mu.Lock()
	defer c.pulse.mu.Unlock()
	began := time.Now()
	if began.Sub(c.pulse.last) < Fresh {
		return true
	}
	if began.Before(c.pulse.next) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, Fresh)
	defer cancel()
	if _, _, err := c.api.KV().Get(traffic.Root, consistent(ctx)); err != nil {
		c.pulse.next = time.Now().Add(Fresh / 2)
		return false
	}
	c.pulse.last = began
	return true
}

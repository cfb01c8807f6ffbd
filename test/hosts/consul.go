//go:build linux

package hosts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts"
)

// Consul is a cluster: a server on each of some hosts, and a client agent on each host that uses it, at 127.0.0.1:8500.
type Consul struct {
	API     *api.Client // by the agent on the tests' own host
	net     Network
	hosts   []Host // of the servers
	members []Host // of the agents
	servers map[string]*parts.Running
	agents  []*parts.Running
}

// StartConsul starts a cluster, and returns when all know one another and have a leader. On error too it returns what
// there is to stop.
func (n Network) StartConsul(ctx context.Context, servers, members []Host) (*Consul, error) {
	c := &Consul{net: n, hosts: servers, members: members, servers: map[string]*parts.Running{}}
	var err error
	if c.API, err = api.NewClient(&api.Config{Address: "127.0.0.1:8500"}); err != nil {
		return c, fmt.Errorf("make a Consul client: %w", err)
	}
	for _, h := range servers {
		if err := c.startServer(h); err != nil {
			return c, err
		}
	}
	for _, h := range members {
		running, err := n.Spawn(h, "consul", syscall.SIGTERM, n.Bin("consul"), c.agentArgs(h)...)
		if err != nil {
			return c, err
		}
		c.agents = append(c.agents, running)
	}
	return c, Await(ctx, "all Consul agents to know one another, and a leader", c.Whole)
}

// startServer starts a Consul server, also one that was killed: it has kept its data.
func (c *Consul) startServer(h Host) error {
	args := append(c.agentArgs(h), "-server", "-bootstrap-expect="+strconv.Itoa(len(c.hosts)), "-serf-wan-port=-1")
	running, err := c.net.Spawn(h, "consul", syscall.SIGTERM, c.net.Bin("consul"), args...)
	if err == nil {
		c.servers[h.Name] = running
	}
	return err
}

// agentArgs are what all Consul agents have in common. Their ports are Consul's own: each host has its own loopback.
func (c *Consul) agentArgs(h Host) []string {
	args := []string{
		"agent", "-node=" + h.Name, "-bind=" + h.Addr, "-client=127.0.0.1", "-log-level=info", "-retry-interval=1s",
		"-data-dir=" + c.net.Data(h, "consul"), "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=disable_update_check=true", "-hcl=performance{raft_multiplier=3}",
		"-hcl=leave_on_terminate=false", // it takes seconds
	}
	for _, s := range c.hosts {
		if s != h {
			args = append(args, "-retry-join="+s.Addr)
		}
	}
	return args
}

// Server is the process of the server on a host.
func (c *Consul) Server(h Host) *parts.Running { return c.servers[h.Name] }

// Repair starts the servers that have ended and joins all members.
func (c *Consul) Repair() error {
	for _, h := range c.hosts {
		select {
		case <-c.servers[h.Name].Done():
			if err := c.startServer(h); err != nil {
				return err
			}
		default:
		}
	}
	for _, h := range c.members {
		// A host that was away for long is asked back at once: by itself serf tries every 30 s. Whole tells whether it came.
		_ = c.API.Agent().Join(h.Addr, false)
	}
	return nil
}

// Whole returns an error unless there is a leader and every agent is alive.
func (c *Consul) Whole(ctx context.Context) error {
	leader, err := c.API.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("no leader")
	}
	agents, err := c.API.Agent().Members(false)
	if err != nil {
		return err
	}
	const alive = 1 // serf's number
	known := map[string]bool{}
	for _, m := range agents {
		known[m.Name] = m.Status == alive
	}
	for _, group := range [][]Host{c.hosts, c.members} {
		for _, h := range group {
			if !known[h.Name] {
				return fmt.Errorf("agent %s is not alive", h.Name)
			}
		}
	}
	return nil
}

// Leader is the host of the leader.
func (c *Consul) Leader(ctx context.Context) (Host, error) {
	addr, err := c.API.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return Host{}, err
	}
	for _, h := range c.hosts {
		if strings.HasPrefix(addr, h.Addr+":") {
			return h, nil
		}
	}
	return Host{}, fmt.Errorf("no leader (%q)", addr)
}

// Stop ends the agents and then the servers. Whatever does not end is left to the owner of the hosts.
func (c *Consul) Stop() error {
	var errs []error
	for _, a := range c.agents {
		errs = append(errs, a.Stop())
	}
	for _, s := range c.servers {
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}

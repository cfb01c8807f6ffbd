//go:build linux

package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/parts"
)

// Node is a host that runs tasks. It has a Consul agent too.
type Node struct {
	Host
	Datacenter string
}

// Nomad is a server and its nodes: of the embedded agent, or of the real Nomad that WEIR_NOMAD names.
type Nomad struct {
	URL    string
	API    *api.Client
	net    Network
	real   string // path of a real one; "" for none
	server Host
	nodes  []Node
	agents map[string]*parts.Running // by host
}

const heartbeat = "3s" // how often nodes must be heard of, at least

// StartNomad starts a server and its nodes, and returns when all are ready. On error too it returns what there is to
// stop.
func (n Network) StartNomad(ctx context.Context, server Host, nodes []Node) (*Nomad, error) {
	c := &Nomad{
		URL: "http://" + server.Addr + ":4646", net: n, server: server, nodes: nodes, agents: map[string]*parts.Running{},
	}
	var err error
	if c.API, err = api.NewClient(&api.Config{Address: c.URL}); err != nil {
		return c, fmt.Errorf("make a Nomad client: %w", err)
	}
	if path := os.Getenv(parts.Nomad.Env); path != "" {
		if c.real, err = filepath.Abs(path); err != nil {
			return c, err
		}
	}
	if err := c.Start(server); err != nil {
		return c, err
	}
	for _, node := range nodes {
		if err := c.Start(node.Host); err != nil {
			return c, err
		}
	}
	return c, Await(ctx, "all nodes to be ready", c.Whole)
}

// Start starts the agent of a host, also one that was killed: it has kept its data, and its tasks run on.
func (c *Nomad) Start(h Host) error {
	path, args, err := c.net.Bin("devnode"), c.devnodeArgs(h), error(nil)
	if c.real != "" {
		path = c.real
		args, err = c.realArgs(h)
	}
	if err != nil {
		return err
	}
	running, err := c.net.Spawn(h, "nomad", syscall.SIGINT, path, args...)
	if err == nil {
		c.agents[h.Name] = running
	}
	return err
}

// Agent is the process of the agent on a host.
func (c *Nomad) Agent(h Host) *parts.Running { return c.agents[h.Name] }

// Whole returns an error unless every node is ready.
func (c *Nomad) Whole(ctx context.Context) error {
	list, _, err := c.API.Nodes().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	ready := 0
	for _, n := range list {
		if n.Status == api.NodeStatusReady && n.SchedulingEligibility == api.NodeSchedulingEligible {
			ready++
		}
	}
	if ready != len(c.nodes) {
		return fmt.Errorf("%d nodes are ready, want %d", ready, len(c.nodes))
	}
	return nil
}

// StopJob stops a job and waits for the end of its tasks.
func (c *Nomad) StopJob(ctx context.Context, id string) error {
	if _, _, err := c.API.Jobs().Deregister(id, true, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("stop job %q: %w", id, err)
	}
	return Await(ctx, "the tasks of "+id+" to end", func(ctx context.Context) error {
		allocs, _, err := c.API.Jobs().Allocations(id, true, (&api.QueryOptions{}).WithContext(ctx))
		for _, a := range allocs {
			if err == nil && a.ClientStatus == api.AllocClientStatusRunning {
				err = fmt.Errorf("allocation %s runs", a.ID)
			}
		}
		return err
	})
}

// Stop ends the nodes and then the server.
func (c *Nomad) Stop() error {
	var errs []error
	for _, node := range c.nodes {
		if agent := c.agents[node.Name]; agent != nil {
			errs = append(errs, agent.Stop())
		}
	}
	if agent := c.agents[c.server.Name]; agent != nil {
		errs = append(errs, agent.Stop())
	}
	return errors.Join(errs...)
}

// node is the node on a host.
func (c *Nomad) node(h Host) Node {
	for _, n := range c.nodes {
		if n.Host == h {
			return n
		}
	}
	return Node{Host: h}
}

func (c *Nomad) devnodeArgs(h Host) []string {
	if h == c.server {
		return []string{"server", "--addr", h.Addr + ":4646", "--data", c.net.Data(h, "nomad"), "--heartbeat", heartbeat}
	}
	return []string{
		"client", "--server", c.server.Addr + ":4646", "--address", h.Addr, "--name", h.Name, "--dc", c.node(h).Datacenter,
		"--consul", "127.0.0.1:8500", "--data", c.net.Data(h, "nomad"), "--heartbeat", heartbeat,
	}
}

const serverConfig = `
name      = %q
bind_addr = %q
data_dir  = %q
server {
  enabled           = true
  bootstrap_expect  = 1
  heartbeat_grace   = "2s"
  min_heartbeat_ttl = %q
}
consul {
  server_auto_join = false
  auto_advertise   = false
}
`

const clientConfig = `
name       = %q
datacenter = %q
bind_addr  = %q
data_dir   = %q
client {
  enabled           = true
  servers           = ["%s:4647"]
  network_interface = "eth0"
  cgroup_parent     = %q
}
consul {
  address          = "127.0.0.1:8500"
  client_auto_join = false
  auto_advertise   = false
}
plugin "raw_exec" {
  config {
    enabled = true
  }
}
`

// realArgs configures the real Nomad on a host.
func (c *Nomad) realArgs(h Host) ([]string, error) {
	data := c.net.Data(h, "nomad")
	text := fmt.Sprintf(serverConfig, h.Name, h.Addr, data, heartbeat)
	if h != c.server {
		text = fmt.Sprintf(clientConfig, h.Name, c.node(h).Datacenter, h.Addr, data, c.server.Addr, c.net.namespace(h.Name))
	}
	config, err := c.net.Write(h, "nomad.hcl", text)
	return []string{"agent", "-config=" + config}, err
}

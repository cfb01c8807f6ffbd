//go:build linux

package multihost

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	napi "github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/parts"
)

const (
	nomadURL  = "http://10.77.0.1:4646"
	heartbeat = "3s" // how often nodes must be heard of, at least
)

// startNomad starts a server on the Nomad host and a client on each node: of the embedded agent, or of the real Nomad
// that WEIR_NOMAD names.
func (c *cluster) startNomad(ctx context.Context) error {
	start := c.startDevnode
	if path := os.Getenv(parts.Nomad.Env); path != "" {
		path, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		start = func() error { return c.startRealNomad(path) }
	}
	if err := start(); err != nil {
		return err
	}
	return await(ctx, "all nodes to be ready", c.nomadWhole)
}

func (c *cluster) nomadWhole(ctx context.Context) error {
	list, _, err := c.nomadAPI.Nodes().List((&napi.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	ready := 0
	for _, n := range list {
		if n.Status == napi.NodeStatusReady && n.SchedulingEligibility == napi.NodeSchedulingEligible {
			ready++
		}
	}
	if ready != len(nodes) {
		return fmt.Errorf("%d nodes are ready, want %d", ready, len(nodes))
	}
	return nil
}

func (c *cluster) startDevnode() error {
	bin := c.net.bin("devnode")
	err := c.add(nomadHost, "nomad", bin, "server", "--addr", nomadHost.addr+":4646",
		"--data", c.net.data(nomadHost, "nomad"), "--heartbeat", heartbeat)
	for i := 0; i < len(nodes) && err == nil; i++ {
		h := nodes[i]
		err = c.add(h, "nomad", bin, "client", "--server", nomadHost.addr+":4646", "--address", h.addr, "--name", h.name,
			"--consul", "127.0.0.1:8500", "--data", c.net.data(h, "nomad"),
			"--heartbeat", heartbeat)
	}
	return err
}

// add starts a part that is stopped by SIGINT and kept to the end.
func (c *cluster) add(h host, name, path string, args ...string) error {
	running, err := c.net.spawn(h, name, syscall.SIGINT, path, args...)
	if err == nil {
		c.running = append(c.running, running)
	}
	return err
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
name      = %q
bind_addr = %q
data_dir  = %q
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

func (c *cluster) startRealNomad(bin string) error {
	data := c.net.data(nomadHost, "nomad")
	config, err := c.net.write(nomadHost, "nomad.hcl", fmt.Sprintf(serverConfig, nomadHost.name, nomadHost.addr, data, heartbeat))
	if err == nil {
		err = c.add(nomadHost, "nomad", bin, "agent", "-config="+config)
	}
	for i := 0; i < len(nodes) && err == nil; i++ {
		h := nodes[i]
		config, err = c.net.write(h, "nomad.hcl",
			fmt.Sprintf(clientConfig, h.name, h.addr, c.net.data(h, "nomad"), nomadHost.addr, c.net.namespace(h.name)))
		if err == nil {
			err = c.add(h, "nomad", bin, "agent", "-config="+config)
		}
	}
	return err
}

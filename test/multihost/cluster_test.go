//go:build linux

package multihost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	capi "github.com/hashicorp/consul/api"
	napi "github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/parts"
)

const (
	model      = "iris"
	count      = 3 // instances of each release: one per node
	port       = "8086"
	startLimit = 2 * time.Minute
)

// site is the cluster that all tests share.
var site *cluster

// cluster is what runs on the hosts.
type cluster struct {
	net     network
	started sync.Once
	failure error

	servers map[string]*parts.Running // Consul servers by host
	running []*parts.Running          // the rest, in the order of their start

	consulAPI *capi.Client // by the agent on ops
	nomadAPI  *napi.Client
	consul    *consul.Client
	nomad     *nomad.Client
}

// start starts everything once, and returns when it works.
func (c *cluster) start() error {
	c.started.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		c.servers = map[string]*parts.Running{}
		for _, step := range []func(context.Context) error{c.clients, c.startConsul, c.startNomad, c.startIngresses} {
			if c.failure = step(ctx); c.failure != nil {
				return
			}
		}
	})
	return c.failure
}

func (c *cluster) clients(context.Context) (err error) {
	if c.consulAPI, err = capi.NewClient(&capi.Config{Address: "127.0.0.1:8500"}); err != nil {
		return fmt.Errorf("make a Consul client: %w", err)
	}
	if c.nomadAPI, err = napi.NewClient(&napi.Config{Address: nomadURL}); err != nil {
		return fmt.Errorf("make a Nomad client: %w", err)
	}
	if c.consul, err = consul.New("127.0.0.1:8500"); err != nil {
		return err
	}
	c.nomad, err = nomad.New(nomadURL)
	return err
}

func (c *cluster) startConsul(ctx context.Context) error {
	for _, h := range consulHosts {
		if err := c.startServer(h); err != nil {
			return err
		}
	}
	for _, h := range members() {
		running, err := c.net.spawn(h, "consul", syscall.SIGTERM, c.net.bin("consul"), c.agentArgs(h)...)
		if err != nil {
			return err
		}
		c.running = append(c.running, running)
	}
	return await(ctx, "all Consul agents to know one another, and a leader", c.consulWhole)
}

// startServer starts a Consul server, also one that was killed: it has kept its data.
func (c *cluster) startServer(h host) error {
	args := append(c.agentArgs(h), "-server", "-bootstrap-expect="+strconv.Itoa(len(consulHosts)), "-serf-wan-port=-1")
	running, err := c.net.spawn(h, "consul", syscall.SIGTERM, c.net.bin("consul"), args...)
	c.servers[h.name] = running
	return err
}

// agentArgs are what all Consul agents have in common. Their ports are Consul's own: each host has its own loopback.
func (c *cluster) agentArgs(h host) []string {
	args := []string{
		"agent", "-node=" + h.name, "-bind=" + h.addr, "-client=127.0.0.1", "-log-level=info", "-retry-interval=1s",
		"-data-dir=" + c.net.data(h, "consul"), "-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=disable_update_check=true", "-hcl=performance{raft_multiplier=3}",
		"-hcl=leave_on_terminate=false", // it takes seconds
	}
	for _, s := range consulHosts {
		if s != h {
			args = append(args, "-retry-join="+s.addr)
		}
	}
	return args
}

// data is a folder of a part on a host.
func (n network) data(h host, part string) string { return filepath.Join(n.folder(), h.name, part) }

func (c *cluster) consulWhole(ctx context.Context) error {
	leader, err := c.consulAPI.Status().LeaderWithQueryOptions((&capi.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return err
	}
	if leader == "" {
		return errors.New("no leader")
	}
	agents, err := c.consulAPI.Agent().Members(false)
	if err != nil {
		return err
	}
	const alive = 1 // serf's number
	known := map[string]bool{}
	for _, m := range agents {
		known[m.Name] = m.Status == alive
	}
	for _, h := range append(members(), consulHosts...) {
		if !known[h.name] {
			return fmt.Errorf("agent %s is not alive", h.name)
		}
	}
	return nil
}

func (c *cluster) startIngresses(ctx context.Context) error {
	for _, h := range ingresses {
		running, err := c.net.spawn(h, "ingress", syscall.SIGTERM, c.net.bin("deployer"), "ingress", "--node", h.name,
			"--dir", c.net.data(h, "ingress"), "--listen", h.addr+":"+port,
			"--nginx", c.net.bin("nginx"), "--consul-template", c.net.bin("consul-template"))
		if err != nil {
			return err
		}
		c.running = append(c.running, running)
	}
	return await(ctx, "both ingresses to be live", c.ingressesWhole)
}

func (c *cluster) ingressesWhole(ctx context.Context) error {
	live, err := c.consul.Ingresses(ctx)
	if err != nil {
		return err
	}
	for _, h := range ingresses {
		if in, ok := live[h.name]; !ok || in.Stale {
			return fmt.Errorf("ingress %s is not live: %+v", h.name, live)
		}
	}
	return nil
}

// stop ends everything in the reverse order of its start. Whatever does not end is left to the owner of the hosts.
func (c *cluster) stop() error {
	if c.consulAPI == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	if c.failure == nil {
		errs = append(errs, c.stopJob(ctx))
	}
	for i := range c.running {
		errs = append(errs, c.running[len(c.running)-1-i].Stop())
	}
	for _, s := range c.servers {
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}

func (c *cluster) stopJob(ctx context.Context) error {
	if _, _, err := c.nomadAPI.Jobs().Deregister(model, true, (&napi.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("stop the model's job: %w", err)
	}
	return await(ctx, "the model's instances to end", func(ctx context.Context) error {
		allocs, _, err := c.nomadAPI.Jobs().Allocations(model, true, (&napi.QueryOptions{}).WithContext(ctx))
		for _, a := range allocs {
			if err == nil && a.ClientStatus == napi.AllocClientStatusRunning {
				err = fmt.Errorf("allocation %s runs", a.ID)
			}
		}
		return err
	})
}

// await asks again and again until there is no error or the context ends. It is for what sends no event.
func await(ctx context.Context, what string, ask func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// write writes a configuration file on a host and returns its path.
func (n network) write(h host, name, text string) (string, error) {
	dir := n.data(h, "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("configure %s: %w", h.name, err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("configure %s: %w", h.name, err)
	}
	return path, nil
}

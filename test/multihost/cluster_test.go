//go:build linux

package multihost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	capi "github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/test/hosts"
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
	net     hosts.Network
	started sync.Once
	failure error
	running []*parts.Running // the ingresses

	consulSite *hosts.Consul
	nomadSite  *hosts.Nomad
	consulAPI  *capi.Client // by the agent on ops
	consul     *consul.Client
	nomad      *nomad.Client
}

// start starts everything once, and returns when it works.
func (c *cluster) start() error {
	c.started.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		for _, step := range []func(context.Context) error{c.startConsul, c.startNomad, c.startIngresses} {
			if c.failure = step(ctx); c.failure != nil {
				return
			}
		}
	})
	return c.failure
}

func (c *cluster) startConsul(ctx context.Context) (err error) {
	if c.consulSite, err = c.net.StartConsul(ctx, consulHosts, members()); err != nil {
		return err
	}
	c.consulAPI = c.consulSite.API
	c.consul, err = consul.New("127.0.0.1:8500")
	return err
}

func (c *cluster) startNomad(ctx context.Context) (err error) {
	var with []hosts.Node
	for _, h := range nodes {
		with = append(with, hosts.Node{Host: h, Datacenter: "dc1"})
	}
	if c.nomadSite, err = c.net.StartNomad(ctx, nomadHost, with); err != nil {
		return err
	}
	c.nomad, err = nomad.New(c.nomadSite.URL)
	return err
}

func (c *cluster) startIngresses(ctx context.Context) error {
	for _, h := range ingresses {
		running, err := c.net.Spawn(h, "ingress", syscall.SIGTERM, c.net.Bin("deployer"), "ingress", "--node", h.Name,
			"--dir", c.net.Data(h, "ingress"), "--listen", h.Addr+":"+port,
			"--nginx", c.net.Bin("nginx"), "--consul-template", c.net.Bin("consul-template"))
		if err != nil {
			return err
		}
		c.running = append(c.running, running)
	}
	return hosts.Await(ctx, "both ingresses to be live", c.ingressesWhole)
}

func (c *cluster) ingressesWhole(ctx context.Context) error {
	live, err := c.consul.Ingresses(ctx)
	if err != nil {
		return err
	}
	for _, h := range ingresses {
		if in, ok := live[h.Name]; !ok || in.Stale {
			return fmt.Errorf("ingress %s is not live: %+v", h.Name, live)
		}
	}
	return nil
}

// stop ends everything in the reverse order of its start. Whatever does not end is left to the owner of the hosts.
func (c *cluster) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var errs []error
	if c.nomadSite != nil && c.failure == nil {
		errs = append(errs, c.nomadSite.StopJob(ctx, model))
	}
	for _, ingress := range c.running {
		errs = append(errs, ingress.Stop())
	}
	if c.nomadSite != nil {
		errs = append(errs, c.nomadSite.Stop())
	}
	if c.consulSite != nil {
		errs = append(errs, c.consulSite.Stop())
	}
	return errors.Join(errs...)
}

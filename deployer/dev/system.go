package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/proc"
)

const (
	stopSignal = syscall.SIGTERM
	startLimit = time.Minute
	stopLimit  = 40 * time.Second
	ingressJob = "weir-ingress"
)

// system is what Run has started.
type system struct {
	cfg           Config
	addr          Addresses
	consul        *parts.ConsulServer
	nomad         *api.Client
	nomadEnded    chan error
	stopNomad     func()
	stopDashboard func() error // nil: there is none
	before        []string     // jobs that were there before this system
}

func (s *system) say(format string, args ...any) {
	fmt.Fprintf(s.cfg.Progress, "  "+format+"\n", args...)
}

func (s *system) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	steps := []func(context.Context) error{s.startConsul, s.startNomad, s.startIngress, s.startDashboard, s.save}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// external says whether the user's own Nomad is meant. Its Consul is then the user's own too: the two belong together.
func (s *system) external() bool { return !s.cfg.Embedded && os.Getenv("NOMAD_ADDR") != "" }

func (s *system) startConsul(ctx context.Context) error {
	if s.external() {
		return s.takeConsul(ctx)
	}
	c, err := parts.StartConsul(ctx, parts.ConsulConfig{
		HTTPPort: s.cfg.ConsulPort, LogFile: s.cfg.path("consul.log"), StateFile: s.cfg.path("run", "consul.json"),
		Tied:    s.cfg.Tied,
		Options: parts.Options{Progress: s.cfg.Progress},
	})
	if err != nil {
		return fmt.Errorf("start Consul: %w", err)
	}
	s.consul, s.addr.Consul = c, c.Addr
	s.say("Consul   http://%s", c.Addr)
	return nil
}

// takeConsul uses the Consul that the environment names.
func (s *system) takeConsul(ctx context.Context) error {
	cfg := capi.DefaultConfig()
	c, err := capi.NewClient(cfg)
	if err != nil {
		return fmt.Errorf("configure the Consul client: %w", err)
	}
	if _, err := c.Status().LeaderWithQueryOptions((&capi.QueryOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("NOMAD_ADDR is set, so the Consul of that Nomad is needed too, but: %w; set CONSUL_HTTP_ADDR", err)
	}
	s.addr.Consul = cfg.Address
	s.say("Consul   http://%s (from the environment)", cfg.Address)
	return nil
}

// startNomad takes the Nomad that the environment names, else the one on PATH, else the embedded agent.
func (s *system) startNomad(ctx context.Context) error {
	s.nomadEnded = make(chan error, 1)
	path, err := parts.Find(ctx, parts.Nomad, parts.Options{NoBuild: true})
	switch {
	case s.external():
		s.addr.Nomad, s.stopNomad = os.Getenv("NOMAD_ADDR"), func() {}
		s.say("Nomad    %s (from NOMAD_ADDR)", s.addr.Nomad)
	case !s.cfg.Embedded && err == nil:
		if err := s.startRealNomad(path); err != nil {
			return err
		}
		s.say("Nomad    %s (%s agent -dev)", s.addr.Nomad, path)
	default:
		if err := s.startEmbedded(ctx); err != nil {
			return err
		}
		s.say("Nomad    %s (the embedded agent: for trying out on one machine, not for production)", s.addr.Nomad)
	}
	cfg := api.DefaultConfig()
	cfg.Address = s.addr.Nomad
	if s.nomad, err = api.NewClient(cfg); err != nil {
		return fmt.Errorf("configure the Nomad client: %w", err)
	}
	if err := s.nomadReady(ctx); err != nil {
		return err
	}
	return s.noteJobs(ctx)
}

// noteJobs remembers what runs already, and refuses to overwrite somebody's ingress.
func (s *system) noteJobs(ctx context.Context) error {
	before, err := s.jobs(ctx)
	if err != nil {
		return fmt.Errorf("list the jobs: %w", err)
	}
	if slices.Contains(before, ingressJob) {
		s.nomad = nil // nothing of it is ours to stop
		return fmt.Errorf("start the ingress: Nomad at %s has a job %q already; use that ingress with `deployer deploy`, or unset NOMAD_ADDR",
			s.addr.Nomad, ingressJob)
	}
	s.before = before
	return nil
}

func (s *system) startEmbedded(ctx context.Context) error {
	agent, err := devnomad.New(devnomad.Config{ //nolint:contextcheck // it lives until stop, not until it is up
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.cfg.NomadPort)), ConsulAddr: s.addr.Consul,
		DataDir: s.cfg.path("nomad"), Logger: s.cfg.Logger, NodeName: "weir", TieTasks: s.cfg.Tied,
		Limits: os.Geteuid() == 0, DockerPull: true,
	})
	if err != nil {
		return fmt.Errorf("start the embedded Nomad agent: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.nomadEnded <- agent.Run(ctx)
	}()
	s.addr.Nomad = "http://" + agent.Addr()
	s.stopNomad = func() { stop(); <-ended }
	return nil
}

func (s *system) startRealNomad(path string) error {
	ports := []int{s.cfg.NomadPort, 0, 0}
	for i := range ports {
		if ports[i] == 0 {
			var err error
			if ports[i], err = parts.FreePort(); err != nil {
				return err
			}
		}
	}
	config := s.cfg.path("nomad.hcl")
	text := fmt.Sprintf("ports {\n  http = %d\n  rpc = %d\n  serf = %d\n}\nconsul {\n  address = %q\n}\n",
		ports[0], ports[1], ports[2], s.addr.Consul)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure Nomad: %w", err)
	}
	log, err := os.Create(s.cfg.path("nomad.log"))
	if err != nil {
		return fmt.Errorf("open Nomad's log: %w", err)
	}
	defer log.Close()
	running, err := parts.Start(parts.Child{
		Name: "nomad", Path: path, Args: []string{"agent", "-dev", "-bind=127.0.0.1", "-config=" + config},
		Log: log, StopSignal: syscall.SIGINT, StopTimeout: 15 * time.Second, StateFile: s.cfg.path("run", "nomad.json"), Tied: s.cfg.Tied,
	})
	if err != nil {
		return fmt.Errorf("start Nomad: %w", err)
	}
	go func() { <-running.Done(); s.nomadEnded <- running.Err() }()
	s.addr.Nomad = "http://127.0.0.1:" + strconv.Itoa(ports[0])
	s.stopNomad = func() { _ = running.Stop() } // its end is what is wanted
	return nil
}

// nomadReady waits until a node can take jobs.
func (s *system) nomadReady(ctx context.Context) error {
	return every(ctx, 50*time.Millisecond, "Nomad to have a ready node", func() error {
		nodes, _, err := s.nomad.Nodes().List((&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Status == api.NodeStatusReady && n.SchedulingEligibility == api.NodeSchedulingEligible {
				return nil
			}
		}
		return errors.New("no node is ready")
	})
}

// save tells others where the system is.
func (s *system) save(context.Context) error {
	self, err := proc.Identify("deployer dev", os.Getpid())
	if err != nil {
		return err
	}
	s.addr.Process = self
	b, err := json.MarshalIndent(s.addr, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.cfg.path(addressFile), b, 0o600); err != nil {
		return fmt.Errorf("write down where the system is: %w", err)
	}
	return nil
}

// stop ends everything in reverse order. On a Nomad of somebody else's it stops the jobs that this system knows.
func (s *system) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	var errs []error
	if s.stopDashboard != nil {
		errs = append(errs, s.stopDashboard())
	}
	if s.nomad != nil {
		errs = append(errs, s.stopJobs(ctx))
	}
	if s.stopNomad != nil {
		s.stopNomad()
	}
	if s.consul != nil {
		errs = append(errs, s.consul.Stop())
	}
	if err := errors.Join(errs...); err != nil {
		return err // what is left is in the state folder, for `deployer dev down`
	}
	return sweep(ctx, s.cfg.Dir)
}

// stopJobs stops the jobs that came after the system's start, the ingress first, so that no request meets a stopped
// instance. What was on somebody's Nomad before is not touched.
func (s *system) stopJobs(ctx context.Context) error {
	ids, err := s.jobs(ctx)
	if err != nil {
		return fmt.Errorf("list the jobs to stop: %w", err)
	}
	slices.SortFunc(ids, func(a, b string) int {
		switch {
		case a == ingressJob:
			return -1
		case b == ingressJob:
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, id := range ids {
		if slices.Contains(s.before, id) {
			continue
		}
		if err := s.stopJob(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// jobs lists the ids of all jobs.
func (s *system) jobs(ctx context.Context) ([]string, error) {
	list, _, err := s.nomad.Jobs().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(list))
	for _, j := range list {
		if j.Status != "dead" {
			ids = append(ids, j.ID)
		}
	}
	return ids, nil
}

func (s *system) stopJob(ctx context.Context, id string) error {
	if _, _, err := s.nomad.Jobs().Deregister(id, true, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("stop job %q: %w", id, err)
	}
	return every(ctx, 50*time.Millisecond, "job "+id+" to stop", func() error {
		allocs, _, err := s.nomad.Jobs().Allocations(id, true, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, a := range allocs {
			if a.ClientStatus == api.AllocClientStatusRunning {
				return fmt.Errorf("allocation %s runs", a.ID)
			}
		}
		return nil
	})
}

// every asks again and again until there is no error or the context ends. It is for what sends no event.
func every(ctx context.Context, pause time.Duration, what string, ask func() error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := ask()
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

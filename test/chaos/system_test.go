//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	napi "github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/jobs"
	"github.com/weirhq/weir/test/hosts"
	"github.com/weirhq/weir/test/load"
)

const model = "iris"

// The hosts. The tests, the load and the daemon, `deployer guard`, are on ops.
var (
	consulHosts = []hosts.Host{{Name: "c1", Addr: "10.77.0.11"}, {Name: "c2", Addr: "10.77.0.12"}, {Name: "c3", Addr: "10.77.0.13"}}
	nomadHost   = hosts.Host{Name: "nomad", Addr: "10.77.0.1"}
	node        = hosts.Host{Name: "n1", Addr: "10.77.0.21"} // with the instances
	ingress     = hosts.Host{Name: "i1", Addr: "10.77.0.31"} // a node of Nomad's too
	deployer    = hosts.Host{Name: "d1", Addr: "10.77.0.41"} // with the deployer that begins the rollouts
	ops         = hosts.Host{Name: "ops", Addr: "10.77.0.51"}

	subnet     = netip.MustParsePrefix("10.77.0.0/24")
	ingressURL = "http://" + ingress.Addr + ":8086"
)

// The deployer under three names: each has a clock of its own (see clock).
const (
	daemonBin  = "deployer"
	deployBin  = "deployer-begins"
	ingressBin = "deployer-ingress"
)

const (
	edge       = "edge" // the datacenter of the ingress
	ingressJob = "weir-ingress"
	startLimit = 2 * time.Minute
	// diskSize is the size of the ingress's disk: four logs of 64 MiB at most, of which a run fills a part.
	diskSize = "size=192m"
)

// system is a running Weir whose parts can be broken one by one.
type system struct {
	t       *testing.T
	net     hosts.Network
	servers *hosts.Consul
	agents  *hosts.Nomad
	daemon  *program
	load    *load.Load
	consul  *consul.Client
	kv      *api.KV
	nomad   *nomad.Client
}

// start runs a system and ends it with the test. What then is left of it fails the test.
func start(t *testing.T, n hosts.Network) *system {
	t.Helper()
	s := &system{t: t, net: n}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	t.Cleanup(s.sweep)
	for _, step := range []func(context.Context) error{s.startConsul, s.startNomad, s.startIngress} {
		if err := step(ctx); err != nil {
			s.dumpLogs()
			t.Fatal(err)
		}
	}
	s.startDaemon()
	return s
}

func (s *system) startConsul(ctx context.Context) (err error) {
	s.servers, err = s.net.StartConsul(ctx, consulHosts, []hosts.Host{node, ingress, deployer, ops})
	s.t.Cleanup(func() {
		if err := s.servers.Stop(); err != nil {
			s.t.Errorf("stop Consul: %v", err)
		}
	})
	if err != nil {
		return err
	}
	s.kv = s.servers.API.KV()
	s.consul, err = consul.New("127.0.0.1:8500")
	return err
}

func (s *system) startNomad(ctx context.Context) (err error) {
	s.agents, err = s.net.StartNomad(ctx, nomadHost, []hosts.Node{
		{Host: node, Datacenter: "dc1"}, {Host: ingress, Datacenter: edge},
	})
	s.t.Cleanup(func() {
		if err := s.agents.Stop(); err != nil {
			s.t.Errorf("stop Nomad: %v", err)
		}
	})
	if err != nil {
		return err
	}
	s.nomad, err = nomad.New(s.agents.URL)
	return err
}

// startIngress runs the ingress as a job, on a small disk.
func (s *system) startIngress(ctx context.Context) error {
	disk := s.disk()
	if err := os.MkdirAll(disk, 0o755); err != nil {
		return fmt.Errorf("make the ingress's folder: %w", err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, diskSize); err != nil { // the owner of the hosts takes it away
		return fmt.Errorf("mount the ingress's disk: %w", err)
	}
	job, err := jobspec.Parse("ingress.nomad.hcl", jobs.Ingress, jobspec.Vars{Flags: map[string]string{
		"command": s.net.Bin(ingressBin), "listen": ingress.Addr + ":8086", "node": ingress.Name, "state_dir": disk,
		"nginx": s.net.Bin("nginx"), "consul_template": s.net.Bin("consul-template"), "datacenters": `["` + edge + `"]`,
	}})
	if err != nil {
		return fmt.Errorf("parse the ingress's jobspec: %w", err)
	}
	s.t.Cleanup(s.stopJobs)
	if _, _, err := s.agents.API.Jobs().Register(job, (&napi.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("register the ingress: %w", err)
	}
	return hosts.Await(ctx, "the ingress to be live", func(ctx context.Context) error {
		live, err := s.consul.Ingresses(ctx)
		if in, ok := live[ingress.Name]; err == nil && (!ok || in.Stale) {
			err = fmt.Errorf("it is not live: %+v", live)
		}
		return err
	})
}

// disk is the ingress's folder.
func (s *system) disk() string { return s.net.Data(ingress, "ingress") }

func (s *system) startDaemon() {
	s.daemon = s.background(ops, "guard.log", s.net.Bin(daemonBin), "guard", "-v")
}

// stopJobs ends the ingress first, so that no request meets a stopped instance.
func (s *system) stopJobs() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, id := range []string{ingressJob, model} {
		if err := s.agents.StopJob(ctx, id); err != nil {
			s.t.Error(err)
		}
	}
}

// repair undoes what a fault has left broken, and returns when all parts are whole.
func (s *system) repair() error {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	var errs []error
	for _, h := range []hosts.Host{deployer, ingress} {
		errs = append(errs, s.net.Heal(h))
	}
	for _, bin := range []string{daemonBin, deployBin, ingressBin} {
		errs = append(errs, s.step(bin, 0))
	}
	errs = append(errs, s.servers.Repair(), hosts.Await(ctx, "Consul to be whole", s.servers.Whole),
		hosts.Await(ctx, "Nomad to be whole", s.agents.Whole))
	return errors.Join(errs...)
}

// program is a deployer that runs. done is closed when it has ended.
type program struct {
	*exec.Cmd
	done chan struct{}
}

// background starts a program on a host, with its output in a log, and kills it at the end of the test if it still runs.
func (s *system) background(h hosts.Host, log, path string, args ...string) *program {
	s.t.Helper()
	out, err := os.OpenFile(filepath.Join(s.net.Logs(), log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "NOMAD_ADDR="+s.agents.URL)
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.net.Launch(h, cmd); err != nil {
		s.t.Fatal(err)
	}
	p := &program{cmd, make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }() // how it ended is in its state
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-p.done
	})
	return p
}

func wait(limit time.Duration, ok func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond) // the pace of looking; the condition is what is awaited
	}
}

// sweep is the last cleanup: whatever of the system is still there fails the test.
func (s *system) sweep() {
	left := processes(func(p process) bool { return p.names(s.net.Folder() + "/") })
	for _, p := range left {
		s.t.Errorf("process %d survived: %s", p.pid, p.line)
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended by now
	}
}

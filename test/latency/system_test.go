//go:build linux

package latency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
	napi "github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/traffic"
)

// system is a running Weir.
type system struct {
	t        *testing.T
	embedded bool
	dir      string
	addr     dev.Addresses
	consul   *consul.Client
	health   *capi.Client
	nomad    *napi.Client
	shown    sightings
}

// start runs a system until the end of the test.
func start(t *testing.T, embedded bool) *system {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, embedded: embedded, dir: t.TempDir()}
	log, err := os.Create(filepath.Join(s.dir, "system.log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Dir: s.dir, Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Deployer: filepath.Join(bin, "deployer"),
			Embedded: embedded, Progress: t.Output(), Tied: true,
			Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		}, func(a dev.Addresses) { ready <- a })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end the system: %v", err)
		}
		_ = log.Close()
		if t.Failed() {
			s.dumpLogs()
		}
	})
	select {
	case s.addr = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("start the system: %v", err)
	}
	s.connect()
	t.Cleanup(s.shown.follow(s.health))
	return s
}

func (s *system) connect() {
	s.t.Helper()
	var err error
	if s.consul, err = consul.New(s.addr.Consul); err != nil {
		s.t.Fatal(err)
	}
	if s.health, err = capi.NewClient(&capi.Config{Address: s.addr.Consul}); err != nil {
		s.t.Fatal(err)
	}
	cfg := napi.DefaultConfig()
	cfg.Address = s.addr.Nomad
	if s.nomad, err = napi.NewClient(cfg); err != nil {
		s.t.Fatal(err)
	}
}

// nomadName says which Nomad the system runs on: the embedded agent, or a real one of some version.
func (s *system) nomadName() string {
	if s.embedded {
		return "embedded agent"
	}
	self, err := s.nomad.Agent().Self()
	if err != nil {
		s.t.Fatalf("ask Nomad for its version: %v", err)
	}
	return "Nomad " + self.Member.Tags["build"]
}

// program is a deployer that was started. err says how it ended, once done is closed.
type program struct {
	*exec.Cmd

	done chan struct{}
	err  error
}

// deployer starts the deployer, with its output in a log of its own.
func (s *system) deployer(log string, args ...string) (*program, error) {
	out, err := os.OpenFile(filepath.Join(s.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &program{Cmd: exec.Command(filepath.Join(bin, "deployer"), args...), done: make(chan struct{})}
	p.Env = append(os.Environ(), s.addr.Environ()...)
	p.Stdout, p.Stderr = out, out
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start the deployer: %w", err)
	}
	go func() {
		defer close(p.done)
		p.err = p.Wait()
	}()
	return p, nil
}

// within waits for the end of the program. One that is late is asked to take its rollout back, and then killed.
func (p *program) within(limit time.Duration) error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
	}
	_ = p.Process.Signal(syscall.SIGINT) // it may have ended by now
	killed := time.AfterFunc(limit, func() { _ = p.Process.Kill() })
	defer killed.Stop()
	<-p.done
	return errors.Join(fmt.Errorf("not over within %s", limit), p.err)
}

func (s *system) dumpLogs() {
	_ = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		isLog := filepath.Ext(path) == ".log" || strings.Contains(path, "ingress.std")
		if err == nil && isLog && !d.IsDir() && !strings.Contains(path, "access") && filepath.Base(path) != "consul.log" {
			if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
				s.t.Logf("%s:\n%s", path, text[max(0, len(text)-3000):])
			}
		}
		return nil
	})
}

// sighting is a served epoch of a model, and when an ingress was first seen to show it.
type sighting struct {
	epoch string
	at    time.Time
}

// sightings are what the ingress has shown of each model, in order.
type sightings struct {
	mu      sync.Mutex
	byModel map[string][]sighting
}

// follow notes what the ingress publishes until the returned function is called.
func (s *sightings) follow(c *capi.Client) (stop func()) {
	s.byModel = map[string][]sighting{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var index uint64
		for ctx.Err() == nil {
			q := (&capi.QueryOptions{WaitIndex: index, WaitTime: time.Minute}).WithContext(ctx)
			pairs, meta, err := c.KV().List(traffic.IngressPrefix, q)
			if err != nil {
				index = 0
				continue
			}
			index = meta.LastIndex
			s.note(pairs, time.Now())
		}
	}()
	return func() { cancel(); <-done }
}

func (s *sightings) note(pairs capi.KVPairs, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range pairs {
		var in traffic.Ingress
		if json.Unmarshal(p.Value, &in) != nil {
			continue
		}
		for model, epoch := range in.Epoch {
			seen := s.byModel[model]
			if len(seen) == 0 || seen[len(seen)-1].epoch != epoch {
				s.byModel[model] = append(seen, sighting{epoch, at})
			}
		}
	}
}

// first is when a served epoch of a model was first seen; zero for never.
func (s *sightings) first(model, epoch string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seen := range s.byModel[model] {
		if seen.epoch == epoch {
			return seen.at
		}
	}
	return time.Time{}
}

package applier

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	consultemplate "github.com/weirhq/weir/consul-template"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/proc"
)

// stager keeps consul-template running.
type stager struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	running *parts.Running
}

func newStager(cfg Config) *stager { return &stager{cfg: cfg, log: cfg.Logger} }

// run supervises consul-template until ctx ends. One that a killed predecessor has left is ended first.
func (s *stager) run(ctx context.Context) error {
	config, err := consultemplate.Write(s.cfg.path("consul-template"), s.cfg.path("staged"), s.cfg.ConsulAddr)
	if err != nil {
		return err
	}
	record := s.cfg.path("consul-template", "process.json")
	left, err := proc.Load(record)
	if err != nil {
		s.log.Warn("a consul-template of before may still run", "err", err)
	}
	for _, p := range left {
		if err := p.Kill(ctx, syscall.SIGTERM, time.Second); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(s.cfg.path("consul-template", "consul-template.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open consul-template's log: %w", err)
	}
	defer out.Close()
	return parts.Supervise(ctx, parts.Child{
		Name: "consul-template", Path: s.cfg.ConsulTemplate, Args: []string{"-config", config}, Log: out,
		StopSignal: syscall.SIGTERM, StopTimeout: 2 * time.Second, StateFile: record,
		Restart: true, Logger: s.log, OnStart: s.started,
	})
}

func (s *stager) started(r *parts.Running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = r
}

// restart ends consul-template, also one that hangs; the supervision starts it again.
func (s *stager) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	if err := s.running.Signal(syscall.SIGKILL); err != nil {
		s.log.Warn("consul-template is not ended", "err", err)
	}
}

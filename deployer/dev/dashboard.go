package dev

import (
	"context"
	"fmt"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/serve"
)

// startDashboard runs the daemon in this process, where it is wanted.
func (s *system) startDashboard(ctx context.Context) error {
	if s.cfg.Dashboard == "" {
		return nil
	}
	cfg := serve.Config{Listen: s.cfg.Dashboard, Log: s.cfg.Logger}
	var err error
	if cfg.Nomad, err = nomad.New(s.addr.Nomad); err != nil {
		return err
	}
	if cfg.Consul, err = consul.New(s.addr.Consul); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- serve.Run(running, cfg, func(url string) { ready <- url }) }()
	select {
	case s.addr.Dashboard = <-ready:
	case err := <-ended:
		stop()
		return fmt.Errorf("start the dashboard: %w", err)
	}
	s.stopDashboard = func() error { stop(); return <-ended }
	s.say("dashboard %s", s.addr.Dashboard)
	return nil
}

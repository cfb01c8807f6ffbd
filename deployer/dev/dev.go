// Package dev runs the whole of Weir on one machine, to try it out and to test: Consul, Nomad (the one that NOMAD_ADDR
// names, else `nomad agent -dev` from PATH, else the embedded agent) and an ingress.
package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/weirhq/weir/internal/devnomad/client"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/proc"
)

// Config says where and how to run.
type Config struct {
	Dir        string    // folder for state and logs
	Listen     string    // host:port of the ingress
	ConsulPort int       // 0 for a free one
	NomadPort  int       // 0 for a free one
	Dashboard  string    // host:port of the dashboard; "": none
	Deployer   string    // path of the deployer binary, which the ingress job runs
	Embedded   bool      // use the embedded agent even where there is a Nomad
	Tied       bool      // what is started dies with this process, even if that is killed: for tests
	Progress   io.Writer // told of each thing that is started or built
	Logger     *slog.Logger
}

// Addresses are where the parts of a running system answer.
type Addresses struct {
	Consul    string       `json:"consul"`    // host:port
	Nomad     string       `json:"nomad"`     // URL
	Ingress   string       `json:"ingress"`   // URL
	Dashboard string       `json:"dashboard"` // URL; "": none
	Process   proc.Process `json:"process"`   // who runs it
}

// Environ are the variables by which the deployer, nomad and consul find the system.
func (a Addresses) Environ() []string {
	return []string{"CONSUL_HTTP_ADDR=" + a.Consul, "NOMAD_ADDR=" + a.Nomad}
}

func (c Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir}, elem...)...)
}

const addressFile = "dev.json"

// Running returns the addresses of the system that runs in a folder, or false.
func Running(dir string) (Addresses, bool, error) {
	var a Addresses
	b, err := os.ReadFile(filepath.Join(dir, addressFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("read what runs in %s: %w", dir, err)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, false, fmt.Errorf("read %s: %w; delete it if nothing runs", filepath.Join(dir, addressFile), err)
	}
	return a, a.Process.Alive(), nil
}

// Parts finds or builds everything that Run needs, with progress, so that Run itself is quick.
func Parts(ctx context.Context, progress io.Writer) error {
	for _, p := range []parts.Part{parts.Nginx, parts.ConsulTemplate, parts.Consul} {
		path, err := parts.Find(ctx, p, parts.Options{Progress: progress})
		if err != nil {
			return err
		}
		fmt.Fprintf(progress, "  %-16s %s\n", p.Name, path)
	}
	return nil
}

// Run starts the system, calls ready with its addresses, and stops it when ctx ends.
func Run(ctx context.Context, cfg Config, ready func(Addresses)) (err error) {
	if a, alive, err := Running(cfg.Dir); err != nil {
		return err
	} else if alive {
		return fmt.Errorf("a system runs in %s already (process %d): `deployer dev down` ends it", cfg.Dir, a.Process.PID)
	}
	if err := sweep(ctx, cfg.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.path("run"), 0o755); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	s := &system{cfg: cfg}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	if err := s.start(ctx); err != nil {
		return err
	}
	ready(s.addr)
	var consulEnded <-chan struct{}
	if s.consul != nil {
		consulEnded = s.consul.Done()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-consulEnded:
		return fmt.Errorf("run: Consul ended; its log is %s", cfg.path("consul.log"))
	case err := <-s.nomadEnded:
		return fmt.Errorf("run: Nomad ended: %w", err)
	}
}

// Down ends the system that runs in a folder, and whatever a killed one has left behind. It says whether there was
// anything.
func Down(ctx context.Context, dir string) (bool, error) {
	a, alive, err := Running(dir)
	if err != nil {
		return false, err
	}
	if alive {
		// It stops its parts in order, each within its own bound.
		if err := a.Process.Kill(ctx, stopSignal, time.Minute); err != nil {
			return true, err
		}
	}
	return alive, sweep(ctx, dir)
}

// sweep ends what a killed system has left running in a folder, and removes its state. Logs stay.
func sweep(ctx context.Context, dir string) error {
	left, err := proc.Load(filepath.Join(dir, "run", "*.json"))
	if err != nil {
		return err
	}
	tasks, err := client.Leftovers(filepath.Join(dir, "nomad"))
	if err != nil {
		return err
	}
	for _, p := range append(left, tasks...) {
		if err := p.Kill(ctx, stopSignal, 5*time.Second); err != nil {
			return fmt.Errorf("end what an earlier system left running: %w", err)
		}
	}
	for _, name := range []string{addressFile, "run", "nomad", "ingress"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove the state of an earlier system: %w", err)
		}
	}
	return nil
}

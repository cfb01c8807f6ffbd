// Package devnomad is an agent that behaves like Nomad 1.6 on one machine: it speaks the part of Nomad's HTTP API that
// a deployer needs, with Nomad's deployment semantics, timings and texts, runs raw_exec tasks as real processes and
// registers their services in a real Consul. It is for trying out and for tests; production is a Nomad cluster.
//
// The way of a change: a handler (http_*.go) writes a job and an evaluation to the store; the agent's loop makes a plan
// for it (reconcile.go) and applies it (schedule.go); the client runs it (clientside.go) and says how it goes; the
// watcher (watcher.go) judges running deployments by that and writes further evaluations.
package devnomad

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// Config says where an agent listens and works.
type Config struct {
	Addr       string // host:port to listen on; port 0 takes a free one
	ConsulAddr string // host:port of the Consul agent, "" for none
	DataDir    string // tasks and their logs go here
	Logger     *slog.Logger
	NodeName   string // default: the host's name
	TieTasks   bool   // tasks die with this process even if it is killed, which Nomad's don't: for tests
}

// Agent is a Nomad server and client in one.
type Agent struct {
	log      *slog.Logger
	listener net.Listener
	store    *store
	client   *client.Client
	runner   runner
	wake     chan struct{}
	stopping chan struct{} // closed when the agent stops: ends long requests

	// The fields below belong to the loop.
	batches  map[string]time.Time // deployment → when its gathered evaluation is due
	waiting  map[string][]string  // allocation → those that start when it has ended
	started  map[string]bool
	attached map[string]time.Time // when an allocation was last moved in place
}

// stopTimeout bounds how long Run waits for tasks when it ends.
const stopTimeout = 30 * time.Second

// New returns an agent that listens already and serves with Run.
func New(cfg Config) (*Agent, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.NodeName == "" {
		cfg.NodeName, _ = os.Hostname()
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Addr, err)
	}
	node := newNode(cfg.NodeName, listener.Addr().String())
	c, err := client.New(client.Config{
		DataDir: cfg.DataDir, ConsulAddr: cfg.ConsulAddr, Logger: cfg.Logger, NodeID: node.ID, NodeName: node.Name,
		Attributes: node.Attributes, TieTasks: cfg.TieTasks,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the client: %w", err), listener.Close())
	}
	a := newAgent(c, node, cfg.Logger)
	a.client, a.listener = c, listener
	return a, nil
}

func newAgent(r runner, node *api.Node, log *slog.Logger) *Agent {
	a := &Agent{
		log: log, store: newStore(time.Now), runner: r, wake: make(chan struct{}, 1), stopping: make(chan struct{}),
		batches: map[string]time.Time{}, waiting: map[string][]string{}, started: map[string]bool{},
		attached: map[string]time.Time{},
	}
	_, _ = a.store.write("NodeRegistration", func(tx *txn) error {
		tx.putNode(node)
		return nil
	})
	return a
}

// Addr returns the host:port that the agent listens on.
func (a *Agent) Addr() string { return a.listener.Addr().String() }

// Run serves until ctx ends, then stops all tasks their ordinary way and returns.
func (a *Agent) Run(ctx context.Context) error {
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	group, failed := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", a.Addr(), err)
		}
		return nil
	})
	loop, endLoop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { a.loop(loop); return nil })
	<-failed.Done() // ctx has ended, or serving has
	close(a.stopping)
	err := server.Close()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, a.runner.Close(stop))
	endLoop()
	return errors.Join(err, group.Wait())
}

// loop is the only goroutine that schedules, watches deployments and talks to the client.
func (a *Agent) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	updates := a.runner.Updates()
	for {
		next := a.settle()
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(next.Sub(a.store.now()), 0))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer.C:
		case u, open := <-updates:
			if !open {
				updates = nil
				continue
			}
			a.applyUpdate(u)
		}
	}
}

// settle does everything that is due, and returns when something is next.
func (a *Agent) settle() time.Time {
	for {
		worked, next := a.scheduleNext()
		a.carryOut()
		if worked {
			continue
		}
		watch := a.watchDeployments()
		var due *evaluation
		a.store.read(func() { due, _ = a.store.dueEval() })
		if due == nil {
			return earlier(next, watch)
		}
	}
}

// write is a transaction after which the loop looks for work.
func (a *Agent) write(kind string, fn func(*txn) error) (uint64, error) {
	index, err := a.store.write(kind, fn)
	if err == nil {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	return index, err
}

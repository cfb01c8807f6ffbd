// Package devnomad is an agent that behaves like Nomad 1.6: it speaks the part of Nomad's HTTP API that a deployer
// needs, with Nomad's deployment semantics, timings and texts, runs tasks as real processes on one node or several and
// registers their services in a real Consul. It is for trying out and for tests; production is a Nomad cluster.
//
// The way of a change: a handler (http_*.go) writes a job and an evaluation to the store; the agent's loop makes a plan
// for it (reconcile.go), finds places (placement.go) and applies it (schedule.go); the nodes hear of it (feed.go), run
// it (nodeagent.go) and say how it goes (clientside.go); the watcher (watcher.go) judges running deployments by that and
// writes further evaluations. What is written is on disk before anybody sees it (persist.go).
package devnomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// Config says where an agent listens and works.
type Config struct {
	Addr       string // host:port to listen on; port 0 takes a free one. Other nodes need one that they can reach
	ConsulAddr string // host:port of the Consul agent, "" for none
	DataDir    string // tasks, their logs and the state of the server; "" for a server with its state in memory only
	Logger     *slog.Logger
	NodeName   string // default: the host's name
	Token      string // "" for none; else requests without it are denied, as with Nomad's ACLs
	Limits     bool   // raw_exec tasks are held to their resources, see client.Config
	DockerPull bool   // docker tasks may pull images that are missing here
	TieTasks   bool   // tasks die with this process even if it is killed, which Nomad's don't: for tests

	// Clients is how many nodes run in this process: 0 means one, a negative number none. The first has the name
	// NodeName, the others <NodeName>-2 and so on.
	Clients int
	Bind    string // IP address that the ports of these nodes' tasks have; default 127.0.0.1

	// HeartbeatTTL is how often nodes must be heard of; one is down after two to three times that. Default 10s, as in
	// Nomad.
	HeartbeatTTL time.Duration

	// Keep leaves the tasks running when the agent ends as it should, as a real client agent does; the next agent with
	// the same DataDir goes on with them. Otherwise they are stopped. Tasks of an agent that was killed are always gone
	// on with.
	Keep bool
}

// Agent is a Nomad server and its nodes in one.
type Agent struct {
	log          *slog.Logger
	name         string
	token        string
	heartbeatTTL time.Duration
	listener     net.Listener
	store        *store
	client       *client.Client // of the node that the handlers of /v1/client speak for; nil if there is none here
	nodes        []*localNode
	wake         chan struct{}
	stopping     chan struct{} // closed when the agent stops: ends long requests

	// The fields below belong to the loop.
	batches  map[string]time.Time // deployment → when its gathered evaluation is due
	drainDue time.Time            // when what may leave draining nodes does; zero while nothing may
}

// localNode is a node in this process.
type localNode struct {
	*nodeAgent
	client *client.Client
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
	a := newAgent(cfg)
	a.listener = listener
	if cfg.DataDir != "" {
		if err := a.store.openDisk(cfg.DataDir, cfg.Logger); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	if cfg.Clients == 0 {
		cfg.Clients = 1
	}
	for i := range max(cfg.Clients, 0) {
		if err := a.addNode(cfg, i); err != nil {
			return nil, errors.Join(err, listener.Close(), a.closeNodes(), a.store.closeDisk())
		}
	}
	_, err = a.write("NodeEvaluate", func(tx *txn) error { tx.takeUp(); return nil })
	return a, err
}

func newAgent(cfg Config) *Agent {
	return &Agent{
		log: cfg.Logger, name: cfg.NodeName, token: cfg.Token, heartbeatTTL: cmp.Or(cfg.HeartbeatTTL, defaultTTL),
		store: newStore(time.Now), wake: make(chan struct{}, 1), stopping: make(chan struct{}),
		batches: map[string]time.Time{},
	}
}

// addNode starts the client of the i-th node in this process.
func (a *Agent) addNode(cfg Config, i int) error {
	name, dir := cfg.NodeName, cfg.DataDir
	if i > 0 {
		name = fmt.Sprintf("%s-%d", cfg.NodeName, i+1)
		dir = filepath.Join(cfg.DataDir, name)
	}
	node := newNode(name, a.Addr(), cmp.Or(cfg.Bind, loopback))
	if err := keepID(node, dir); err != nil {
		return err
	}
	c, err := newClient(node, client.Config{
		DataDir: dir, ConsulAddr: cfg.ConsulAddr, Logger: cfg.Logger, Limits: cfg.Limits, DockerPull: cfg.DockerPull,
		TieTasks: cfg.TieTasks,
	})
	if err != nil {
		return err
	}
	if a.client == nil {
		a.client = c
	}
	agent := newNodeAgent(node, a, c, beatsFor(a.heartbeatTTL), cfg.Logger)
	agent.keep = cfg.Keep
	a.nodes = append(a.nodes, &localNode{agent, c})
	return a.register(context.Background(), node)
}

// newClient returns the client that runs the tasks of a node.
func newClient(node *api.Node, cfg client.Config) (*client.Client, error) {
	cfg.NodeID, cfg.NodeName, cfg.NodeClass, cfg.Datacenter = node.ID, node.Name, node.NodeClass, node.Datacenter
	cfg.Attributes, cfg.Meta = node.Attributes, node.Meta
	c, err := client.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("start the client of node %s: %w", node.Name, err)
	}
	offerDisk(node, cfg.DataDir)
	return c, nil
}

// closeNodes closes clients that have not run.
func (a *Agent) closeNodes() (err error) {
	for _, n := range a.nodes {
		err = errors.Join(err, n.client.Close(context.Background()))
	}
	return err
}

// Addr returns the host:port that the agent listens on.
func (a *Agent) Addr() string { return a.listener.Addr().String() }

// nodeID is the ID of the first node in this process, "" if there is none.
func (a *Agent) nodeID() string {
	if len(a.nodes) == 0 {
		return ""
	}
	return a.nodes[0].node.ID
}

// Run serves until ctx ends, then stops all tasks of its own nodes their ordinary way, unless they are to be kept, and
// returns.
func (a *Agent) Run(ctx context.Context) error {
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	group, failed := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(server, a.listener) })
	loop, endLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer endLoop()
	group.Go(func() error { a.loop(loop); return nil })
	var nodes errgroup.Group
	for _, n := range a.nodes {
		nodes.Go(func() error { return n.run(failed) })
	}
	<-failed.Done() // ctx has ended, or serving has
	close(a.stopping)
	err := errors.Join(server.Close(), nodes.Wait())
	endLoop()
	return errors.Join(err, group.Wait(), a.store.closeDisk())
}

func serve(server *http.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}

// loop is the only goroutine that schedules, and watches deployments, drains and heartbeats.
func (a *Agent) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
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
		}
	}
}

// settle does everything that is due, and returns when something is next.
func (a *Agent) settle() time.Time {
	for {
		worked, next := a.scheduleNext()
		if worked {
			continue
		}
		next = earlier(next, a.watchHeartbeats())
		next = earlier(next, a.watchDrains())
		next = earlier(next, a.watchDeployments())
		var due *evaluation
		a.store.read(func() { due, _ = a.store.dueEval() })
		if due == nil {
			return next
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

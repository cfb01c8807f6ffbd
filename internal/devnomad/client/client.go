// Package client is the task-running half of the embedded Nomad agent: it runs allocations as real processes or Docker
// containers, registers their services in a real Consul, and judges their health for deployments, with the timings and
// texts of Nomad 1.6. Tasks outlive a client that is killed; the next one on its data folder takes them over (restore.go).
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"
)

// ErrUnknownAlloc is wrapped where an allocation is named that the client does not have.
var ErrUnknownAlloc = errors.New("unknown allocation")

// ErrClosed is wrapped where a client is asked to run something after Close.
var ErrClosed = errors.New("the client is closed")

// Config says where a client works.
type Config struct {
	DataDir    string // allocation folders go to DataDir/alloc, what is kept of their states to DataDir/client.db
	ConsulAddr string // host:port of the local Consul agent; "" for none, then a Consul service fails its allocation
	Logger     *slog.Logger
	NodeID     string
	NodeName   string

	NodeClass  string
	Datacenter string            // default "dc1"
	Attributes map[string]string // for ${attr.…}, added to the few that the client knows
	Meta       map[string]string // for ${meta.…}

	// Limits puts each task into a control group of its own (of version 2, or 1 where the system keeps the controllers
	// there), which holds it to its memory, shares the CPU by its cpu value, and ends with everything in it. It wants
	// root; what the system does not give is told in the log and done without. Off by default: Nomad's raw_exec has no
	// limits either before 1.8.
	Limits bool

	// DockerPull allows docker tasks to pull images that are missing on this machine.
	DockerPull bool

	// TieTasks ends the tasks with this process, also when it is killed. Nomad's live on; tests want it.
	TieTasks bool
}

// Client runs allocations. Its methods may be called from many goroutines.
type Client struct {
	cfg     Config
	log     *slog.Logger
	consul  *consul // nil without Consul
	store   *store
	cgroups *cgroups // nil without limits
	updates *publisher
	force   context.Context // ends when stopping must not wait any longer
	forceBy context.CancelFunc
	loops   *errgroup.Group
	stop    context.CancelFunc // ends the loops

	mu     sync.Mutex
	closed bool
	allocs map[string]*alloc
}

// New returns a client that runs nothing yet. It must be closed.
func New(cfg Config) (*Client, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Datacenter == "" {
		cfg.Datacenter = "dc1"
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("open data folder %s: %w", cfg.DataDir, err)
	}
	cfg.DataDir = dir
	c := &Client{cfg: cfg, log: cfg.Logger, updates: newPublisher(), allocs: map[string]*alloc{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if c.store, err = openStore(dir, cfg.Logger); err != nil {
		return nil, err
	}
	if cfg.ConsulAddr != "" {
		if c.consul, err = newConsul(cfg.ConsulAddr, cfg.Logger, c.ownsDead); err != nil {
			return nil, errors.Join(err, c.store.close())
		}
	}
	if cfg.Limits {
		c.cgroups = openCgroups(dir, c.log)
	}
	c.start()
	return c, nil
}

// start starts what runs for the whole life of the client.
func (c *Client) start() {
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.force, c.forceBy = context.WithCancel(context.Background())
	c.loops, ctx = errgroup.WithContext(ctx)
	c.loops.Go(func() error { c.updates.run(ctx); return nil })
	c.loops.Go(func() error { c.store.run(ctx); return nil })
	c.loops.Go(func() error { c.rotateLogs(ctx); return nil })
	if c.consul != nil {
		c.loops.Go(func() error { c.consul.sync(ctx); return nil })
		c.loops.Go(func() error { c.consul.watchChecks(ctx); return nil })
	}
}

// Run starts an allocation. What goes wrong with it afterwards is told by Updates.
func (c *Client) Run(spec *api.Allocation) error {
	a, err := newAlloc(c, spec)
	if err == nil {
		err = a.inherit()
	}
	if err != nil {
		return err
	}
	return c.begin(a)
}

func (c *Client) begin(a *alloc) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("run allocation %s: %w", a.id, ErrClosed)
	}
	if _, exists := c.allocs[a.id]; exists {
		return fmt.Errorf("run allocation %s: it already runs; change it by Update", a.id)
	}
	c.allocs[a.id] = a
	a.start()
	return nil
}

// Update brings a changed job, deployment or canary state to a running allocation: its services change in place and the
// watch of its health starts anew for a new deployment. Its tasks run on.
func (c *Client) Update(spec *api.Allocation) error {
	a, err := c.alloc(spec.ID)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return a.update(spec)
}

// Stop takes an allocation down and returns at once: its services leave Consul, and after shutdown_delay its tasks get
// their kill signal. An unknown allocation is no error: it is down already.
func (c *Client) Stop(allocID string) {
	if a, err := c.alloc(allocID); err == nil {
		a.stop()
	}
}

// Restart restarts one task, or all with task "", outside the restart policy.
func (c *Client) Restart(allocID, task string) error {
	a, err := c.alloc(allocID)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return a.restart(task, restartRequest{reason: "User requested task to restart"})
}

// Signal sends a signal such as "SIGHUP" to one task, or all with task "".
func (c *Client) Signal(allocID, task, sig string) error {
	a, err := c.alloc(allocID)
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	return a.signal(task, sig)
}

// Updates delivers what changed, the changes of one allocation in order, those within 200 ms as one. Somebody must read
// it; it is closed at the end of Close.
func (c *Client) Updates() <-chan Update { return c.updates.out }

// Remove forgets an allocation that has ended, be it with an earlier client, and deletes its folder.
func (c *Client) Remove(allocID string) error {
	root, err := c.Folder(allocID)
	if a, unknown := c.alloc(allocID); unknown == nil {
		if !c.Ended(a.id) {
			return fmt.Errorf("remove allocation %s: it still runs; stop it first", allocID)
		}
		c.mu.Lock()
		delete(c.allocs, allocID)
		c.mu.Unlock()
	} else if err != nil || !c.ownsDead(allocID) {
		return fmt.Errorf("remove: %w", unknown)
	}
	return errors.Join(c.store.remove(allocID), allocDir{root}.remove())
}

// Close stops every allocation and returns when all are gone. When ctx ends first, what still runs is killed at once.
func (c *Client) Close(ctx context.Context) error {
	return c.end(ctx, func() {
		allocs := c.all()
		defer context.AfterFunc(ctx, c.forceBy)()
		for _, a := range allocs {
			a.stop()
		}
		for _, a := range allocs {
			<-a.done
		}
	}, func() { c.forceBy(); c.cgroups.close() })
}

// Leave ends the client but neither its tasks nor their services: a client of a later process with the same data folder
// goes on with them by Restore. This process should end soon after, since it is no more there for what becomes of them.
func (c *Client) Leave(ctx context.Context) error { return c.end(ctx, func() {}, func() {}) }

// end ends the client's own work, once: after what comes before it, and with what comes after.
func (c *Client) end(ctx context.Context, before, after func()) error {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if already {
		return nil
	}
	before()
	if c.consul != nil {
		c.consul.flush(ctx)
	}
	c.updates.close(ctx)
	c.stop()
	after()
	return errors.Join(c.loops.Wait(), c.store.close())
}

// Ended reports whether an allocation that this client has run is over.
func (c *Client) Ended(allocID string) bool {
	a, err := c.alloc(allocID)
	if err != nil {
		return false
	}
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

func (c *Client) all() []*alloc {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.allocs))
}

func (c *Client) alloc(id string) (*alloc, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, found := c.allocs[id]
	if !found {
		return nil, fmt.Errorf("find allocation %s: %w", id, ErrUnknownAlloc)
	}
	return a, nil
}

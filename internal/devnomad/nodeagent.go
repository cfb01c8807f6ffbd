package devnomad

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// runner runs allocations; a client.Client does.
type runner interface {
	Run(alloc *api.Allocation) error
	Restore(alloc *api.Allocation) error // Run, or go on with what an earlier process has started
	Update(alloc *api.Allocation) error
	Stop(allocID string)
	Remove(allocID string) error
	Updates() <-chan client.Update
	Close(ctx context.Context) error // stops everything; Updates is closed at its end
	Leave(ctx context.Context) error // ends, and lets everything run
}

// nodeServer is the server as a node sees it: the agent itself, or another machine's over HTTP.
type nodeServer interface {
	register(ctx context.Context, n *api.Node) error
	beat(ctx context.Context, nodeID string) error // errNoNode if the node must register again
	pull(ctx context.Context, nodeID, epoch string, after uint64) (assignment, error)
	push(ctx context.Context, nodeID string, updates []allocUpdate) error
}

var errNoNode = notFound("node not found")

// allocUpdate is what a client says of an allocation, with the deployment that its health is for.
type allocUpdate struct {
	client.Update
	DeploymentID string
}

// nodeAgent connects one client with its server, as Nomad's client agent does: it registers the node, sends heartbeats,
// pulls allocations and pushes what becomes of them. Without its server the tasks run on, and nothing is lost: what the
// client says waits here.
type nodeAgent struct {
	log    *slog.Logger
	node   *api.Node
	server nodeServer
	runner runner
	beats  time.Duration    // between heartbeats
	known  func(assignment) // hears of every assignment
	keep   bool             // the tasks run on when the agent ends

	out outbox

	mu       sync.Mutex
	allocs   map[string]*api.Allocation // as the runner has them
	attached map[string]time.Time       // when one was moved into another deployment
}

// retryEvery is how long a node waits before it calls a server again that did not answer.
const retryEvery = time.Second

func newNodeAgent(n *api.Node, server nodeServer, r runner, beats time.Duration, log *slog.Logger) *nodeAgent {
	return &nodeAgent{
		log: log, node: n, server: server, runner: r, beats: beats, known: func(assignment) {},
		out: newOutbox(), allocs: map[string]*api.Allocation{}, attached: map[string]time.Time{},
	}
}

// run works until ctx ends; then the tasks are stopped unless they are to be kept, and the server hears of it if it
// answers in time.
func (n *nodeAgent) run(ctx context.Context) error {
	ending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var outward errgroup.Group
	outward.Go(func() error { n.collect(); return nil })
	outward.Go(func() error { n.pushUpdates(ending); return nil })
	inward, working := errgroup.WithContext(ctx)
	inward.Go(func() error { n.heartbeats(working); return nil })
	inward.Go(func() error { n.pullAllocs(working); return nil })
	_ = inward.Wait() // they end with ctx
	stop, stopped := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer stopped()
	end := n.runner.Close
	if n.keep {
		end = n.runner.Leave
	}
	err := end(stop)
	defer context.AfterFunc(stop, cancel)()
	return errors.Join(err, outward.Wait())
}

// heartbeats registers the node, and keeps it alive in the server's eyes.
func (n *nodeAgent) heartbeats(ctx context.Context) {
	registered, failing := false, false
	for {
		var err error
		if registered {
			err = n.server.beat(ctx, n.node.ID)
		} else {
			err = n.server.register(ctx, n.node)
		}
		registered = registered && !errors.Is(err, errNoNode) || err == nil
		if ctx.Err() == nil && failing != (err != nil) {
			failing = err != nil
			n.log.Warn("heartbeat", "node", n.node.Name, "failing", failing, "err", err)
		}
		wait := n.beats
		if err != nil {
			wait = min(wait, retryEvery)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pullAllocs brings the runner to what the server wants.
func (n *nodeAgent) pullAllocs(ctx context.Context) {
	var at assignment
	first := true
	for {
		next, err := n.server.pull(ctx, n.node.ID, at.Epoch, at.Index)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // heartbeats tell
			if !pause(ctx, retryEvery) {
				return
			}
		default:
			n.apply(next, first)
			at, first = next, false
		}
	}
}

// apply carries out an assignment. In the first one there may be allocations that an earlier process has left running.
func (n *nodeAgent) apply(d assignment, first bool) {
	n.known(d)
	wanted := map[string]bool{}
	for _, a := range d.Allocs {
		wanted[a.ID] = true
		n.applyAlloc(a, first)
	}
	for _, id := range d.Gone {
		n.forget(id)
	}
	if !d.Full {
		return
	}
	for _, a := range d.Ended {
		wanted[a.ID] = true
	}
	for id := range n.allocs {
		if !wanted[id] {
			n.runner.Stop(id) // its folder stays; a later assignment may tell to remove it
		}
	}
}

func (n *nodeAgent) applyAlloc(a *api.Allocation, first bool) {
	have := n.allocs[a.ID]
	n.mu.Lock()
	n.allocs[a.ID] = a
	if have != nil && have.DeploymentID != a.DeploymentID {
		n.attached[a.ID] = time.Now()
	}
	n.mu.Unlock()
	var err error
	switch {
	case have != nil && serverTerminal(a):
		n.runner.Stop(a.ID)
	case have != nil && revisionOf(have) != revisionOf(a):
		err = n.runner.Update(a)
	case have != nil:
	case first && (!clientTerminal(a) || serverTerminal(a)):
		err = n.runner.Restore(a)
	case clientTerminal(a):
	case serverTerminal(a):
		n.out.add(allocUpdate{Update: client.Update{
			AllocID: a.ID, ClientStatus: api.AllocClientStatusComplete, ClientDescription: "All tasks have completed",
		}})
	default:
		err = n.runner.Run(a)
	}
	if err != nil {
		n.log.Error("client refused allocation", "alloc", a.ID, "err", err)
		n.out.add(allocUpdate{DeploymentID: a.DeploymentID, Update: client.Update{
			AllocID: a.ID, ClientStatus: api.AllocClientStatusFailed, ClientDescription: err.Error(), Healthy: new(false),
		}})
	}
}

func (n *nodeAgent) forget(id string) {
	n.mu.Lock()
	delete(n.allocs, id)
	delete(n.attached, id)
	n.mu.Unlock()
	if err := n.runner.Remove(id); err != nil {
		n.log.Debug("allocation folder stays", "alloc", id, "err", err)
	}
}

// collect takes what the runner says until it is closed. Health that was decided before the allocation joined its
// present deployment does not count for that.
func (n *nodeAgent) collect() {
	defer n.out.close()
	for u := range n.runner.Updates() {
		out := allocUpdate{Update: u}
		n.mu.Lock()
		if a := n.allocs[u.AllocID]; a != nil {
			out.DeploymentID = a.DeploymentID
		}
		if at := n.attached[u.AllocID]; !u.HealthAt.IsZero() && u.HealthAt.Before(at) {
			out.Healthy = nil
		}
		n.mu.Unlock()
		n.out.add(out)
	}
}

// pushUpdates sends what is in the outbox until that is closed and empty, or ctx ends.
func (n *nodeAgent) pushUpdates(ctx context.Context) {
	for {
		updates, more := n.out.take(ctx)
		if len(updates) > 0 {
			if err := n.server.push(ctx, n.node.ID, updates); err != nil {
				n.out.putBack(updates)
				if !pause(ctx, retryEvery) {
					return
				}
			}
			continue
		}
		if !more {
			return
		}
	}
}

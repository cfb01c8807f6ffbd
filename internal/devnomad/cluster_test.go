package devnomad

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// cluster is an agent with several nodes, on a fake clock.
type cluster struct {
	*Agent
	t     *testing.T
	nodes map[string]*clusterNode
	join  func(name string)
}

type clusterNode struct {
	*fakeRunner
	id  string
	cut atomic.Bool
}

var errCut = errors.New("cut off")

// link is a nodeServer that can be cut off.
type link struct {
	*Agent
	node *clusterNode
}

func (l link) check() error {
	if l.node.cut.Load() {
		return errCut
	}
	return nil
}

func (l link) register(ctx context.Context, n *api.Node) error {
	return errors.Join(l.check(), l.Agent.register(ctx, n))
}

func (l link) beat(ctx context.Context, id string) error {
	if err := l.check(); err != nil {
		return err
	}
	return l.Agent.beat(ctx, id)
}

func (l link) pull(ctx context.Context, id, epoch string, after uint64) (assignment, error) {
	out, err := l.Agent.pull(ctx, id, epoch, after)
	return out, errors.Join(l.check(), err)
}

func (l link) push(ctx context.Context, id string, updates []allocUpdate) error {
	if err := l.check(); err != nil {
		return err
	}
	return l.Agent.push(ctx, id, updates)
}

func inCluster(t *testing.T, names []string, test func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{Agent: newAgent(Config{Logger: discard}), t: t, nodes: map[string]*clusterNode{}}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { c.loop(ctx) })
		c.join = func(name string) {
			n := &clusterNode{fakeRunner: &fakeRunner{out: make(chan client.Update)}}
			agent := fakeNode(c.Agent, name, n.fakeRunner)
			n.id, agent.server = agent.node.ID, link{c.Agent, n}
			c.nodes[name] = n
			running.Go(func() { _ = agent.run(ctx) })
			synctest.Wait()
		}
		for _, name := range names {
			c.join(name)
		}
		test(c)
		cancel()
		running.Wait()
	})
}

func (c *cluster) node(name string) *api.Node {
	var n *api.Node
	c.store.read(func() { n = c.store.nodes[c.nodes[name].id] })
	return n
}

func (c *cluster) alloc(id string) *api.Allocation {
	var a *api.Allocation
	c.store.read(func() { a = c.store.allocs[id] })
	return a
}

// live are the allocations that are to run and that keep says; on a node, or with "" on all.
func (c *cluster) live(name string, keep func(*api.Allocation) bool) (out []*api.Allocation) {
	c.store.read(func() {
		for _, a := range values(c.store.allocs, compareAllocs) {
			if !terminal(a) && (name == "" || a.NodeID == c.nodes[name].id) && keep(a) {
				out = append(out, a)
			}
		}
	})
	return out
}

func anyAlloc(*api.Allocation) bool { return true }

// heal makes everything that is to run healthy.
func (c *cluster) heal() {
	for name, n := range c.nodes {
		if !n.cut.Load() {
			started := n.runs()
			n.healthy(idsOf(c.live(name, func(a *api.Allocation) bool {
				return healthOf(a) == nil && slices.Contains(started, a.ID)
			}))...)
		}
	}
	synctest.Wait()
}

func idsOf(allocs []*api.Allocation) (ids []string) {
	for _, a := range allocs {
		ids = append(ids, a.ID)
	}
	return ids
}

func (c *cluster) change(do func(tx *txn)) {
	c.t.Helper()
	if _, err := c.write("test", func(tx *txn) error { do(tx); return nil }); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

func (c *cluster) register(job *api.Job) {
	c.t.Helper()
	prepare(job, "")
	c.change(func(tx *txn) {
		if _, err := tx.register(registration{Job: job}); err != nil {
			c.t.Error(err)
		}
	})
}

package devnomad

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// The agent is the nodeServer of the nodes in its own process; others come to it over HTTP (http_nodeagent.go).
var _ nodeServer = (*Agent)(nil)

// defaultTTL is how often Nomad wants to hear of its nodes.
const defaultTTL = 10 * time.Second

// beatsFor is how often a node sends a heartbeat, given that.
func beatsFor(ttl time.Duration) time.Duration { return ttl / 5 }

// pullWait bounds how long a node waits for news.
const pullWait = 10 * time.Second

// register makes a node known and ready. One that comes back keeps whether it is eligible, and may find its allocations
// replaced.
func (a *Agent) register(_ context.Context, n *api.Node) error {
	_, err := a.write("NodeRegistration", func(tx *txn) error {
		tx.heard(n.ID, a.heartbeatTTL)
		fresh := *n
		if before := tx.nodes[n.ID]; before != nil {
			fresh.CreateIndex, fresh.Events = before.CreateIndex, before.Events
			fresh.SchedulingEligibility, fresh.Drain = before.SchedulingEligibility, before.Drain
			fresh.DrainStrategy, fresh.LastDrain = before.DrainStrategy, before.LastDrain
			if before.Status == api.NodeStatusReady {
				tx.putNode(&fresh)
				return nil
			}
		}
		tx.nodeReady(&fresh)
		return nil
	})
	return err
}

// beat keeps a node alive.
func (a *Agent) beat(_ context.Context, nodeID string) error {
	var err error
	var down bool
	a.store.read(func() {
		n := a.store.nodes[nodeID]
		if n == nil {
			err = errNoNode
			return
		}
		down = n.Status == api.NodeStatusDown
		a.store.heard(nodeID, a.heartbeatTTL)
	})
	if !down {
		return err
	}
	_, err = a.write("NodeStreamEvent", func(tx *txn) error {
		n := *tx.nodes[nodeID]
		n.Status = api.NodeStatusReady
		tx.note(&n, "Cluster", "Node reregistered by heartbeat")
		tx.nodeReady(&n)
		return nil
	})
	return err
}

// heard notes a sign of life. A node is down when it has been silent for two to three TTLs: with Nomad's own 10 s that
// is what Nomad's 10 s of grace on a TTL of 10 to 20 s come to, measured from the last sign of life.
func (s *store) heard(nodeID string, ttl time.Duration) {
	s.silentAt[nodeID] = s.now().Add(2*ttl + rand.N(max(ttl*9/10, 1))) //nolint:gosec // no secret
}

// watchHeartbeats marks silent nodes as down, and returns when to look again.
func (a *Agent) watchHeartbeats() (next time.Time) {
	var silent []string
	a.store.read(func() {
		for id, n := range a.store.nodes {
			if n.Status == api.NodeStatusDown {
				continue
			}
			switch at, known := a.store.silentAt[id]; {
			case !known:
				a.store.heard(id, a.heartbeatTTL)
				next = earlier(next, a.store.silentAt[id])
			case at.After(a.store.now()):
				next = earlier(next, at)
			default:
				silent = append(silent, id)
			}
		}
	})
	for _, id := range silent {
		a.log.Warn("node down", "node", id)
		_, _ = a.store.write("NodeStreamEvent", func(tx *txn) error { tx.nodeDown(id); return nil })
	}
	return next
}

// pull waits until there is something new for a node.
func (a *Agent) pull(ctx context.Context, nodeID, epoch string, after uint64) (assignment, error) {
	timeout := time.NewTimer(pullWait)
	defer timeout.Stop()
	for {
		var out assignment
		var known bool
		var changed chan struct{}
		a.store.read(func() {
			changed = a.store.changed
			if known = a.store.nodes[nodeID] != nil; known {
				out = a.store.assignments(nodeID, epoch, after)
			}
		})
		if known && !out.empty() {
			return out, nil
		}
		select {
		case <-changed:
			continue
		case <-timeout.C:
		case <-a.stopping:
		case <-ctx.Done():
			return assignment{}, ctx.Err()
		}
		if !known {
			return assignment{}, errNoNode
		}
		return out, nil
	}
}

// push stores what a node says of its allocations, and has failed ones replaced.
func (a *Agent) push(_ context.Context, nodeID string, updates []allocUpdate) error {
	_, err := a.write("AllocationUpdated", func(tx *txn) error {
		for _, u := range updates {
			if before := tx.allocs[u.AllocID]; before != nil && before.NodeID == nodeID {
				tx.clientSays(before, u)
			}
		}
		if n := tx.nodes[nodeID]; n != nil {
			tx.emit("Node", n.ID, nil, func() any { return n }) // nothing of it has changed, but Nomad tells so, too
		}
		return nil
	})
	return err
}

func (tx *txn) clientSays(before *api.Allocation, u allocUpdate) {
	if clientTerminal(before) && before.ClientStatus == u.ClientStatus && serverTerminal(before) {
		return
	}
	after := merge(before, u)
	tx.putAlloc(after)
	job := tx.jobs[after.JobID]
	if job == nil || !failedAnew(before, after) {
		return
	}
	if _, eligible := nextReschedule(after); eligible && after.FollowupEvalID == "" {
		e := newEval(job, byFailure, "pending")
		e.JobModifyIndex = val(job.JobModifyIndex)
		tx.putEval(e)
	}
}

func failedAnew(before, after *api.Allocation) bool {
	return after.ClientStatus == api.AllocClientStatusFailed && before.ClientStatus != api.AllocClientStatusFailed &&
		!serverTerminal(after)
}

// merge puts what a client says into an allocation. Health for another deployment than its present one does not count.
func merge(before *api.Allocation, u allocUpdate) *api.Allocation {
	a := *before
	a.ClientStatus, a.ClientDescription = u.ClientStatus, u.ClientDescription
	if len(u.TaskStates) > 0 {
		a.TaskStates = u.TaskStates
	}
	if u.Healthy == nil || u.DeploymentID != a.DeploymentID || isUnhealthy(before) {
		return &a
	}
	if isHealthy(before) && !*u.Healthy && u.ClientStatus == api.AllocClientStatusFailed {
		return &a // an allocation that was healthy stays so when it dies
	}
	status := api.AllocDeploymentStatus{}
	if before.DeploymentStatus != nil {
		status = *before.DeploymentStatus
	}
	status.Healthy = new(*u.Healthy)
	if status.Timestamp.IsZero() || !isHealthy(before) {
		status.Timestamp = u.HealthAt.UTC()
	}
	a.DeploymentStatus = &status
	return &a
}

var _ runner = (*client.Client)(nil)

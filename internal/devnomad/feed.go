package devnomad

import (
	"slices"

	"github.com/hashicorp/nomad/api"
)

// keptChanges is how many changes a node may lag behind before it gets all of its allocations anew.
const keptChanges = 1024

// feed is what has changed for a node, oldest first. A node that has all up to an index needs only what comes after it.
type feed struct {
	from    uint64 // changes up to this index are here no more
	changes []change
}

type change struct {
	index   uint64
	allocID string
}

// assignment is what a node is told of its allocations: those that have changed, or all.
type assignment struct {
	Epoch  string // of the server's run: an index from another means nothing
	Index  uint64 // to be asked from next time
	Full   bool   // Allocs and Ended are all that the node shall have
	Allocs []*api.Allocation
	Ended  []*api.Allocation // with Full: what is over, and whose folders stay
	Gone   []string          // allocations to be forgotten, with their folders
}

func (d assignment) empty() bool { return !d.Full && len(d.Allocs)+len(d.Gone) == 0 }

// tell notes what a node must be told of a change to one of its allocations. The end of one lets its successor start.
func (tx *txn) tell(a, before *api.Allocation) {
	switch {
	case before == nil, serverTerminal(a) != serverTerminal(before), revisionOf(a) != revisionOf(before):
		tx.feed(a.NodeID, a.ID)
	}
	next := tx.allocs[a.NextAllocation]
	if next != nil && clientTerminal(a) && !clientTerminal(before) {
		tx.feed(next.NodeID, next.ID)
	}
}

func (tx *txn) feed(nodeID, allocID string) {
	f := tx.feeds[nodeID]
	if f == nil {
		f = &feed{}
		tx.feeds[nodeID] = f
	}
	if len(f.changes) >= 2*keptChanges {
		f.changes = slices.Clone(f.changes[keptChanges:])
		f.from = f.changes[0].index
	}
	f.changes = append(f.changes, change{tx.index, allocID})
}

// revision is what of an allocation its client must know.
type revision struct {
	version, job uint64
	deployment   string
	canary       bool
}

func revisionOf(a *api.Allocation) revision {
	return revision{jobVersion(a), val(a.Job.JobModifyIndex), a.DeploymentID, isCanary(a)}
}

// assignments returns what a node that has everything up to an index of this epoch must be told.
func (s *store) assignments(nodeID, epoch string, after uint64) assignment {
	out := assignment{Epoch: s.epoch, Index: s.index}
	f := s.feeds[nodeID]
	if epoch != s.epoch || f != nil && after < f.from {
		return s.allAssignments(nodeID, out)
	}
	if f == nil {
		return out
	}
	seen := map[string]bool{}
	for _, c := range slices.Backward(f.changes) {
		if c.index <= after {
			break
		}
		if seen[c.allocID] {
			continue
		}
		seen[c.allocID] = true
		switch a := s.allocs[c.allocID]; {
		case a == nil:
			out.Gone = append(out.Gone, c.allocID)
		case s.mayStart(a):
			out.Allocs = append(out.Allocs, a)
		}
	}
	slices.Reverse(out.Allocs)
	return out
}

func (s *store) allAssignments(nodeID string, out assignment) assignment {
	out.Full = true
	for _, a := range values(s.allocsOn[nodeID], compareAllocs) {
		switch {
		case serverTerminal(a) && clientTerminal(a) && a.ClientStatus != api.AllocClientStatusLost:
			out.Ended = append(out.Ended, a)
		case s.mayStart(a):
			out.Allocs = append(out.Allocs, a)
		}
	}
	return out
}

// mayStart reports whether a node may know of an allocation: one that replaces another starts only when that one's
// tasks have ended, wherever it ran. What has started stays so, even if a lost predecessor comes back to life.
func (s *store) mayStart(a *api.Allocation) bool {
	before := s.allocs[a.PreviousAllocation]
	started := a.ClientStatus != api.AllocClientStatusPending
	return serverTerminal(a) || started || before == nil || clientTerminal(before)
}

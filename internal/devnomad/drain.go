package devnomad

import (
	"time"

	"github.com/hashicorp/nomad/api"
)

// drainDelay is how long Nomad's drainer gathers the allocations that it makes leave.
const drainDelay = time.Second

// drain makes all allocations leave a node, little by little, or with a nil spec ends that.
func (tx *txn) drain(before *api.Node, spec *api.DrainSpec, markEligible bool, meta map[string]string) []string {
	n := *before
	if spec == nil {
		return tx.cancelDrain(&n, markEligible, meta)
	}
	n.Drain, n.SchedulingEligibility = true, api.NodeSchedulingIneligible
	n.DrainStrategy = &api.DrainStrategy{DrainSpec: *spec, StartedAt: tx.now.UTC()}
	message := "Node drain strategy set"
	if before.DrainStrategy != nil {
		message = "Node drain strategy updated"
		n.DrainStrategy.StartedAt = before.DrainStrategy.StartedAt
	}
	if spec.Deadline > 0 {
		n.DrainStrategy.ForceDeadline = tx.now.Add(spec.Deadline).UTC()
	}
	at := tx.now.UTC().Truncate(time.Second)
	n.LastDrain = &api.DrainMetadata{StartedAt: at, UpdatedAt: at, Status: api.DrainStatusDraining, Meta: meta}
	tx.note(&n, api.NodeEventSubsystemDrain, message)
	tx.putNode(&n)
	return nil
}

func (tx *txn) cancelDrain(n *api.Node, markEligible bool, meta map[string]string) []string {
	if n.DrainStrategy != nil {
		tx.endDrain(n, api.DrainStatusCanceled, "Node drain disabled", meta)
	}
	if !markEligible || n.SchedulingEligibility == api.NodeSchedulingEligible {
		tx.putNode(n)
		return nil
	}
	return tx.setEligibility(n, api.NodeSchedulingEligible)
}

func (tx *txn) endDrain(n *api.Node, status api.DrainStatus, message string, meta map[string]string) {
	n.Drain, n.DrainStrategy = false, nil
	if n.LastDrain != nil {
		last := *n.LastDrain
		last.Status, last.UpdatedAt = status, tx.now.UTC().Truncate(time.Second)
		if len(meta) > 0 {
			last.Meta = meta
		}
		n.LastDrain = &last
	}
	tx.note(n, api.NodeEventSubsystemDrain, message)
}

// watchDrains lets the allocations of draining nodes go as their groups' migrate blocks allow, ends drains that are
// done, and returns when to look again.
func (a *Agent) watchDrains() (next time.Time) {
	var draining []*api.Node
	a.store.read(func() {
		draining = sorted(a.store.nodes, func(n *api.Node) bool { return n.DrainStrategy != nil }, compareNodes)
	})
	if len(draining) == 0 {
		a.drainDue = time.Time{}
		return next
	}
	_, _ = a.store.write("AllocationUpdateDesiredStatus", func(tx *txn) error {
		next = a.drainStep(tx, draining)
		return nil
	})
	return next
}

func (a *Agent) drainStep(tx *txn, draining []*api.Node) (next time.Time) {
	var leaving []*api.Allocation
	room := map[string]int{}
	for _, n := range draining {
		left := tx.remaining(n)
		if len(left) == 0 {
			done := *n
			tx.kind = "NodeDrain"
			tx.endDrain(&done, api.DrainStatusComplete, "Node drain complete", nil)
			tx.putNode(&done)
			continue
		}
		forced := n.DrainStrategy.Deadline < 0
		if by := n.DrainStrategy.ForceDeadline; !by.IsZero() {
			if forced = !tx.now.Before(by); !forced {
				next = earlier(next, by)
			}
		}
		leaving = append(leaving, tx.mayLeave(left, forced, room)...)
	}
	switch {
	case len(leaving) == 0:
		a.drainDue = time.Time{}
	case a.drainDue.IsZero():
		a.drainDue = tx.now.Add(drainDelay)
		next = earlier(next, a.drainDue)
	case tx.now.Before(a.drainDue):
		next = earlier(next, a.drainDue)
	default:
		a.drainDue = time.Time{}
		tx.migrate(leaving)
	}
	return next
}

// remaining are the allocations that keep a node from being drained: those of system jobs go last, or not at all.
func (tx *txn) remaining(n *api.Node) []*api.Allocation {
	var ordinary, system []*api.Allocation
	for _, a := range values(tx.allocsOn[n.ID], compareAllocs) {
		switch {
		case clientTerminal(a):
		case !isSystem(a.Job):
			ordinary = append(ordinary, a)
		case !n.DrainStrategy.IgnoreSystemJobs:
			system = append(system, a)
		}
	}
	if len(ordinary) > 0 {
		return ordinary
	}
	return system
}

// mayLeave picks those of a node's allocations that may leave now: of each group as many as are healthy above its count
// less migrate's max_parallel. Healthy canaries count, so that with one of them two may leave. Batch jobs leave only by
// force, which is at the deadline. room is what is left of that for each group.
func (tx *txn) mayLeave(left []*api.Allocation, forced bool, room map[string]int) []*api.Allocation {
	var out []*api.Allocation
	for _, a := range left {
		if val(a.DesiredTransition.Migrate) || serverTerminal(a) {
			continue
		}
		key := a.JobID + "\n" + a.TaskGroup
		if _, known := room[key]; !known {
			room[key] = tx.migrationRoom(a)
		}
		switch kind := val(a.Job.Type); {
		case forced || isSystem(a.Job):
		case kind == api.JobTypeBatch || room[key] <= 0:
			continue
		default:
			room[key]--
		}
		out = append(out, a)
	}
	return out
}

// migrationRoom is how many allocations of a group may leave their nodes now.
func (tx *txn) migrationRoom(of *api.Allocation) int {
	group := lookupGroup(tx.jobs[of.JobID], of.TaskGroup)
	if group == nil {
		return 1 << 20 // the job has gone: nothing to keep up
	}
	parallel := 1
	if group.Migrate != nil {
		parallel = val(group.Migrate.MaxParallel)
	}
	healthy := 0
	for _, a := range tx.allocsOf[of.JobID] {
		if a.TaskGroup == of.TaskGroup && !terminal(a) && healthOf(a) != nil {
			healthy++
		}
	}
	return healthy - (val(group.Count) - parallel)
}

// migrate has allocations replaced elsewhere.
func (tx *txn) migrate(leaving []*api.Allocation) {
	jobs := map[string]bool{}
	for _, alloc := range leaving {
		a := *alloc
		a.DesiredTransition.Migrate = new(true)
		tx.putAlloc(&a)
		jobs[a.JobID] = true
	}
	tx.evaluateAll(jobs, byDrain, "")
}

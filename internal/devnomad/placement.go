package devnomad

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// findPlace picks a node for a new allocation: of the ready, eligible ones in the job's datacenters that meet its
// constraints and have its ports free, the one with the fewest allocations of its group, then the fewest at all. (Real
// Nomad packs by resources unless told to spread; this agent always spreads.) Without a place node is nil, and the
// metrics say why.
func (tx *txn) findPlace(p placement, job *api.Job, group *api.TaskGroup) (
	*api.Node, *api.AllocatedResources, *api.AllocationMetric,
) {
	metrics := &api.AllocationMetric{NodesAvailable: map[string]int{}}
	var fit []*api.Node
	for _, n := range values(tx.nodes, compareNodes) {
		if p.node != "" && p.node != n.ID || !takesAllocs(n) || !inDatacenters(n, job) {
			continue
		}
		metrics.NodesInPool++
		metrics.NodesAvailable[n.Datacenter]++
		metrics.NodesEvaluated++
		if unmet := tx.unmetConstraint(n, job, group, p.previous); unmet != "" {
			metrics.NodesFiltered++
			if metrics.ConstraintFiltered == nil {
				metrics.ConstraintFiltered = map[string]int{}
			}
			metrics.ConstraintFiltered[unmet]++
			continue
		}
		fit = append(fit, n)
	}
	tx.rank(fit, p, job, group)
	for _, n := range fit {
		resources, err := tx.assign(group, addressOf(n))
		if err == nil {
			metrics.ScoreMetaData = []*api.NodeScoreMeta{{NodeID: n.ID, Scores: map[string]float64{"binpack": 0}}}
			return n, resources, metrics
		}
		metrics.NodesExhausted++
		if metrics.DimensionExhausted == nil {
			metrics.DimensionExhausted = map[string]int{}
		}
		metrics.DimensionExhausted[err.Error()]++
	}
	return nil, nil, metrics
}

// rank puts the best node first. A failed allocation is rather placed elsewhere.
func (tx *txn) rank(nodes []*api.Node, p placement, job *api.Job, group *api.TaskGroup) {
	peers := map[string]int{}
	for _, a := range tx.allocsOf[val(job.ID)] {
		if a.TaskGroup == val(group.Name) && !terminal(a) {
			peers[a.NodeID]++
		}
	}
	failedOn := func(n *api.Node) int { return boolInt(p.reschedule && p.previous.NodeID == n.ID) }
	slices.SortStableFunc(nodes, func(a, b *api.Node) int {
		return cmp.Or(
			cmp.Compare(failedOn(a), failedOn(b)), cmp.Compare(peers[a.ID], peers[b.ID]),
			cmp.Compare(tx.load[a.ID], tx.load[b.ID]),
		)
	})
}

// takesAllocs reports whether a node is there for new allocations.
func takesAllocs(n *api.Node) bool {
	return n.Status == api.NodeStatusReady && n.SchedulingEligibility == api.NodeSchedulingEligible
}

// inDatacenters reports whether a job may run where a node is; datacenters may be patterns such as "dc*".
func inDatacenters(n *api.Node, job *api.Job) bool {
	return slices.ContainsFunc(job.Datacenters, func(pattern string) bool {
		match, err := path.Match(pattern, n.Datacenter)
		return err == nil && match
	})
}

// planSystem plans a system job: one allocation of each group on every node that takes it, without deployments. What
// runs on a node that takes no new ones stays.
func (tx *txn) planSystem(in desired) plan {
	total := plan{later: map[*api.Allocation]time.Time{}, groups: map[string]*api.DesiredUpdates{}}
	onNode := map[string][]*api.Allocation{}
	for _, a := range in.allocs {
		onNode[a.NodeID] = append(onNode[a.NodeID], a)
	}
	for _, n := range values(tx.nodes, compareNodes) {
		here := in
		here.job, here.allocs, here.deployment = tx.perNode(n, in.job), onNode[n.ID], nil
		p := reconcile(here)
		for _, pl := range p.place {
			if takesAllocs(n) {
				pl.node = n.ID
				total.place = append(total.place, pl)
			}
		}
		total.stop = append(total.stop, p.stop...)
		total.inplace = append(total.inplace, p.inplace...)
		maps.Copy(total.later, p.later)
		for name, counts := range p.groups {
			total.groups[name] = sum(total.groups[name], counts)
		}
	}
	return total
}

// perNode is a system job as it is for one node: each group whose constraints the node meets, once, replaced at once.
func (tx *txn) perNode(n *api.Node, job *api.Job) *api.Job {
	one := *job
	one.TaskGroups = nil
	for _, g := range job.TaskGroups {
		group := *g
		group.Count, group.Update = new(1), nil
		if !inDatacenters(n, job) || tx.unmetConstraint(n, job, g, nil) != "" {
			group.Count = new(0)
		}
		one.TaskGroups = append(one.TaskGroups, &group)
	}
	return &one
}

func sum(a, b *api.DesiredUpdates) *api.DesiredUpdates {
	if a == nil {
		return b
	}
	a.Ignore, a.Place, a.Migrate, a.Stop = a.Ignore+b.Ignore, a.Place+b.Place, a.Migrate+b.Migrate, a.Stop+b.Stop
	a.InPlaceUpdate, a.DestructiveUpdate = a.InPlaceUpdate+b.InPlaceUpdate, a.DestructiveUpdate+b.DestructiveUpdate
	return a
}

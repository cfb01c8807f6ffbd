package devnomad

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// option is a node on which an allocation may be placed.
type option struct {
	node      *api.Node
	resources *api.AllocatedResources
	metrics   *api.AllocationMetric
	peers     int // allocations of the same group there
	score     *api.NodeScoreMeta
}

// findPlace picks a node for a new allocation: of the ready, eligible ones in the job's datacenters that meet its
// constraints and have room and its ports free, the one with the best score. Without a place the node is nil, and failed
// gets why. A group that has failed in this plan is not tried again, as in Nomad.
func (tx *txn) findPlace(p placement, job *api.Job, group *api.TaskGroup, failed map[string]*failedPlace) option {
	if before := failed[val(group.Name)]; before != nil {
		before.CoalescedFailures++
		before.exhaust(group)
		return option{}
	}
	why := &failedPlace{AllocationMetric: &api.AllocationMetric{NodesAvailable: map[string]int{}}}
	need, affinities := usageOf(resourcesOf(group)), affinitiesOf(job, group)
	var fit []option
	for _, n := range values(tx.nodes, compareNodes) {
		if p.node != "" && p.node != n.ID || !takesAllocs(n) || !inDatacenters(n, job) {
			continue
		}
		why.NodesInPool++
		why.NodesAvailable[n.Datacenter]++
		why.NodesEvaluated++
		if unmet := tx.unmetConstraint(n, job, group, p.previous); unmet != "" {
			why.filtered(n, unmet)
			continue
		}
		taken := tx.used[n.ID].plus(tx.delta[n.ID], 1).plus(need, 1)
		if dimension := taken.exceeds(n); dimension != "" {
			why.exhausted(n, dimension)
			continue
		}
		peers := tx.peersOn(n, job, group)
		score := scoreOf(n, taken, peers, p, val(group.Count), affinity(n, affinities))
		fit = append(fit, option{node: n, peers: peers, score: score})
	}
	rank(fit, len(job.Spreads)+len(group.Spreads) > 0)
	if p.previous != nil && group.EphemeralDisk != nil && val(group.EphemeralDisk.Sticky) { // its data is there
		slices.SortStableFunc(fit, func(a, b option) int {
			return cmp.Compare(boolInt(b.node.ID == p.previous.NodeID), boolInt(a.node.ID == p.previous.NodeID))
		})
	}
	for _, o := range fit {
		why.ScoreMetaData = append(why.ScoreMetaData, o.score)
	}
	for _, o := range fit {
		resources, err := tx.assign(group, addressOf(o.node))
		if err == nil {
			o.resources, o.metrics = resources, why.AllocationMetric
			return o
		}
		why.exhausted(o.node, err.Error())
	}
	why.exhaust(group)
	failed[val(group.Name)] = why
	return option{}
}

// peersOn counts the allocations of a group on a node.
func (tx *txn) peersOn(n *api.Node, job *api.Job, group *api.TaskGroup) (peers int) {
	for _, a := range tx.allocsOf[val(job.ID)] {
		if a.NodeID == n.ID && a.TaskGroup == val(group.Name) && !terminal(a) {
			peers++
		}
	}
	return peers
}

// rank puts the best node first: where the job wants them spread, that with the fewest of the group.
func rank(options []option, spread bool) {
	slices.SortStableFunc(options, func(a, b option) int {
		if spread && a.peers != b.peers {
			return cmp.Compare(a.peers, b.peers)
		}
		return cmp.Compare(b.score.NormScore, a.score.NormScore)
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

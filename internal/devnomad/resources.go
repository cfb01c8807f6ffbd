package devnomad

import (
	"math"

	"github.com/hashicorp/nomad/api"
)

// usage is what allocations take of a node: CPU in MHz, memory and disk in MiB.
type usage struct{ cpu, memory, disk int64 }

// plus adds n times what another is.
func (u usage) plus(o usage, n int) usage {
	by := int64(n)
	return usage{u.cpu + by*o.cpu, u.memory + by*o.memory, u.disk + by*o.disk}
}

// exceeds names the first thing of which a node has less, "" if there is room. Nothing of a node is reserved here.
func (u usage) exceeds(n *api.Node) string {
	r := n.NodeResources
	switch {
	case u.cpu > r.Cpu.CpuShares:
		return "cpu"
	case u.memory > r.Memory.MemoryMB:
		return "memory"
	case u.disk > r.Disk.DiskMB:
		return "disk"
	}
	return ""
}

// takenBy is what an allocation takes, until its tasks have ended.
func takenBy(a *api.Allocation) usage {
	if clientTerminal(a) {
		return usage{}
	}
	return usageOf(a.AllocatedResources)
}

func usageOf(r *api.AllocatedResources) (u usage) {
	if r == nil {
		return u
	}
	for _, t := range r.Tasks {
		u.cpu, u.memory = u.cpu+t.Cpu.CpuShares, u.memory+t.Memory.MemoryMB
	}
	u.disk = r.Shared.DiskMB
	return u
}

// resourcesOf is what an allocation of a group gets, beside ports.
func resourcesOf(group *api.TaskGroup) *api.AllocatedResources {
	out := &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{}}
	for _, t := range group.Tasks {
		res := &api.AllocatedTaskResources{}
		if r := t.Resources; r != nil {
			res.Cpu.CpuShares = int64(val(r.CPU))
			res.Memory = api.AllocatedMemoryResources{MemoryMB: int64(val(r.MemoryMB)), MemoryMaxMB: int64(val(r.MemoryMaxMB))}
		}
		out.Tasks[t.Name] = res
	}
	if group.EphemeralDisk != nil {
		out.Shared.DiskMB = int64(val(group.EphemeralDisk.SizeMB))
	}
	return out
}

// planned notes what a plan that is being made takes of a node, or with -1 frees there.
func (tx *txn) planned(nodeID string, u usage, n int) { tx.delta[nodeID] = tx.delta[nodeID].plus(u, n) }

// failedPlace says why a group has found no place, with Nomad 1.6's fields.
type failedPlace struct {
	*api.AllocationMetric
	NodePool           string `json:",omitempty"` // Nomad 1.6 has it not
	ResourcesExhausted map[string]map[string]any
}

func count(in map[string]int, key string) map[string]int {
	if in == nil {
		in = map[string]int{}
	}
	in[key]++
	return in
}

func (f *failedPlace) filtered(n *api.Node, constraint string) {
	f.NodesFiltered++
	f.ConstraintFiltered = count(f.ConstraintFiltered, constraint)
	if n.NodeClass != "" {
		f.ClassFiltered = count(f.ClassFiltered, n.NodeClass)
	}
}

func (f *failedPlace) exhausted(n *api.Node, dimension string) {
	f.NodesExhausted++
	f.DimensionExhausted = count(f.DimensionExhausted, dimension)
	if n.NodeClass != "" {
		f.ClassExhausted = count(f.ClassExhausted, n.NodeClass)
	}
}

// exhaust adds what a group's tasks wanted of what was too little.
func (f *failedPlace) exhaust(group *api.TaskGroup) {
	if f.NodesExhausted == 0 {
		return
	}
	if f.ResourcesExhausted == nil {
		f.ResourcesExhausted = map[string]map[string]any{}
	}
	for name, t := range resourcesOf(group).Tasks {
		if f.ResourcesExhausted[name] == nil {
			f.ResourcesExhausted[name] = oldResources(0, 0, 0, nil)
		}
		wanted := f.ResourcesExhausted[name]
		for dimension, add := range map[string]struct {
			field string
			value int64
		}{"cpu": {"CPU", t.Cpu.CpuShares}, "memory": {"MemoryMB", t.Memory.MemoryMB}} {
			if before, is := wanted[add.field].(int64); is && f.DimensionExhausted[dimension] > 0 {
				wanted[add.field] = before + add.value
			}
		}
	}
}

// scoreOf rates a node as Nomad does by default: the fuller it will be the better ("binpack"), but no two of a group
// together ("job-anti-affinity"), a failed one elsewhere ("node-reschedule-penalty"), and what the job likes.
func scoreOf(n *api.Node, taken usage, peers int, p placement, count int, liking float64) *api.NodeScoreMeta {
	free := func(taken, all int64) float64 { return 1 - float64(taken)/float64(max(all, 1)) }
	r := n.NodeResources
	pack := 20 - math.Pow(10, free(taken.cpu, r.Cpu.CpuShares)) - math.Pow(10, free(taken.memory, r.Memory.MemoryMB))
	pack = min(max(pack, 0), 18) / 18
	scores := map[string]float64{"binpack": pack, "job-anti-affinity": 0, "node-reschedule-penalty": 0, "node-affinity": liking}
	if peers > 0 {
		scores["job-anti-affinity"] = -float64(peers+1) / float64(count)
	}
	if p.reschedule && p.previous.NodeID == n.ID {
		scores["node-reschedule-penalty"] = -1
	}
	sum, terms := 0.0, 0.0
	for name, score := range scores {
		if score != 0 || name == "binpack" {
			sum, terms = sum+score, terms+1
		}
	}
	return &api.NodeScoreMeta{NodeID: n.ID, NormScore: sum / terms, Scores: scores}
}

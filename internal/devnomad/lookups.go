package devnomad

import (
	"maps"
	"time"

	"github.com/hashicorp/nomad/api"
)

// lookups find what belongs together without a scan of whole tables: they are what keeps a deployment as fast among
// ten thousand allocations as alone. set… and drop… below keep them, and are the only ones to write these tables.
type lookups struct {
	allocsOf, allocsOn lookup[*api.Allocation] // by job, by node
	evalsOf, evalsIn   lookup[*evaluation]     // by job, by queue
	deploymentsOf      lookup[*deployment]     // by job
	activeDeployments  map[string]*deployment
	ports              map[address]int      // → how many allocations hold it
	used               map[string]usage     // node → what its allocations take
	silentAt           map[string]time.Time // node → when it counts as down
}

type address struct {
	ip   string
	port int
}

// lookup is the members of a table by something they have in common, then by ID.
type lookup[T any] map[string]map[string]T

func (l lookup[T]) put(key, id string, v T) {
	if l[key] == nil {
		l[key] = map[string]T{}
	}
	l[key][id] = v
}

func (l lookup[T]) drop(key, id string) {
	delete(l[key], id)
	if len(l[key]) == 0 {
		delete(l, key)
	}
}

func newLookups() lookups {
	return lookups{
		allocsOf: lookup[*api.Allocation]{}, allocsOn: lookup[*api.Allocation]{}, evalsOf: lookup[*evaluation]{},
		evalsIn: lookup[*evaluation]{}, deploymentsOf: lookup[*deployment]{}, activeDeployments: map[string]*deployment{},
		ports: map[address]int{}, used: map[string]usage{}, silentAt: map[string]time.Time{},
	}
}

func (s *store) setAlloc(a *api.Allocation) {
	if before := s.allocs[a.ID]; before != nil {
		s.count(before, -1)
	}
	s.allocs[a.ID] = a
	s.mark(bucketAllocs, a.ID)
	s.allocsOf.put(a.JobID, a.ID, a)
	s.allocsOn.put(a.NodeID, a.ID, a)
	s.count(a, 1)
}

func (s *store) dropAlloc(a *api.Allocation) {
	s.count(a, -1)
	delete(s.allocs, a.ID)
	s.mark(bucketAllocs, a.ID)
	s.allocsOf.drop(a.JobID, a.ID)
	s.allocsOn.drop(a.NodeID, a.ID)
}

// count adds an allocation to what its node carries, or with -1 takes it away.
func (s *store) count(a *api.Allocation, by int) {
	s.used[a.NodeID] = s.used[a.NodeID].plus(takenBy(a), by)
	for _, addr := range heldPorts(a) {
		if s.ports[addr] += by; s.ports[addr] == 0 {
			delete(s.ports, addr)
		}
	}
}

func (s *store) setEval(e *evaluation) {
	if before := s.evals[e.ID]; before != nil {
		s.evalsIn.drop(before.queue(), e.ID)
	}
	s.evals[e.ID] = e
	s.mark(bucketEvals, e.ID)
	s.evalsOf.put(e.JobID, e.ID, e)
	s.evalsIn.put(e.queue(), e.ID, e)
}

func (s *store) dropEval(e *evaluation) {
	delete(s.evals, e.ID)
	s.mark(bucketEvals, e.ID)
	s.evalsOf.drop(e.JobID, e.ID)
	s.evalsIn.drop(e.queue(), e.ID)
}

func (s *store) setDeployment(d *deployment) {
	s.deployments[d.ID] = d
	s.mark(bucketDeployments, d.ID)
	s.deploymentsOf.put(d.JobID, d.ID, d)
	if d.active() {
		s.activeDeployments[d.ID] = d
	} else {
		delete(s.activeDeployments, d.ID)
	}
}

func (s *store) dropDeployment(d *deployment) {
	delete(s.deployments, d.ID)
	s.mark(bucketDeployments, d.ID)
	s.deploymentsOf.drop(d.JobID, d.ID)
	delete(s.activeDeployments, d.ID)
}

func (s *store) setNode(n *api.Node) {
	s.nodes[n.ID] = n
	s.mark(bucketNodes, n.ID)
}

// setVersions stores the versions of a job, newest first; none removes it.
func (s *store) setVersions(jobID string, versions []*api.Job) {
	s.versions[jobID] = versions
	if len(versions) == 0 {
		delete(s.versions, jobID)
	}
	s.mark(bucketJobs, jobID)
}

// downNodes are the nodes whose allocations are lost.
func (s *store) downNodes() map[string]bool {
	down := map[string]bool{}
	for id, n := range s.nodes {
		if n.Status == api.NodeStatusDown {
			down[id] = true
		}
	}
	return down
}

// jobsOn are the jobs with allocations on a node.
func (s *store) jobsOn(nodeID string) map[string]bool {
	jobs := map[string]bool{}
	for a := range maps.Values(s.allocsOn[nodeID]) {
		jobs[a.JobID] = true
	}
	return jobs
}

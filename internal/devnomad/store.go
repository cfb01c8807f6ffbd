package devnomad

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// keptVersions is how many versions of a job are kept, and maxEvents how many events.
const (
	keptVersions = 6
	maxEvents    = 4096
)

// store is the state of the server: tables of immutable values behind one lock, with an index that grows with each
// write, as Raft's does in Nomad.
type store struct {
	now func() time.Time

	mu      sync.Mutex
	index   uint64
	tables  map[string]uint64 // table → index of its last write
	changed chan struct{}     // closed and replaced by each write

	jobs        map[string]*api.Job
	versions    map[string][]*api.Job // newest first
	submissions map[string]map[uint64]*api.JobSubmission
	evals       map[string]*evaluation
	allocs      map[string]*api.Allocation
	deployments map[string]*deployment
	nodes       map[string]*api.Node
	lookups
	disk *disk // nil: the state is in memory only

	epoch      string           // of this run: indexes of feeds mean nothing to another
	feeds      map[string]*feed // node → what it is to be told
	events     []event
	dropped    uint64 // index of the newest event that has left the buffer
	eventBytes int    // of the payloads in it
}

func newStore(now func() time.Time) *store {
	return &store{
		now: now, index: 1, tables: map[string]uint64{}, changed: make(chan struct{}),
		jobs: map[string]*api.Job{}, versions: map[string][]*api.Job{},
		submissions: map[string]map[uint64]*api.JobSubmission{}, evals: map[string]*evaluation{},
		allocs: map[string]*api.Allocation{}, deployments: map[string]*deployment{}, nodes: map[string]*api.Node{},
		lookups: newLookups(), epoch: newID(), feeds: map[string]*feed{},
	}
}

// write runs fn as one transaction: everything in it gets one index. fn must put nothing before its last error.
func (s *store) write(kind string, fn func(*txn) error) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &txn{store: s, kind: kind, index: s.index + 1, now: s.now(), dirty: map[string]bool{}, delta: map[string]usage{}}
	if err := fn(tx); err != nil {
		return s.index, err
	}
	tx.settleJobs()
	if tx.wrote {
		s.index = tx.index
		s.save()
		s.publish(tx.emitted)
		close(s.changed)
		s.changed = make(chan struct{})
	}
	return s.index, nil
}

// read runs fn under the lock; what it returns may be kept, since stored values never change.
func (s *store) read(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// The lookups below need the lock: they are for read, write and queries.

func (s *store) jobAllocs(jobID string) []*api.Allocation {
	return values(s.allocsOf[jobID], compareAllocs)
}

func compareAllocs(a, b *api.Allocation) int {
	return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

// jobDeployments are those of the job that has the ID now; a purged one of the same ID may have left others.
func (s *store) jobDeployments(jobID string) []*deployment {
	job := s.jobs[jobID]
	of := func(d *deployment) bool { return job != nil && d.JobCreateIndex != val(job.CreateIndex) }
	return slices.DeleteFunc(values(s.deploymentsOf[jobID], compareDeployments), of)
}

func compareDeployments(a, b *deployment) int {
	return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.ID, b.ID))
}

func (s *store) jobEvals(jobID string) []*evaluation {
	return values(s.evalsOf[jobID], compareEvals)
}

func compareEvals(a, b *evaluation) int {
	return cmp.Or(cmp.Compare(b.CreateIndex, a.CreateIndex), cmp.Compare(a.ID, b.ID))
}

// latestDeployment returns the newest deployment of a job, or nil.
func (s *store) latestDeployment(jobID string) *deployment {
	all := s.jobDeployments(jobID)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

func (s *store) version(jobID string, version uint64) *api.Job {
	for _, j := range s.versions[jobID] {
		if val(j.Version) == version {
			return j
		}
	}
	return nil
}

// latestStable returns the newest stable version of a job, or nil.
func (s *store) latestStable(jobID string) *api.Job {
	for _, j := range s.versions[jobID] {
		if val(j.Stable) {
			return j
		}
	}
	return nil
}

func values[T any](table map[string]T, compare func(a, b T) int) []T {
	return sorted(table, func(T) bool { return true }, compare)
}

func sorted[T any](table map[string]T, keep func(T) bool, compare func(a, b T) int) []T {
	out := []T{}
	for _, v := range table {
		if keep(v) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, compare)
	return out
}

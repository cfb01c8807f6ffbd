package devnomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/nomad/api"
	"go.etcd.io/bbolt"
)

// disk keeps the state of the server in DataDir/server.db, so that it outlives the agent's death as a real server's
// does. Each write to the store is one transaction there, done before anybody sees it. Events are not kept.
type disk struct {
	db      *bbolt.DB
	log     *slog.Logger
	unsaved map[record]bool
	specs   map[string]bool // versions of jobs that allocations have been saved with
	failing bool
}

// record names a row.
type record struct{ bucket, key string }

const (
	bucketMeta        = "meta"
	bucketJobs        = "jobs"
	bucketSpecs       = "specs" // jobs as allocations have them
	bucketEvals       = "evals"
	bucketAllocs      = "allocs"
	bucketDeployments = "deployments"
	bucketNodes       = "nodes"
)

var buckets = []string{bucketMeta, bucketJobs, bucketSpecs, bucketEvals, bucketAllocs, bucketDeployments, bucketNodes}

// savedMeta, savedJob and savedAlloc are rows; the others are what the store holds.
type savedMeta struct {
	Index  uint64
	Tables map[string]uint64
}

type savedJob struct {
	Versions    []*api.Job
	Submissions map[uint64]*api.JobSubmission
}

type savedAlloc struct {
	Spec  string // key of its job in the bucket of specs: many allocations have the same
	Alloc *api.Allocation
}

// openDisk opens the file and loads what is in it into the store.
func (s *store) openDisk(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	path := filepath.Join(dir, "server.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bbolt.ErrTimeout) { //nolint:staticcheck // the same value as errors.ErrTimeout
		return fmt.Errorf("open %s: another agent works in this data folder; stop it or take another folder", path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	d := &disk{db: db, log: log, unsaved: map[record]bool{}, specs: map[string]bool{}}
	if err := db.Update(func(tx *bbolt.Tx) error { return s.readAll(tx, d) }); err != nil {
		return errors.Join(fmt.Errorf("load %s: %w", path, err), db.Close())
	}
	s.disk = d
	return nil
}

// mark has a row written with the transaction that is under way.
func (s *store) mark(bucket, key string) {
	if s.disk != nil {
		s.disk.unsaved[record{bucket, key}] = true
	}
}

// save writes what is marked. What fails stays marked for the next time: the agent goes on without.
func (s *store) save() {
	d := s.disk
	if d == nil {
		return
	}
	s.mark(bucketMeta, "state")
	err := d.db.Update(func(tx *bbolt.Tx) error {
		for r := range d.unsaved {
			if err := s.saveRecord(tx, r); err != nil {
				return fmt.Errorf("save %s %s: %w", r.bucket, r.key, err)
			}
		}
		return nil
	})
	if err == nil {
		clear(d.unsaved)
	}
	if d.failing != (err != nil) {
		d.failing = err != nil
		d.log.Error("state of the server", "failing", d.failing, "err", err)
	}
}

func (s *store) saveRecord(tx *bbolt.Tx, r record) error {
	value := s.rowOf(r)
	if value == nil {
		return tx.Bucket([]byte(r.bucket)).Delete([]byte(r.key))
	}
	if a, is := value.(savedAlloc); is {
		job := s.allocs[r.key].Job
		if err := s.saveSpec(tx, a.Spec, job); err != nil {
			return err
		}
	}
	return put(tx, r, value)
}

// rowOf is what is to be saved, nil if the row goes.
func (s *store) rowOf(r record) any {
	switch r.bucket {
	case bucketMeta:
		return savedMeta{Index: s.index, Tables: s.tables}
	case bucketJobs:
		if versions := s.versions[r.key]; len(versions) > 0 {
			return savedJob{Versions: versions, Submissions: s.submissions[r.key]}
		}
	case bucketEvals:
		if e := s.evals[r.key]; e != nil {
			return e
		}
	case bucketAllocs:
		if a := s.allocs[r.key]; a != nil {
			bare := *a
			bare.Job = nil
			return savedAlloc{Spec: specKey(a.Job), Alloc: &bare}
		}
	case bucketDeployments:
		if d := s.deployments[r.key]; d != nil {
			return d
		}
	case bucketNodes:
		if n := s.nodes[r.key]; n != nil {
			return n
		}
	}
	return nil
}

func specKey(job *api.Job) string {
	return fmt.Sprintf("%s\n%d.%d.%d", val(job.ID), val(job.CreateIndex), val(job.Version), val(job.JobModifyIndex))
}

func (s *store) saveSpec(tx *bbolt.Tx, key string, job *api.Job) error {
	if s.disk.specs[key] {
		return nil
	}
	s.disk.specs[key] = true
	return put(tx, record{bucketSpecs, key}, job)
}

func put(tx *bbolt.Tx, r record, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(r.bucket)).Put([]byte(r.key), data)
}

// readAll fills the store, and drops the specs that no allocation needs any more.
func (s *store) readAll(tx *bbolt.Tx, d *disk) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	err := errors.Join(
		each(tx, bucketMeta, func(_ string, m *savedMeta) {
			s.index, s.dropped = m.Index, m.Index
			maps.Copy(s.tables, m.Tables)
		}),
		each(tx, bucketJobs, func(id string, j *savedJob) {
			s.jobs[id], s.versions[id] = j.Versions[0], j.Versions
			if j.Submissions != nil {
				s.submissions[id] = j.Submissions
			}
		}),
		each(tx, bucketEvals, func(_ string, e *evaluation) { s.setEval(e) }),
		each(tx, bucketDeployments, func(_ string, d *deployment) { s.setDeployment(d) }),
		each(tx, bucketNodes, func(_ string, n *api.Node) { s.setNode(n) }),
	)
	if err != nil {
		return err
	}
	return s.loadAllocs(tx, d)
}

func (s *store) loadAllocs(tx *bbolt.Tx, d *disk) error {
	specs := map[string]*api.Job{}
	if err := each(tx, bucketSpecs, func(key string, job *api.Job) { specs[key] = job }); err != nil {
		return err
	}
	err := each(tx, bucketAllocs, func(_ string, a *savedAlloc) {
		if a.Alloc.Job = specs[a.Spec]; a.Alloc.Job != nil {
			d.specs[a.Spec] = true
			s.setAlloc(a.Alloc)
		}
	})
	for key := range specs {
		if !d.specs[key] {
			err = errors.Join(err, tx.Bucket([]byte(bucketSpecs)).Delete([]byte(key)))
		}
	}
	return err
}

// each decodes every row of a bucket.
func each[T any](tx *bbolt.Tx, bucket string, do func(key string, v *T)) error {
	return tx.Bucket([]byte(bucket)).ForEach(func(key, data []byte) error {
		v := new(T)
		if err := json.Unmarshal(data, v); err != nil {
			return fmt.Errorf("read %s %s: %w", bucket, key, err)
		}
		do(string(key), v)
		return nil
	})
}

func (s *store) closeDisk() error {
	if s.disk == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.disk.db.Close()
	s.disk = nil
	return err
}

// takeUp evaluates the jobs whose allocations have ended with an earlier agent, so that they are placed anew.
func (tx *txn) takeUp() {
	jobs := map[string]bool{}
	for _, a := range tx.allocs {
		if !serverTerminal(a) && a.ClientStatus == api.AllocClientStatusComplete && val(a.Job.Type) == api.JobTypeService {
			jobs[a.JobID] = true
		}
	}
	tx.evaluateAll(jobs, byNode, "")
}

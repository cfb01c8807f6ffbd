package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"go.etcd.io/bbolt"
)

// record is what is kept of an allocation over the agent's death. Which process a task is, its pid file tells.
type record struct {
	Deployment string    `json:"deployment,omitzero"` // that the health is for
	Watched    time.Time `json:"watched,omitzero"`    // since when its health is watched
	Healthy    *bool     `json:"healthy,omitempty"`
	HealthAt   time.Time `json:"health_at,omitzero"`

	Tasks map[string]taskRecord `json:"tasks"`
}

type taskRecord struct {
	State    *api.TaskState `json:"state"`
	Failures int            `json:"failures,omitzero"` // within the restart policy's interval
	Since    time.Time      `json:"since,omitzero"`    // begin of that interval
}

// store keeps the records of all allocations in DataDir/client.db. What changes while a write is under way goes into
// the next one: a record is always a whole state, and never older than one before it.
type store struct {
	db   *bbolt.DB
	log  *slog.Logger
	wake chan struct{}

	writing sync.Mutex // one write at a time, so that records stay in order

	mu    sync.Mutex
	dirty map[*alloc]bool
}

var allocBucket = []byte("allocs")

func openStore(dir string, log *slog.Logger) (*store, error) {
	path := filepath.Join(dir, "client.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bbolt.ErrTimeout) { //nolint:staticcheck // the same value as errors.ErrTimeout
		return nil, fmt.Errorf("open %s: another agent works in this data folder; stop it or take another folder", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(allocBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), db.Close())
	}
	return &store{db: db, log: log, wake: make(chan struct{}, 1), dirty: map[*alloc]bool{}}, nil
}

// touch has the allocation written soon.
func (s *store) touch(a *alloc) {
	s.mu.Lock()
	s.dirty[a] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what is touched until ctx ends.
func (s *store) run(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		err := s.flush()
		if failing != (err != nil) {
			failing = err != nil
			s.log.Warn("state of allocations", "failing", failing, "err", err)
		}
	}
}

// flush writes what is touched, in one transaction. What fails stays touched.
func (s *store) flush() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = map[*alloc]bool{}
	s.mu.Unlock()
	if len(dirty) == 0 {
		return nil
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for a := range dirty {
			data, err := json.Marshal(a.record())
			if err != nil {
				return fmt.Errorf("encode the state of allocation %s: %w", a.id, err)
			}
			if err := tx.Bucket(allocBucket).Put([]byte(a.id), data); err != nil {
				return fmt.Errorf("write the state of allocation %s: %w", a.id, err)
			}
		}
		return nil
	})
	if err != nil {
		s.mu.Lock()
		for a := range dirty {
			s.dirty[a] = true
		}
		s.mu.Unlock()
	}
	return err
}

// load returns the record of an allocation, an empty one if there is none.
func (s *store) load(id string) (record, error) {
	var r record
	err := s.db.View(func(tx *bbolt.Tx) error {
		if data := tx.Bucket(allocBucket).Get([]byte(id)); data != nil {
			return json.Unmarshal(data, &r)
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("read the state of allocation %s: %w", id, err)
	}
	return r, nil
}

// remove forgets an allocation that changes no more.
func (s *store) remove(id string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	maps.DeleteFunc(s.dirty, func(a *alloc, _ bool) bool { return a.id == id })
	s.mu.Unlock()
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(allocBucket).Delete([]byte(id)) })
	if err != nil {
		return fmt.Errorf("remove the state of allocation %s: %w", id, err)
	}
	return nil
}

func (s *store) close() error { return errors.Join(s.flush(), s.db.Close()) }

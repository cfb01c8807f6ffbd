package devnomad

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (a *Agent) allocRoutes() map[string]methods {
	get, put := http.MethodGet, http.MethodPut
	return map[string]methods{
		"/v1/allocations":                    {get: a.read(listAllocs)},
		"/v1/allocation/{id}":                {get: a.read(getAlloc)},
		"/v1/allocation/{id}/services":       {get: a.read(noServices)},
		"/v1/allocation/{id}/checks":         {get: plain(a.allocChecks)},
		"/v1/allocation/{id}/stop":           {put: a.act(a.stopAllocByHand)},
		"/v1/client/allocation/{id}/checks":  {get: plain(a.allocChecks)},
		"/v1/client/allocation/{id}/stats":   {get: plain(a.allocStats)},
		"/v1/client/allocation/{id}/restart": {put: plain(a.restartAlloc)},
		"/v1/client/allocation/{id}/signal":  {put: plain(a.signalAlloc)},
		"/v1/client/fs/logs/{id}":            {get: a.logs},
		"/v1/evaluations":                    {get: a.read(listEvals)},
		"/v1/evaluation/{id}":                {get: a.read(getEval)},
		"/v1/evaluation/{id}/allocations":    {get: a.read(evalAllocs)},
	}
}

// idPrefix reads ?prefix= of a table with UUIDs.
func idPrefix(r *http.Request) (string, error) {
	prefix := r.URL.Query().Get("prefix")
	if len(prefix) > 36 {
		return "", fmt.Errorf("index error: Invalid UUID length. UUID have 36 characters; got %d", len(prefix))
	}
	digits := strings.ReplaceAll(prefix, "-", "")
	if _, err := hex.DecodeString(digits[:len(digits)/2*2]); err != nil {
		return "", fmt.Errorf("index error: Invalid UUID: %w", err)
	}
	return prefix, nil
}

func listAllocs(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		prefix, err := idPrefix(r)
		if err != nil {
			return nil, 0, err
		}
		keep := func(a *api.Allocation) bool { return strings.HasPrefix(a.ID, prefix) }
		token := func(a *api.Allocation) string { return indexToken(a.CreateIndex, a.ID) }
		byToken := func(a, b *api.Allocation) int {
			return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.ID, b.ID))
		}
		out, err := page(r, sorted(s.allocs, keep, byToken), token, func(a *api.Allocation) allocStub {
			stub := newAllocStub(a)
			if r.URL.Query().Get("resources") == "true" {
				stub.AllocatedResources = a.AllocatedResources
			}
			return stub
		})
		return out, s.tables["allocs"], err
	}
}

var getAlloc = byID("alloc", "allocs", func(s *store, id string) (any, uint64) {
	a := s.allocs[id]
	if a == nil {
		return nil, 0
	}
	return allocDoc(a, true), a.ModifyIndex
})

func listEvals(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		prefix, err := idPrefix(r)
		if err != nil {
			return nil, 0, err
		}
		job, status := r.URL.Query().Get("job"), r.URL.Query().Get("status")
		keep := func(e *evaluation) bool {
			return strings.HasPrefix(e.ID, prefix) && (job == "" || job == e.JobID) && (status == "" || status == e.Status)
		}
		oldestFirst := func(a, b *evaluation) int {
			return cmp.Or(cmp.Compare(a.CreateIndex, b.CreateIndex), cmp.Compare(a.ID, b.ID))
		}
		token := func(e *evaluation) string { return indexToken(e.CreateIndex, e.ID) }
		out, err := page(r, sorted(s.evals, keep, oldestFirst), token, asStored)
		return out, s.tables["evals"], err
	}
}

var getEval = byID("eval", "evals", func(s *store, id string) (any, uint64) {
	e := s.evals[id]
	if e == nil {
		return nil, 0
	}
	return e, e.ModifyIndex
})

func evalAllocs(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		keep := func(a *api.Allocation) bool { return a.EvalID == r.PathValue("id") }
		return stubs(sorted(s.allocs, keep, compareAllocs)), s.tables["allocs"], nil
	}
}

// stopAllocByHand has an allocation replaced by another.
func (a *Agent) stopAllocByHand(r *http.Request) (any, uint64, error) {
	evalID := ""
	index, err := a.write("AllocationUpdateDesiredStatus", func(tx *txn) error {
		alloc := tx.allocs[r.PathValue("id")]
		if alloc == nil {
			return notFound("allocation not found")
		}
		job := tx.jobs[alloc.JobID]
		if job == nil {
			job = alloc.Job
		}
		leaving := *alloc
		leaving.DesiredTransition.Migrate = new(true)
		tx.putAlloc(&leaving)
		e := newEval(job, byAllocStop, "pending")
		tx.putEval(e)
		evalID = e.ID
		return nil
	})
	return map[string]any{"EvalID": evalID, "Index": index}, index, err
}

func (a *Agent) known(id string) (*api.Allocation, error) {
	var alloc *api.Allocation
	a.store.read(func() { alloc = a.store.allocs[id] })
	if alloc == nil {
		return nil, notFound(fmt.Sprintf("Unknown allocation %q", id))
	}
	return alloc, nil
}

// allocChecks answers for checks of Nomad's own provider: there are none, Consul has them.
func (a *Agent) allocChecks(r *http.Request) (any, error) {
	if _, err := a.known(r.PathValue("id")); err != nil {
		return nil, err
	}
	return map[string]any{}, nil
}

func (a *Agent) restartAlloc(r *http.Request) (any, error) {
	var in struct {
		TaskName string
		AllTasks bool
	}
	if r.ContentLength != 0 {
		if err := decode(r, &in); err != nil {
			return nil, err
		}
	}
	if _, err := a.known(r.PathValue("id")); err != nil {
		return nil, err
	}
	if err := a.client.Restart(r.PathValue("id"), in.TaskName); err != nil {
		return nil, err
	}
	return map[string]uint64{"Index": 0}, nil
}

func (a *Agent) signalAlloc(r *http.Request) (any, error) {
	var in struct {
		Signal, Task string
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if _, err := a.known(r.PathValue("id")); err != nil {
		return nil, err
	}
	if err := a.client.Signal(r.PathValue("id"), in.Task, in.Signal); err != nil {
		return nil, err
	}
	return map[string]uint64{"Index": 0}, nil
}

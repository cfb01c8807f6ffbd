package devnomad

import (
	"net/http"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (a *Agent) nodeRoutes() map[string]methods {
	get, put := http.MethodGet, http.MethodPut
	return map[string]methods{
		"/v1/nodes":                 {get: a.read(listNodes)},
		"/v1/node/{id}":             {get: a.read(getNode)},
		"/v1/node/{id}/allocations": {get: a.read(nodeAllocs)},
		"/v1/node/{id}/drain":       {put: a.act(a.drainNode)},
		"/v1/node/{id}/eligibility": {put: a.act(a.nodeEligibility)},
		"/v1/node/{id}/evaluate":    {put: a.act(a.evaluateNode)},
	}
}

func listNodes(r *http.Request) query {
	prefix := r.URL.Query().Get("prefix")
	return func(s *store) (any, uint64, error) {
		named := func(n *api.Node) bool { return strings.HasPrefix(n.ID, prefix) }
		byID := func(a, b *api.Node) int { return strings.Compare(a.ID, b.ID) }
		listed, err := page(r, sorted(s.nodes, named, byID), func(n *api.Node) string { return n.ID }, newNodeStub)
		return listed, s.tables["nodes"], err
	}
}

var getNode = byID("node", "nodes", func(s *store, id string) (any, uint64) {
	n := s.nodes[id]
	if n == nil {
		return nil, 0
	}
	return nodeDoc(s, n), n.ModifyIndex
})

func nodeAllocs(r *http.Request) query {
	return func(s *store) (any, uint64, error) {
		docs := []any{}
		for _, a := range values(s.allocsOn[r.PathValue("id")], compareAllocs) {
			docs = append(docs, allocDoc(a, true))
		}
		return docs, s.tables["allocs"], nil
	}
}

// nodeVerb changes the node and answers with the evaluations that follow.
func (a *Agent) nodeVerb(r *http.Request, kind string, do func(*txn, *api.Node) []string) (any, uint64, error) {
	evals, index := []string{}, uint64(0)
	_, err := a.write(kind, func(tx *txn) error {
		n := tx.nodes[r.PathValue("id")]
		if n == nil {
			return notFound("node not found")
		}
		evals, index = append(evals, do(tx, n)...), tx.index
		return nil
	})
	return map[string]any{"EvalIDs": evals, "EvalCreateIndex": index, "NodeModifyIndex": index, "Index": index}, index, err
}

func (a *Agent) drainNode(r *http.Request) (any, uint64, error) {
	var in api.NodeUpdateDrainRequest
	if err := decode(r, &in); err != nil {
		return nil, 0, err
	}
	return a.nodeVerb(r, "NodeDrain", func(tx *txn, n *api.Node) []string {
		return tx.drain(n, in.DrainSpec, in.MarkEligible, in.Meta)
	})
}

func (a *Agent) nodeEligibility(r *http.Request) (any, uint64, error) {
	var in struct{ Eligibility string }
	if err := decode(r, &in); err != nil {
		return nil, 0, err
	}
	if in.Eligibility != api.NodeSchedulingEligible && in.Eligibility != api.NodeSchedulingIneligible {
		return nil, 0, badRequest("invalid scheduling eligibility " + in.Eligibility)
	}
	return a.nodeVerb(r, "NodeEligibility", func(tx *txn, n *api.Node) []string {
		return tx.setEligibility(n, in.Eligibility)
	})
}

func (a *Agent) evaluateNode(r *http.Request) (any, uint64, error) {
	return a.nodeVerb(r, "NodeEvaluate", func(tx *txn, n *api.Node) []string { return tx.evaluateNode(n, byNode) })
}

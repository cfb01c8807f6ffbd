package devnomad

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// The paths below /v1/weir are ours, not Nomad's, whose nodes speak with their servers over an RPC protocol. They are
// what a node in another process (RunNode) needs:
//
//	PUT /v1/weir/nodes                                      registers the node in the body
//	PUT /v1/weir/node/{id}/heartbeat                        keeps it alive; 404: register again
//	GET /v1/weir/node/{id}/assignments?epoch=…&index=…      what has changed for it, waiting for news
//	PUT /v1/weir/node/{id}/updates                          what its client says of its allocations
func (a *Agent) nodeAgentRoutes() map[string]methods {
	get, put := http.MethodGet, http.MethodPut
	return map[string]methods{
		"/v1/weir/nodes":                 {put: plain(a.registerNode)},
		"/v1/weir/node/{id}/heartbeat":   {put: plain(a.nodeHeartbeat)},
		"/v1/weir/node/{id}/assignments": {get: plain(a.nodeAssignments)},
		"/v1/weir/node/{id}/updates":     {put: plain(a.nodeUpdates)},
	}
}

func (a *Agent) registerNode(r *http.Request) (any, error) {
	var n api.Node
	if err := decode(r, &n); err != nil {
		return nil, err
	}
	if len(n.ID) != 36 || n.Name == "" || n.Datacenter == "" || n.HTTPAddr == "" {
		return nil, badRequest("a node needs an ID of 36 characters, a name, a datacenter and the address of its HTTP API")
	}
	return struct{}{}, a.register(r.Context(), &n)
}

func (a *Agent) nodeHeartbeat(r *http.Request) (any, error) {
	return struct{}{}, a.beat(r.Context(), r.PathValue("id"))
}

func (a *Agent) nodeAssignments(r *http.Request) (any, error) {
	q := r.URL.Query()
	after, err := strconv.ParseUint(q.Get("index"), 10, 64)
	if err != nil {
		return nil, badRequest("Invalid index")
	}
	return a.pull(r.Context(), r.PathValue("id"), q.Get("epoch"), after)
}

func (a *Agent) nodeUpdates(r *http.Request) (any, error) {
	var updates []allocUpdate
	if err := decode(r, &updates); err != nil {
		return nil, err
	}
	return struct{}{}, a.push(r.Context(), r.PathValue("id"), updates)
}

// routed brings requests about what runs on a node to that node: in this process, or elsewhere by proxy.
func (a *Agent) routed(next http.Handler) http.Handler {
	handlers := map[string]http.Handler{}
	for i, n := range a.nodes {
		if i == 0 {
			handlers[n.node.ID] = next
			continue
		}
		view := *a
		view.client, view.nodes = n.client, nil
		handlers[n.node.ID] = view.mux()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := a.targetNode(r)
		switch {
		case n == nil:
			next.ServeHTTP(w, r)
		case handlers[n.ID] != nil:
			handlers[n.ID].ServeHTTP(w, r)
		case n.HTTPAddr == a.Addr():
			writeError(w, notFound("Unknown node "+n.ID)) // it was in this process, before a restart
		default:
			proxyTo(n.HTTPAddr).ServeHTTP(w, r)
		}
	})
}

// proxyTo passes requests on as they are.
func proxyTo(host string) http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1, // logs are followed
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: host})
			r.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			writeError(w, fmt.Errorf("ask %s: %w", host, err))
		},
	}
}

// targetNode is the node that a request below /v1/client is about; nil for other requests.
func (a *Agent) targetNode(r *http.Request) (n *api.Node) {
	rest, found := strings.CutPrefix(r.URL.Path, "/v1/client/")
	if !found {
		return nil
	}
	a.store.read(func() {
		if id := r.URL.Query().Get("node_id"); id != "" {
			n = a.store.nodes[id]
		}
		for part := range strings.SplitSeq(rest, "/") {
			if alloc := a.store.allocs[part]; alloc != nil {
				n = a.store.nodes[alloc.NodeID]
			}
		}
	})
	return n
}

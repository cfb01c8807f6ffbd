package devnomad

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxBody bounds request bodies.
const maxBody = 32 << 20

// methods are the handlers of one path. PUT serves POST too.
type methods map[string]http.HandlerFunc

func (a *Agent) handler() http.Handler { return inRegion(a.authorized(a.routed(a.mux()))) }

func (a *Agent) mux() http.Handler {
	mux := http.NewServeMux()
	for _, routes := range []map[string]methods{
		a.jobRoutes(), a.deploymentRoutes(), a.allocRoutes(), a.nodeRoutes(), a.nodeAgentRoutes(), a.statusRoutes(), a.fsRoutes(),
	} {
		for path, m := range routes {
			mux.HandleFunc(path, m.serve)
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/ui/", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	return mux
}

// tokenless are the paths that need no token.
var tokenless = []string{"/", "/v1/agent/health", "/v1/regions", "/v1/status/leader", "/v1/status/peers"}

// authorized denies requests that have not the agent's token, where it has one.
func (a *Agent) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := cmp.Or(r.Header.Get("X-Nomad-Token"), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if subtle.ConstantTimeCompare([]byte(token), []byte(a.token)) == 1 || slices.Contains(tokenless, r.URL.Path) || a.token == "" {
			next.ServeHTTP(w, r)
			return
		}
		denied := &httpError{http.StatusForbidden, "Permission denied"}
		if r.URL.Path == "/v1/event/stream" {
			streamHeaders(w)
			denied.status = http.StatusInternalServerError // as in Nomad
		}
		writeError(w, denied)
	})
}

func (m methods) serve(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodPost {
		method = http.MethodPut
	}
	handler := m[method]
	if handler == nil {
		writeError(w, &httpError{http.StatusMethodNotAllowed, "Invalid method"})
		return
	}
	handler(w, r)
}

func inRegion(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if region := r.URL.Query().Get("region"); region != "" && region != "global" {
			writeError(w, errors.New("No path to region")) //nolint:revive,staticcheck // Nomad's words
			return
		}
		next.ServeHTTP(w, r)
	})
}

// read makes a handler of a query.
func (a *Agent) read(q func(r *http.Request) query) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { a.answerQuery(w, r, q(r)) }
}

// act makes a handler of a write; its answer has the write's index in the header.
func (a *Agent) act(do func(r *http.Request) (value any, index uint64, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, index, err := do(r)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
		writeJSON(w, r, value)
	}
}

// plain makes a handler of what has no index.
func plain(do func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := do(r)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, r, value)
	}
}

// decode reads a JSON body.
func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	switch {
	case err != nil:
		return badRequest(err.Error())
	case len(bytes.TrimSpace(body)) == 0:
		return badRequest("Request body is empty")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return badRequest(err.Error())
	}
	return nil
}

// statusRoutes are the paths about the agent itself.
func (a *Agent) statusRoutes() map[string]methods {
	constant := func(v any) methods {
		return methods{http.MethodGet: plain(func(*http.Request) (any, error) { return v, nil })}
	}
	health := map[string]any{"ok": true, "message": "ok"}
	return map[string]methods{
		"/v1/status/leader": constant(a.Addr()),
		"/v1/status/peers":  constant([]string{a.Addr()}),
		"/v1/regions":       constant([]string{"global"}),
		"/v1/agent/health":  constant(map[string]any{"client": health, "server": health}),
		"/v1/agent/self":    {http.MethodGet: plain(a.self)},
		"/v1/agent/members": {http.MethodGet: plain(a.members)},
		"/v1/namespaces":    {http.MethodGet: a.read(namespaces)},
		"/v1/client/stats":  {http.MethodGet: plain(a.hostStats)},
		"/v1/client/gc":     {http.MethodGet: collectOnClient},
		"/v1/search":        {http.MethodPut: plain(a.search)},
		"/v1/services":      {http.MethodGet: a.read(noServices)},
		"/v1/service/{id}":  {http.MethodGet: a.read(noServices)},
		"/v1/system/gc":     {http.MethodPut: a.collectGarbage},
		"/v1/event/stream":  {http.MethodGet: a.streamEvents},
	}
}

func (a *Agent) self(*http.Request) (any, error) {
	name, id := a.name, a.nodeID()
	return map[string]any{
		"config": map[string]any{
			"Region": "global", "Datacenter": "dc1", "NodeName": name, "DevMode": true,
			"Version": map[string]any{"Version": version, "VersionPrerelease": "", "Revision": "", "VersionMetadata": "devnomad"},
			"Client":  map[string]any{"Enabled": true}, "Server": map[string]any{"Enabled": true},
			"ACL": map[string]any{"Enabled": false},
		},
		"member": a.member(name),
		"stats": map[string]any{
			"nomad":  map[string]string{"leader": "true", "server": "true", "known_regions": "1"},
			"client": map[string]string{"node_id": id, "known_servers": a.Addr()},
		},
	}, nil
}

func (a *Agent) member(name string) map[string]any {
	host, port, _ := net.SplitHostPort(a.Addr())
	return map[string]any{
		"Name": name + ".global", "Addr": host, "Port": 0, "Status": "alive", "ProtocolMin": 1, "ProtocolMax": 5,
		"ProtocolCur": 2, "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
		"Tags": map[string]string{
			"port": port, "rpc_addr": host, "raft_vsn": "3", "build": version, "dc": "dc1", "region": "global", "role": "nomad",
			"bootstrap": "1", "expect": "1", "id": name, "revision": "", "vsn": "1",
		},
	}
}

func (a *Agent) members(*http.Request) (any, error) {
	name := a.name
	return map[string]any{
		"ServerName": name, "ServerRegion": "global", "ServerDC": "dc1", "Members": []any{a.member(name)},
	}, nil
}

func namespaces(*http.Request) query {
	return func(*store) (any, uint64, error) {
		return []map[string]any{{
			"Name": "default", "Description": "Default shared namespace", "Quota": "", "Meta": nil, "Capabilities": nil,
			"NodePoolConfiguration": nil, "Hash": sha256.New().Sum(nil), "CreateIndex": 1, "ModifyIndex": 1,
		}}, 1, nil
	}
}

// noServices answers for services of Nomad's own provider: there are none, Consul has them.
func noServices(*http.Request) query {
	return func(s *store) (any, uint64, error) { return []any{}, s.tables["services"], nil }
}

func (a *Agent) collectGarbage(w http.ResponseWriter, _ *http.Request) {
	_, _ = a.write("GC", func(tx *txn) error { tx.collect(); return nil })
	w.WriteHeader(http.StatusOK)
}

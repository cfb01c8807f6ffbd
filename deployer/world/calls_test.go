package world

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
)

// recorder answers as Nomad or Consul would, as far as the clients go on asking, and keeps what it was asked.
type recorder struct {
	mu    sync.Mutex
	calls []*http.Request
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.calls = append(r.calls, req)
	r.mu.Unlock()
	w.Header().Set("X-Consul-Index", "1")
	w.Header().Set("X-Nomad-Index", "1")
	fmt.Fprint(w, answer(req.Method, req.URL.Path))
	if req.URL.Query().Get("index") != "" { // a blocking query
		select {
		case <-req.Context().Done():
		case <-time.After(time.Second):
		}
	}
}

const recordedJob = `{"ID":"iris","Name":"iris","JobModifyIndex":1,"Version":0,"Stop":false,"Meta":{"weir_attempt":"iris"}}`

// answer is the first of these whose beginning is that of the path.
func answer(method, path string) string {
	for _, a := range []struct{ method, prefix, body string }{
		{"", "/v1/status/leader", `"127.0.0.1:1"`},
		{"", "/v1/job/iris/versions", `{"Versions":[` + recordedJob + `]}`},
		{"", "/v1/job/iris/deployments", `[]`},
		{"", "/v1/job/iris/allocations", `[{"ID":"1a2b3c4d","JobVersion":0,"TaskStates":{"server":{"State":"dead"}}}]`},
		{"", "/v1/job/iris/plan", `{}`},
		{"GET", "/v1/job/iris", recordedJob},
		{"", "/v1/client/fs/logs", `last words`},
		{"", "/v1/event/stream", "{}\n"},
		{"", "/v1/session/create", `{"ID":"s"}`},
		{"", "/v1/session/renew", `[{"ID":"s"}]`},
		{"", "/v1/session/info", `[{"ID":"s"}]`},
		{"GET", "/v1/kv/weir/rollouts/iris/iris", `[{"Key":"weir/rollouts/iris/iris","Value":"eyJwaGFzZSI6IkRvbmUifQ==","ModifyIndex":1}]`},
		{"GET", "/v1/kv/weir/rollouts/", `["weir/rollouts/iris/iris"]`},
		{"GET", "/v1/kv/", `[]`},
		{"PUT", "/v1/kv/", `true`},
		{"", "/v1/txn", `{"Results":[{"KV":{"ModifyIndex":1}}]}`},
		{"", "/v1/catalog/services", `{}`},
		{"", "/v1/catalog/service/consul", `[{"Node":"server-1"}]`},
		{"", "/v1/health/", `[]`},
	} {
		if (a.method == "" || a.method == method) && strings.HasPrefix(path, a.prefix) {
			return a.body
		}
	}
	return `{}`
}

// given makes an argument of a type: of a kind that lets the call get as far as it can.
func given(ctx context.Context, of reflect.Type) reflect.Value {
	id, stored := "iris", consul.Stored{Record: rollout.Record{Model: "iris", ID: "iris"}}
	for _, v := range []any{
		"iris", uint64(1), json.RawMessage(recordedJob), &api.Job{ID: &id}, stored, &stored,
		nomad.Place{},
		traffic.Stable{},
		traffic.Canary{},
	} {
		if reflect.TypeOf(v) == of {
			return reflect.ValueOf(v)
		}
	}
	switch {
	case of == reflect.TypeFor[context.Context]():
		return reflect.ValueOf(ctx)
	case of.Kind() == reflect.Func:
		return reflect.MakeFunc(of, func([]reflect.Value) (out []reflect.Value) {
			for result := range of.Outs() {
				out = append(out, reflect.Zero(result))
			}
			return out
		})
	case of.Kind() == reflect.Chan:
		return reflect.MakeChan(reflect.ChanOf(reflect.BothDir, of.Elem()), 9)
	}
	return reflect.Zero(of)
}

// callAll calls each exported method of a client, those that watch for a moment.
func callAll(t *testing.T, client any, except ...string) {
	t.Helper()
	v := reflect.ValueOf(client)
	for i := range v.NumMethod() {
		if slices.Contains(except, v.Type().Method(i).Name) {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		var args []reflect.Value
		method := v.Method(i)
		for param := range method.Type().Ins() {
			args = append(args, given(ctx, param))
		}
		method.Call(args)
		cancel()
	}
}

// asked checks what a recorder was asked: each call has the parameters, and there are calls of each kind.
func (r *recorder) asked(t *testing.T, params map[string]string, kinds ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, req := range r.calls {
		for name, want := range params {
			if got := req.URL.Query().Get(name); got != want {
				t.Errorf("%s %s has %s %q, want %q", req.Method, req.URL, name, got, want)
			}
		}
	}
	for _, kind := range kinds {
		method, prefix, _ := strings.Cut(kind, " ")
		if !slices.ContainsFunc(r.calls, func(req *http.Request) bool {
			return req.Method == method && strings.HasPrefix(req.URL.Path, prefix)
		}) {
			t.Errorf("there was no call %s", kind)
		}
	}
}

// Every call to Nomad names namespace and region, and every call to Consul its datacenter, where they are given. Whatever
// the clients can do is called here.
func TestEveryCallNamesItsPlace(t *testing.T) {
	n, c := &recorder{}, &recorder{}
	nomadServer, consulServer := httptest.NewServer(n), httptest.NewServer(c)
	t.Cleanup(nomadServer.Close)
	t.Cleanup(consulServer.Close)

	anywhere, err := nomad.New(nomadServer.URL)
	if err != nil {
		t.Fatal(err)
	}
	there, err := anywhere.In(nomad.Place{Namespace: "teams", Region: "north"})
	if err != nil {
		t.Fatal(err)
	}
	callAll(t, there)
	n.asked(t, map[string]string{"namespace": "teams", "region": "north"},
		"GET /v1/status/leader", "PUT /v1/validate/job", "PUT /v1/job/iris/plan", "PUT /v1/jobs", "GET /v1/job/iris",
		"GET /v1/job/iris/versions", "GET /v1/job/iris/deployments", "GET /v1/job/iris/allocations",
		"PUT /v1/deployment/promote/", "PUT /v1/deployment/fail/", "PUT /v1/job/iris/revert", "DELETE /v1/job/iris",
		"GET /v1/client/fs/logs/", "GET /v1/event/stream")

	store, err := consul.NewIn(consulServer.URL, "south")
	if err != nil {
		t.Fatal(err)
	}
	callAll(t, store, "Acquire", "Turn")
	lease, err := store.Acquire(t.Context(), "iris", "me")
	if err != nil {
		t.Fatal(err)
	}
	callAll(t, lease, "Release")
	lease.Release(t.Context())
	c.asked(t, map[string]string{"dc": "south"},
		"GET /v1/status/leader", "PUT /v1/session/create", "PUT /v1/kv/weir/lease/", "PUT /v1/txn",
		"GET /v1/kv/weir/rollouts/", "GET /v1/kv/weir/traffic/", "GET /v1/kv/weir/ingress/", "GET /v1/health/",
		"GET /v1/catalog/services", "GET /v1/catalog/service/consul")
}

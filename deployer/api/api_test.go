package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	capi "github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/board"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// rig is the API in front of a Consul of its own, with three users.
type rig struct {
	t      *testing.T
	url    string
	consul *consul.Client
	raw    *capi.Client
	tokens map[string]string // by name
	audit  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	server := partstest.Consul(t)
	r := &rig{t: t, tokens: map[string]string{}, audit: &lockedBuffer{}}
	var err error
	if r.consul, err = consul.New(server.Addr); err != nil {
		t.Fatal(err)
	}
	if r.raw, err = capi.NewClient(&capi.Config{Address: server.Addr}); err != nil {
		t.Fatal(err)
	}
	n, err := nomad.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(r.audit, nil))
	gate, err := access.NewGate("0.0.0.0:1", r.users(log))
	if err != nil {
		t.Fatal(err)
	}
	b := board.New(r.consul, log)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	Routes(e, Config{
		Board: b, Gate: gate, Guard: &guard.Guard{Nomad: n, Consul: r.consul, Log: log}, Nomad: n, Consul: r.consul, Log: log,
	})
	web := httptest.NewServer(e)
	t.Cleanup(func() { web.CloseClientConnections(); web.Close(); cancel(); running.Wait() })
	r.url = web.URL + Prefix
	return r
}

func (r *rig) users(log *slog.Logger) *access.Tokens {
	r.t.Helper()
	var lines []string
	for name, p := range map[string]access.Principal{
		"viewer": {Role: access.Viewer, Models: []string{"iris"}}, "operator": {Role: access.Operator, Models: []string{"iris"}},
		"admin": {Role: access.Admin, Models: []string{"*"}},
	} {
		p.Name = name
		secret, line, err := access.NewToken(p)
		if err != nil {
			r.t.Fatal(err)
		}
		r.tokens[name], lines = secret, append(lines, line)
	}
	file := filepath.Join(r.t.TempDir(), "tokens.json")
	if err := os.WriteFile(file, []byte(`{"tokens":[`+strings.Join(lines, ",")+`]}`), 0o600); err != nil {
		r.t.Fatal(err)
	}
	tokens, err := access.OpenTokens(file, log)
	if err != nil {
		r.t.Fatal(err)
	}
	return tokens
}

// model stores a model with a rollout that bakes.
func (r *rig) model(name string) consul.Stored {
	r.t.Helper()
	value, _ := json.Marshal(traffic.Stable{Release: "v1-aaaaaaaa", Epoch: 1})
	if _, err := r.raw.KV().Put(&capi.KVPair{Key: traffic.StableKey(name), Value: value}, nil); err != nil {
		r.t.Fatal(err)
	}
	spec, err := rollout.NewSpec(rollout.StrategyCanary, nil, rollout.DefaultBake, rollout.DefaultWatch)
	if err != nil {
		r.t.Fatal(err)
	}
	spec.Notify = []string{"https://secret.example/hook"}
	s := consul.Stored{Record: rollout.Record{
		ID: "20260101T000000.000Z-a", Model: name, Phase: rollout.Baking, Release: "v2-bbbbbbbb", Stable: "v1-aaaaaaaa",
		Spec: spec, Job: json.RawMessage(`{"secret":1}`), Since: time.Now(),
	}}
	if err := r.consul.Save(r.t.Context(), &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) request(method, path, as, body string, headers ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if as != "" {
		req.Header.Set("Authorization", "Bearer "+r.tokens[as])
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { res.Body.Close() })
	return res
}

func (r *rig) do(method, path, as, body string, headers ...string) (int, string) {
	r.t.Helper()
	res := r.request(method, path, as, body, headers...)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode >= 400 && res.Header.Get("Content-Type") != "application/problem+json" {
		r.t.Errorf("%s %s: %d as %s", method, path, res.StatusCode, res.Header.Get("Content-Type"))
	}
	return res.StatusCode, string(text)
}

func (r *rig) want(status int, contains, method, path, as, body string, headers ...string) string {
	r.t.Helper()
	got, text := r.do(method, path, as, body, headers...)
	if got != status || !strings.Contains(text, contains) {
		r.t.Errorf("%s %s as %q %s: %d %s, want %d with %q", method, path, as, body, got, text, status, contains)
	}
	return text
}

func (r *rig) requests(model string) []rollout.Request {
	r.t.Helper()
	s, _, err := r.consul.Active(r.t.Context(), model)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Requests
}

func TestAPI(t *testing.T) {
	r := newRig(t)
	rec := r.model("iris")
	r.model("churn")
	for name, test := range map[string]func(*rig, consul.Stored){"read": testRead, "acts": testActs, "stream": testStream, "client": testClient} {
		t.Run(name, func(t *testing.T) {
			sub := *r
			sub.t = t
			test(&sub, rec)
		})
	}
}

func testRead(r *rig, rec consul.Stored) {
	r.want(401, `"no_token"`, "GET", "/models", "", "")
	if text := r.want(200, `"model":"iris"`, "GET", "/models", "viewer", ""); strings.Contains(text, "churn") {
		r.t.Errorf("a viewer of iris sees churn: %s", text)
	}
	r.want(200, `"model":"churn"`, "GET", "/models", "admin", "")
	text := r.want(200, `"phase":"Baking"`, "GET", "/models/iris", "viewer", "")
	if strings.Contains(text, "secret") {
		r.t.Errorf("the page tells the job or the hooks: %s", text)
	}
	r.want(404, `"no_model"`, "GET", "/models/churn", "viewer", "")
	r.want(404, `"no_model"`, "GET", "/models/nope", "admin", "")
	r.want(400, `"bad_model"`, "GET", "/models/Nope", "admin", "")
	r.want(200, rec.ID, "GET", "/models/iris/rollouts/"+rec.ID, "viewer", "")
	r.want(404, `"no_rollout"`, "GET", "/models/iris/rollouts/x", "viewer", "")
	r.want(200, `"role":"viewer"`, "GET", "/session", "viewer", "")
}

func testActs(r *rig, rec consul.Stored) {
	const path = "/models/iris/acts"
	for body, want := range map[string]string{
		`{"verb":"jump"}`: "verb", `{"verb":"pause","wieght":1}`: "wieght", `{"verb":"weights","weight":101}`: "weight",
		`{"verb":"pause","force":true}`: "force", `{"verb":"abort","to":"v1-aaaaaaaa"}`: "to", `{`: "read",
		`{"verb":"pause","why":"a\nb"}`: "line",
	} {
		r.want(400, want, "POST", path, "admin", body)
	}
	r.want(400, "application/json", "POST", path, "admin", `{"verb":"pause"}`, "Content-Type", "text/plain")
	r.want(413, "too_long", "POST", path, "admin", strings.Repeat(" ", maxBody+1))
	r.want(403, "not_allowed", "POST", path, "viewer", `{"verb":"pause"}`)
	r.want(403, "not_allowed", "POST", path, "operator", `{"verb":"abort","force":true}`)
	r.want(404, "no_model", "POST", "/models/churn/acts", "operator", `{"verb":"pause"}`)
	r.want(409, "other_rollout", "POST", path, "operator", `{"verb":"abort","rollout":"20250101T000000.000Z-a"}`)
	r.want(403, "foreign_request", "POST", path, "operator", `{"verb":"abort"}`, "Sec-Fetch-Site", "cross-site")
	if asked := r.requests("iris"); len(asked) != 0 {
		r.t.Fatalf("refused acts are in the record: %v", asked)
	}
	pause := fmt.Sprintf(`{"verb":"pause","why":"lunch","by":"somebody else","rollout":%q}`, rec.ID)
	for range 2 {
		r.want(202, rec.ID, "POST", path, "operator", pause, HeaderKey, "k1")
	}
	r.want(422, "other_act", "POST", path, "operator", `{"verb":"abort"}`, HeaderKey, "k1")
	r.want(202, rec.ID, "POST", path, "admin", `{"verb":"weights","weight":25}`, HeaderKey, "k1") // of another user
	asked := r.requests("iris")
	if len(asked) != 2 || asked[0].Verb != rollout.VerbPause || asked[0].By != "operator" || asked[0].Why != "lunch" ||
		asked[1].Weight != 25 {
		r.t.Errorf("asked %+v", asked)
	}
	for _, line := range []string{`verb=pause .*why=lunch .*outcome=accepted`, `by=viewer .*outcome=refused`} {
		if !regexp.MustCompile(line).MatchString(r.audit.String()) {
			r.t.Errorf("no line %q in the log:\n%s", line, r.audit)
		}
	}
	r.want(409, "no_rollout", "POST", "/models/none/acts", "admin", `{"verb":"abort"}`)
	r.want(409, "nothing_to_go_back_to", "POST", "/models/none/acts", "admin", `{"verb":"revert"}`)
}

// event is one server-sent event.
type event struct{ id, kind, data string }

// listen reads a stream; alive events are left out.
func (r *rig) listen(path, as, last string) (<-chan event, func()) {
	r.t.Helper()
	var headers []string
	if last != "" {
		headers = []string{"Last-Event-ID", last}
	}
	res := r.request("GET", path, as, "", headers...)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		r.t.Fatalf("%s: %s %s", path, res.Status, res.Header)
	}
	out := make(chan event, 100)
	go func() {
		defer close(out)
		var e event
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				e.data = value
			case "":
				if e.kind != "alive" {
					out <- e
				}
				e = event{}
			}
		}
	}()
	return out, func() { res.Body.Close() }
}

func (r *rig) next(events <-chan event) event {
	r.t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		r.t.Fatal("no event")
		return event{}
	}
}

func testStream(r *rig, _ consul.Stored) {
	events, leave := r.listen("/events", "viewer", "")
	first := r.next(events)
	if first.kind != "models" || !strings.Contains(first.data, `"full":true`) || strings.Contains(first.data, "churn") {
		r.t.Fatalf("first %+v", first)
	}
	leave()
	value, _ := json.Marshal(traffic.Canary{Release: "v2-bbbbbbbb", Epoch: 2, Weight: 10})
	if _, err := r.raw.KV().Put(&capi.KVPair{Key: traffic.CanaryKey("iris"), Value: value}, nil); err != nil {
		r.t.Fatal(err)
	}
	again, leave := r.listen("/events", "viewer", first.id)
	defer leave()
	if e := r.next(again); !strings.Contains(e.data, `"full":false`) || !strings.Contains(e.data, `"weight":10`) {
		r.t.Errorf("after the break %+v", e)
	}
	page, leavePage := r.listen("/models/iris/events", "viewer", "")
	defer leavePage()
	if e := r.next(page); e.kind != "page" || !strings.Contains(e.data, `"weight":10`) {
		r.t.Errorf("page %+v", e)
	}
	if _, err := r.raw.KV().Delete(traffic.CanaryKey("iris"), nil); err != nil {
		r.t.Fatal(err)
	}
	if e := r.next(page); e.kind != "page" || !strings.Contains(e.data, `"weight":0`) {
		r.t.Errorf("changed page %+v", e)
	}
	gone, leaveGone := r.listen("/models/nope/events", "admin", "")
	defer leaveGone()
	if e := r.next(gone); e.kind != "gone" {
		r.t.Errorf("a model that is not there: %+v", e)
	}
}

func testClient(r *rig, _ consul.Stored) {
	r.model("clients")
	c := NewClient(r.url[:len(r.url)-len(Prefix)]+"/", r.tokens["admin"])
	got, err := c.Act(r.t.Context(), "clients", Act{Verb: "pause", Why: "lunch"})
	if err != nil || got.Phase != rollout.Baking || len(r.requests("clients")) != 1 {
		r.t.Fatalf("%+v, %v", got, err)
	}
	var refused *Error
	if _, err := c.Act(r.t.Context(), "nope", Act{Verb: "abort"}); !errors.As(err, &refused) || refused.Code != "no_rollout" {
		r.t.Errorf("without a rollout: %v", err)
	}
	page, err := c.Page(r.t.Context(), "clients")
	if err != nil || len(page.Rollout.Asked) != 1 || page.Rollout.Index == 0 {
		r.t.Errorf("page %+v, %v", page.Rollout, err)
	}
	s, _, err := r.consul.Active(r.t.Context(), "clients")
	if err != nil {
		r.t.Fatal(err)
	}
	seen := 0
	err = c.Follow(r.t.Context(), "clients", func(p board.Page) bool {
		if seen++; seen == 1 {
			s.Phase = rollout.Done
			if err := r.consul.Save(r.t.Context(), &s); err != nil {
				r.t.Error(err)
			}
		}
		return p.Rollout.Active
	})
	if err != nil || seen < 2 {
		r.t.Errorf("followed %d pages, %v", seen, err)
	}
	if err := NewClient(r.url, "").Follow(r.t.Context(), "clients", nil); err == nil {
		r.t.Error("followed a page that is not there")
	}
}

// TestDocument compares the document with the routes.
func TestDocument(t *testing.T) {
	var d struct {
		Openapi    string
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(Document, &d); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, methods := range d.Paths {
		for method := range methods {
			if method != "parameters" {
				described[strings.ToUpper(method)+" "+Prefix+path] = true
			}
		}
	}
	e := gin.New()
	Routes(e, Config{})
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range e.Routes() {
		name := route.Method + " " + parameter.ReplaceAllString(route.Path, "{$1}")
		if !described[name] {
			t.Errorf("%s is not described", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("%s is described, but not there", name)
	}
	for _, of := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllSubmatch(Document, -1) {
		if d.Components.Schemas[string(of[1])] == nil {
			t.Errorf("there is no schema %s", of[1])
		}
	}
}

package client_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
	"github.com/weirhq/weir/internal/parts/partstest"
)

// limit bounds every wait of the tests.
const limit = 20 * time.Second

// harness is a client under test, with every update that it has sent.
type harness struct {
	*client.Client
	t      *testing.T
	dir    string
	consul *consulapi.Client // nil without Consul

	mu      sync.Mutex
	latest  map[string]client.Update
	changed chan struct{}
	closing sync.Once
}

func newHarness(t *testing.T, consulAddr string) *harness {
	t.Helper()
	return newHarnessAt(t, t.TempDir(), consulAddr)
}

// newHarnessAt is a harness that works in dir, perhaps after another client.
func newHarnessAt(t *testing.T, dir, consulAddr string, set ...func(*client.Config)) *harness {
	t.Helper()
	h := &harness{t: t, dir: dir, latest: map[string]client.Update{}, changed: make(chan struct{})}
	cfg := client.Config{
		DataDir: h.dir, ConsulAddr: consulAddr, NodeID: "node-1", NodeName: "n1", TieTasks: true,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range set {
		f(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Client = c
	done := make(chan struct{})
	go func() {
		defer close(done)
		for u := range c.Updates() {
			h.mu.Lock()
			h.latest[u.AllocID] = u
			close(h.changed)
			h.changed = make(chan struct{})
			h.mu.Unlock()
		}
	}()
	t.Cleanup(func() { h.close(); <-done })
	return h
}

// withConsul is a harness with a Consul of its own.
func withConsul(t *testing.T) *harness {
	t.Helper()
	server := partstest.Consul(t)
	h := newHarness(t, server.Addr)
	c, err := server.Client()
	if err != nil {
		t.Fatal(err)
	}
	h.consul = c
	return h
}

func (h *harness) close() {
	h.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			h.t.Errorf("close: %v", err)
		}
	})
}

// await returns the first update of the allocation, from the latest on, that satisfies ok.
func (h *harness) await(id, what string, ok func(client.Update) bool) client.Update {
	h.t.Helper()
	timeout := time.After(limit)
	for {
		h.mu.Lock()
		u, changed := h.latest[id], h.changed
		h.mu.Unlock()
		if u.AllocID != "" && ok(u) {
			return u
		}
		select {
		case <-changed:
		case <-timeout:
			h.t.Fatalf("no update that is %s within %s; the last is %s", what, limit, describe(u))
		}
	}
}

func (h *harness) awaitStatus(id, status string) client.Update {
	h.t.Helper()
	return h.await(id, status, func(u client.Update) bool { return u.ClientStatus == status })
}

func describe(u client.Update) string {
	text := fmt.Sprintf("%s (%s), healthy %v", u.ClientStatus, u.ClientDescription, u.Healthy)
	for _, name := range slices.Sorted(maps.Keys(u.TaskStates)) {
		text += "\n" + name + ": " + u.TaskStates[name].State + " " + strings.Join(eventTexts(u, name), " | ")
	}
	return text
}

// eventTexts returns the events of a task as "type: message".
func eventTexts(u client.Update, task string) []string {
	var texts []string
	for _, e := range u.TaskStates[task].Events {
		texts = append(texts, e.Type+": "+e.DisplayMessage)
	}
	return texts
}

func (h *harness) run(spec *api.Allocation) {
	h.t.Helper()
	if err := h.Run(spec); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) eventually(what string, ok func() bool) {
	h.t.Helper()
	eventually(h.t, what, ok)
}

// eventually asks until ok, for what sends no event to the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func (h *harness) service(allocID string) *consulapi.AgentService {
	h.t.Helper()
	return serviceOf(h.t, h.consul, allocID)
}

// serviceOf returns the one service of the allocation in Consul's agent, nil if there is none.
func serviceOf(t *testing.T, consul *consulapi.Client, allocID string) *consulapi.AgentService {
	t.Helper()
	services, err := consul.Agent().Services()
	if err != nil {
		t.Fatal(err)
	}
	for id, s := range services {
		if strings.Contains(id, allocID) {
			return s
		}
	}
	return nil
}

func (h *harness) get(spec *api.Allocation, path string) {
	port := spec.AllocatedResources.Shared.Ports[0]
	target := fmt.Sprintf("http://%s:%d%s", port.HostIP, port.Value, path)
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, target, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
}

// newAllocation returns an allocation of one group with one task, this test binary in the given role.
func newAllocation(t *testing.T, role string) *api.Allocation {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	task := &api.Task{
		Name: "server", Driver: "raw_exec", Config: map[string]any{"command": exe},
		Env:         map[string]string{"TASK": role, "GORACE": "atexit_sleep_ms=0"}, // else -race makes each exit last 1 s
		KillTimeout: new(2 * time.Second),
	}
	group := &api.TaskGroup{
		Name: new("model"), Tasks: []*api.Task{task}, ShutdownDelay: new(time.Duration(0)),
		RestartPolicy: &api.RestartPolicy{
			Attempts: new(0), Interval: new(time.Minute), Delay: new(100 * time.Millisecond), Mode: new("fail"),
		},
		Update: &api.UpdateStrategy{
			HealthCheck: new("checks"), MinHealthyTime: new(300 * time.Millisecond), HealthyDeadline: new(10 * time.Second),
		},
	}
	return &api.Allocation{
		ID: newID(), Name: "m.model[0]", JobID: "m", TaskGroup: "model", Namespace: "default",
		Job: &api.Job{ID: new("m"), Name: new("m"), Type: new("service"), TaskGroups: []*api.TaskGroup{group}},
		AllocatedResources: &api.AllocatedResources{Shared: api.AllocatedSharedResources{
			Ports: []api.PortMapping{{Label: "http", Value: partstest.Port(t), HostIP: "127.0.0.1"}},
		}},
	}
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func group(spec *api.Allocation) *api.TaskGroup { return spec.Job.TaskGroups[0] }
func task(spec *api.Allocation) *api.Task       { return group(spec).Tasks[0] }

// withService gives the group a service with an HTTP check every second.
func withService(spec *api.Allocation) *api.Allocation {
	group(spec).Services = []*api.Service{{
		Name: "m", PortLabel: "http", Provider: "consul",
		Tags: []string{"live", "v=1"}, CanaryTags: []string{"canary"},
		Meta: map[string]string{"release": "r1"}, CanaryMeta: map[string]string{"release": "r1", "canary": "true"},
		Checks: []api.ServiceCheck{{
			Name: "health", Type: "http", Path: "/health", Interval: time.Second, Timeout: time.Second,
		}},
	}}
	return spec
}

// revised returns a copy of the allocation with a job of its own to change.
func revised(spec *api.Allocation) *api.Allocation {
	next, job, g := *spec, *spec.Job, *group(spec)
	job.TaskGroups = []*api.TaskGroup{&g}
	next.Job = &job
	return &next
}

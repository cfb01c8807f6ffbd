package contract

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// fixture is a job under test. Every test has its own, so that they run side by side.
type fixture struct {
	*target
	t   *testing.T
	id  string
	ctx context.Context
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel()
	return fixtureOn(t, theTarget(t))
}

// fixtureOn makes a fixture for a Nomad of the test's own.
func fixtureOn(t *testing.T, tg *target) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	id := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '/' || r == '_' {
			return '-'
		}
		return r
	}, t.Name()))
	if len(id) > 50 {
		id = id[:50]
	}
	f := &fixture{target: tg, t: t, ctx: ctx, id: fmt.Sprintf("%s-%d", id, time.Now().UnixNano()%1e6)}
	t.Cleanup(func() {
		defer cancel()
		if _, _, err := f.nomad.Jobs().Deregister(f.id, true, nil); err != nil {
			t.Errorf("purge the job: %v", err)
		}
	})
	return f
}

// ample is the progress deadline, and twice the healthy deadline, of what is to succeed, on a busy machine too.
const ample = time.Minute

// spec describes the job of a fixture.
type spec struct {
	count, canary, parallel int
	autoRevert, autoPromote bool
	version                 string // any change of it is destructive
	mode                    string // of the task, see serveTask
	checks                  bool   // health by Consul's checks, else by task states
	minHealthy, deadline    time.Duration
	progress                time.Duration
	shutdown                time.Duration
	attempts                int // of reschedule; 0 unlimited, -1 none
	restarts                int
	tags, canaryTags        []string
	change                  func(*api.Job)
}

func (f *fixture) job(s spec) *api.Job {
	if s.mode == "" {
		s.mode = "good"
	}
	exe, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	health := "task_states"
	if s.checks {
		health = "checks"
	}
	deadline, minHealthy := or(s.deadline, ample/2), or(s.minHealthy, 300*time.Millisecond)
	if s.mode == "crash" {
		minHealthy = or(s.minHealthy, 2*time.Second) // on a busy machine it takes a while to crash
	}
	task := &api.Task{
		Name: "server", Driver: "raw_exec", Config: map[string]any{"command": exe},
		Env:       map[string]string{taskMode: s.mode, "VERSION": s.version},
		Resources: &api.Resources{CPU: new(20), MemoryMB: new(20)}, KillTimeout: new(2 * time.Second),
	}
	group := &api.TaskGroup{
		Name: new("model"), Count: new(s.count), Tasks: []*api.Task{task}, ShutdownDelay: new(s.shutdown),
		Networks:      []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}}},
		RestartPolicy: &api.RestartPolicy{Attempts: new(s.restarts), Mode: new("fail"), Delay: new(100 * time.Millisecond), Interval: new(time.Minute)},
		ReschedulePolicy: &api.ReschedulePolicy{
			Attempts: new(max(s.attempts, 0)), Unlimited: new(s.attempts == 0), Interval: new(time.Hour),
			Delay: new(5 * time.Second), DelayFunction: new("constant"), MaxDelay: new(time.Hour),
		},
		Update: &api.UpdateStrategy{
			Canary: new(s.canary), MaxParallel: new(or(s.parallel, 1)), AutoRevert: new(s.autoRevert), AutoPromote: new(s.autoPromote),
			HealthCheck: new(health), MinHealthyTime: new(minHealthy),
			HealthyDeadline: new(deadline), ProgressDeadline: new(s.progress), Stagger: new(time.Second),
		},
	}
	if s.checks {
		group.Services = []*api.Service{{
			Name: f.id, PortLabel: "http", Provider: "consul", Tags: s.tags, CanaryTags: s.canaryTags,
			Checks: []api.ServiceCheck{{Name: "health", Type: "http", Path: "/health", Interval: time.Second, Timeout: time.Second}},
		}}
	}
	job := &api.Job{
		ID: new(f.id), Name: new(f.id), Type: new("service"), Datacenters: []string{"dc1"}, TaskGroups: []*api.TaskGroup{group},
	}
	if s.change != nil {
		s.change(job)
	}
	return job
}

func or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func (f *fixture) register(s spec) *api.JobRegisterResponse {
	f.t.Helper()
	resp, _, err := f.nomad.Jobs().Register(f.job(s), nil)
	if err != nil {
		f.t.Fatalf("register: %v", err)
	}
	return resp
}

// deployed registers a spec and awaits its deployment's success.
func (f *fixture) deployed(s spec) *api.Deployment {
	f.t.Helper()
	index := f.register(s).JobModifyIndex
	var d *api.Deployment
	f.eventually("the deployment of the new version succeeds", func() bool {
		d = f.latest()
		return d != nil && d.JobSpecModifyIndex == index && d.Status == "successful"
	}, func() string { return dump(d) + "\n" + f.list() })
	return d
}

func (f *fixture) latest() *api.Deployment {
	f.t.Helper()
	d, _, err := f.nomad.Jobs().LatestDeployment(f.id, nil)
	if err != nil {
		f.t.Fatalf("read the deployment: %v", err)
	}
	return d
}

func (f *fixture) deployment(id string) *api.Deployment {
	f.t.Helper()
	d, _, err := f.nomad.Deployments().Info(id, nil)
	if err != nil {
		f.t.Fatalf("read the deployment: %v", err)
	}
	return d
}

// deploymentIs awaits that the newest deployment has a status and a description ("" for any).
func (f *fixture) deploymentIs(status, description string) *api.Deployment {
	f.t.Helper()
	var d *api.Deployment
	f.eventually("deployment is "+status+" "+description, func() bool {
		d = f.latest()
		return d != nil && d.Status == status && (description == "" || d.StatusDescription == description)
	}, func() string { return dump(d) + "\n" + f.list() })
	return d
}

// canariesHealthy awaits n healthy canaries that want promotion.
func (f *fixture) canariesHealthy(n int) *api.Deployment {
	f.t.Helper()
	var d *api.Deployment
	f.eventually(fmt.Sprintf("%d canaries are healthy", n), func() bool {
		d = f.latest()
		g := group(d)
		return g != nil && g.DesiredCanaries == n && g.HealthyAllocs >= n && len(g.PlacedCanaries) == n
	}, func() string { return dump(d) })
	return d
}

func group(d *api.Deployment) *api.DeploymentState {
	if d == nil {
		return nil
	}
	return d.TaskGroups["model"]
}

func dump(d *api.Deployment) string {
	if d == nil {
		return "no deployment"
	}
	return fmt.Sprintf("v%d %s %q %+v", d.JobVersion, d.Status, d.StatusDescription, group(d))
}

func (f *fixture) allocs() []*api.AllocationListStub {
	f.t.Helper()
	allocs, _, err := f.nomad.Jobs().Allocations(f.id, false, nil)
	if err != nil {
		f.t.Fatalf("list allocations: %v", err)
	}
	return allocs
}

// running lists the allocations of a job version that are meant to run and do.
func (f *fixture) running(version uint64) []*api.AllocationListStub {
	var out []*api.AllocationListStub
	for _, a := range f.allocs() {
		if a.DesiredStatus == "run" && a.ClientStatus == "running" && a.JobVersion == version {
			out = append(out, a)
		}
	}
	return out
}

func (f *fixture) versions() []*api.Job {
	f.t.Helper()
	versions, _, _, err := f.nomad.Jobs().Versions(f.id, false, nil)
	if err != nil {
		f.t.Fatalf("read versions: %v", err)
	}
	return versions
}

// eventually awaits a condition for a minute.
func (f *fixture) eventually(what string, holds func() bool, state func() string) {
	f.t.Helper()
	f.await(what, 20*time.Millisecond, holds, state)
}

// soon is eventually, for measurements: it looks again every 3 ms.
func (f *fixture) soon(what string, holds func() bool) {
	f.t.Helper()
	f.await(what, 3*time.Millisecond, holds, f.list)
}

func (f *fixture) await(what string, pause time.Duration, holds func() bool, state func() string) {
	f.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: not within a minute: %s", what, state())
		}
		time.Sleep(pause)
	}
}

func (f *fixture) promote(id string) {
	f.t.Helper()
	if _, _, err := f.nomad.Deployments().PromoteAll(id, nil); err != nil {
		f.t.Fatalf("promote: %v", err)
	}
}

// call sends a request as it is and returns status, body and headers.
func (tg *target) call(t *testing.T, method, path, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, tg.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(tg.token, "Bearer ") {
		req.Header.Set("Authorization", tg.token)
	} else if tg.token != "" {
		req.Header.Set("X-Nomad-Token", tg.token)
	}
	req.Header.Set("Accept-Encoding", "identity") // a real Nomad names no type for what it compresses
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// wants checks a status and a body.
func (tg *target) wants(t *testing.T, method, path, body string, status int, text string) {
	t.Helper()
	gotStatus, got, _ := tg.call(t, method, path, body)
	if gotStatus != status || got != text {
		t.Errorf("%s %s: got %d %q, want %d %q", method, path, gotStatus, got, status, text)
	}
}

package devnomad

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// liveLimit bounds what a test with real tasks waits for.
const liveLimit = 20 * time.Second

// liveJob runs real tasks: this test binary as an HTTP server, checked by Consul where consul is true.
func liveJob(version string, count, canary int, consul bool) *api.Job {
	task := &api.Task{
		Name: "t", Driver: "raw_exec", Config: map[string]any{"command": os.Args[0]}, KillTimeout: new(time.Second),
		Env: map[string]string{"DEVNOMAD_TEST": "task", "VERSION": version},
	}
	group := &api.TaskGroup{
		Name: new("g"), Count: new(count), Tasks: []*api.Task{task},
		Networks: []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}}},
		Update: &api.UpdateStrategy{
			Canary: new(canary), MaxParallel: new(max(canary, 1)), HealthCheck: new("task_states"),
			MinHealthyTime: new(100 * time.Millisecond), HealthyDeadline: new(10 * time.Second),
			ProgressDeadline: new(30 * time.Second),
		},
	}
	if consul {
		group.Update.HealthCheck = new("checks")
		group.Services = []*api.Service{{
			Name: "live", PortLabel: "http", Provider: "consul", Tags: []string{"live"}, CanaryTags: []string{"canary"},
			Checks: []api.ServiceCheck{{Type: "http", Path: "/", Interval: time.Second, Timeout: time.Second}},
		}}
	}
	return &api.Job{ID: new("live"), Name: new("live"), Type: new("service"), TaskGroups: []*api.TaskGroup{group}}
}

// live is an agent under test with a client of its API.
type live struct {
	t   *testing.T
	api *api.Client
}

// startAgent runs an agent until the test ends, or until stop.
func startAgent(t *testing.T, cfg Config) (l live, stop func()) {
	t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return newLive(t, a.Addr()), background(t, a.Run)
}

// background runs something until the test ends, or until stop.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func newLive(t *testing.T, addr string) live {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := api.NewClient(&api.Config{Address: "http://" + addr, HttpClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return live{t, c}
}

// await waits until a condition on what it reads holds.
func await[T any](t *testing.T, what string, read func() (T, error), ok func(T) bool) T {
	t.Helper()
	var last T
	var err error
	for deadline := time.Now().Add(liveLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last, err = read(); err == nil && ok(last) {
			return last
		}
	}
	t.Fatalf("%s did not come: last %+v, %v", what, last, err)
	return last
}

func (l live) register(job *api.Job) {
	l.t.Helper()
	if _, _, err := l.api.Jobs().Register(job, nil); err != nil {
		l.t.Fatal(err)
	}
}

func (l live) awaitDeployment(what string, ok func(*api.Deployment) bool) *api.Deployment {
	l.t.Helper()
	return await(l.t, what, func() (*api.Deployment, error) {
		d, _, err := l.api.Jobs().LatestDeployment("live", nil)
		return d, err
	}, func(d *api.Deployment) bool { return d != nil && ok(d) })
}

func (l live) awaitSuccess(version uint64) *api.Deployment {
	l.t.Helper()
	return l.awaitDeployment("success", func(d *api.Deployment) bool {
		return d.JobVersion == version && d.Status == api.DeploymentStatusSuccessful
	})
}

// running returns the allocations of the job that run, full.
func (l live) running() (out []*api.Allocation) {
	l.t.Helper()
	stubs, _, err := l.api.Jobs().Allocations("live", false, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range stubs {
		if s.DesiredStatus == "run" && s.ClientStatus == "running" {
			a, _, err := l.api.Allocations().Info(s.ID, nil)
			if err != nil {
				l.t.Fatal(err)
			}
			out = append(out, a)
		}
	}
	return out
}

// get asks an address and returns the answer.
func get(t *testing.T, url string) string {
	t.Helper()
	c := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(body))
}

// killTasks ends what an agent that was killed has left in a data folder.
func killTasks(t *testing.T, dir string) {
	t.Cleanup(func() {
		left, err := client.Leftovers(dir)
		if err != nil {
			t.Error(err)
		}
		for _, p := range left {
			if err := p.Kill(context.Background(), 9, time.Second); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCallsReachEveryNodeInTheProcess(t *testing.T) {
	t.Parallel()
	l, _ := startAgent(t, Config{DataDir: t.TempDir(), Clients: 3, NodeName: "n", TieTasks: true})
	l.register(liveJob("7", 3, 0, false))
	l.awaitSuccess(0)
	nodes := map[string]bool{}
	for _, a := range l.running() {
		nodes[a.NodeName] = true
		path := "/v1/client/fs/logs/" + a.ID + "?task=t&type=stdout&plain=true"
		if got := get(t, l.api.Address()+path); got != "version 7" {
			t.Errorf("logs of %s: %q", a.NodeName, got)
		}
		if _, err := l.api.Allocations().Stats(a, nil); err != nil {
			t.Errorf("stats of %s: %v", a.NodeName, err)
		}
		if err := l.api.Allocations().Restart(a, "t", nil); err != nil {
			t.Errorf("restart on %s: %v", a.NodeName, err)
		}
		await(t, "restart", func() (*api.Allocation, error) {
			now, _, err := l.api.Allocations().Info(a.ID, nil)
			return now, err
		}, func(now *api.Allocation) bool { return now.TaskStates["t"].Restarts == 1 })
	}
	if len(nodes) != 3 || !nodes["n"] || !nodes["n-2"] || !nodes["n-3"] {
		t.Errorf("it runs on %v", nodes)
	}
}

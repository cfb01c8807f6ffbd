package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	nomadapi "github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/deploy"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/devnomad"
	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/jobs"
)

const (
	oldRelease = "v1.0.0-aaaaaaaa"
	newRelease = "v1.1.0-bbbbbbbb"
	perRelease = 2 // instances
)

// fleet is many models, and all that a daemon finds around it.
type fleet struct {
	t         *testing.T
	models    []string
	consul    *parts.ConsulServer
	raw       *consulapi.Client
	records   *consul.Client
	nomad     *nomad.Client
	node      *node
	instances *instances
	toConsul  *counting // what the daemon calls
	toNomad   *counting
	job       *nomadapi.Job
}

// startFleet starts the parts, and n models with a stable release each.
func startFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{t: t}
	for i := range n {
		f.models = append(f.models, fmt.Sprintf("model-%04d", i))
	}
	var err error
	// The test's own calls and the counting server's come from the same address as everybody's, and are not what is measured.
	f.consul, err = parts.StartConsul(t.Context(), parts.ConsulConfig{
		Tied: true, Args: []string{"-hcl=limits { http_max_conns_per_client = 12000 }"},
		Options: parts.Options{Progress: t.Output()},
	})
	f.must(err)
	t.Cleanup(func() {
		if err := f.consul.Stop(); err != nil {
			t.Errorf("stop Consul: %v", err)
		}
	})
	f.raw, err = f.consul.Client()
	f.must(err)
	f.records, err = consul.New(f.consul.Addr)
	f.must(err)
	agentAddr := f.startNomad()
	f.nomad, err = nomad.New("http://" + agentAddr)
	f.must(err)
	f.instances = startInstances(t)
	f.node = startNode(t, agentAddr, f.raw, f.instances.addr, f.instances.port)
	f.toConsul, f.toNomad = startCounting(t, f.consul.Addr), startCounting(t, agentAddr)
	f.job, err = jobspec.Parse(jobs.InferenceFile, jobs.Inference, jobspec.Vars{Flags: map[string]string{
		"model": "model", "model_version": "v1", "artifact": "/model.pkl", "digest": "sha256:" + strings.Repeat("0", 64),
		"command": "/bin/inference", "count": fmt.Sprint(perRelease),
	}})
	f.must(err)
	f.job.Canonicalize()
	f.stable()
	startIngress(t, f.raw)
	return f
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// startNomad starts the embedded agent's server, without a node.
func (f *fleet) startNomad() string {
	f.t.Helper()
	agent, err := devnomad.New(devnomad.Config{Addr: "127.0.0.1:0", Clients: -1, NodeName: "server"})
	f.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("stop Nomad: %v", err)
		}
	})
	return agent.Addr()
}

// jobOf returns a model's job, without what only a real node could do.
func (f *fleet) jobOf(model, release, attempt string) json.RawMessage {
	job := *f.job
	group := *job.TaskGroups[0]
	group.Networks, group.Services = nil, nil
	task := *group.Tasks[0]
	task.Env = maps.Clone(task.Env)
	task.Env["MODEL_RELEASE"] = release
	group.Tasks = []*nomadapi.Task{&task}
	job.ID, job.Name, job.TaskGroups = &model, &model, []*nomadapi.TaskGroup{&group}
	job.Meta = map[string]string{nomad.MetaRelease: release, nomad.MetaAttempt: attempt}
	text, err := json.Marshal(&job)
	f.must(err)
	return text
}

// each does something for all models, eight at a time.
func (f *fleet) each(models []string, do func(model string) error) {
	f.t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for _, m := range models {
		group.Go(func() error { return do(m) })
	}
	f.must(group.Wait())
}

// stable brings the stable releases up.
func (f *fleet) stable() {
	f.t.Helper()
	value, err := json.Marshal(traffic.Stable{Release: oldRelease, Epoch: 1})
	f.must(err)
	f.each(f.models, func(model string) error {
		if err := f.nomad.Register(f.t.Context(), f.jobOf(model, oldRelease, "first"), 0); err != nil {
			return err
		}
		_, err := f.raw.KV().Put(&consulapi.KVPair{Key: traffic.StableKey(model), Value: value}, nil)
		return err
	})
	f.await("the stable instances", func() bool { return f.node.count() == perRelease*len(f.models) })
}

// begin stores a rollout of each model, for a daemon to find.
func (f *fleet) begin(judged bool) {
	f.t.Helper()
	spec, err := rollout.NewSpec(rollout.StrategyCanary, []int{10, 100}, rollout.Duration(time.Hour), rollout.Duration(time.Second))
	f.must(err)
	spec.Steps[1].Bake = rollout.Duration(time.Second)
	spec.Settle = rollout.Duration(2 * time.Minute)
	if judged {
		f.must(judge.Put(&spec, judge.Config{Spec: analysis.Default()}))
	}
	f.each(f.models, func(model string) error {
		rec := deploy.Blank(model, "test")
		var job nomadapi.Job
		if err := json.Unmarshal(f.jobOf(model, newRelease, rec.Attempt), &job); err != nil {
			return err
		}
		rec, err := deploy.Fill(rec, &job, spec)
		if err != nil {
			return err
		}
		return f.records.Save(f.t.Context(), &consul.Stored{Record: rec})
	})
}

// phases counts the newest records of all models by phase.
func (f *fleet) phases() map[rollout.Phase]int {
	f.t.Helper()
	var mu sync.Mutex
	out := map[rollout.Phase]int{}
	f.each(f.models, func(model string) error {
		s, _, err := f.records.Active(f.t.Context(), model)
		mu.Lock()
		defer mu.Unlock()
		out[s.Phase]++
		return err
	})
	return out
}

// limit is how long a phase of the measurement may take.
const limit = 5 * time.Minute

func (f *fleet) await(what string, ok func() bool) time.Duration {
	f.t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			f.t.Fatalf("waited %s for %s; the rollouts are %v", limit, what, f.phases())
		}
		time.Sleep(time.Second) // the pace of looking, which costs calls too
	}
	return time.Since(began)
}

// awaitGone waits until a canary key is gone, and returns when that was.
func (f *fleet) awaitGone(ctx context.Context, model string) (time.Time, error) {
	var index uint64
	for {
		pair, meta, err := f.raw.KV().Get(traffic.CanaryKey(model), (&consulapi.QueryOptions{WaitIndex: index}).WithContext(ctx))
		if err != nil {
			return time.Time{}, errors.Join(fmt.Errorf("wait for the end of %s's canary", model), err)
		}
		if pair == nil {
			return time.Now(), nil
		}
		index = meta.LastIndex
	}
}

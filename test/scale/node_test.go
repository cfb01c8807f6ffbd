package scale

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/traffic"
)

// node plays a Nomad client whose tasks are nothing but an entry in Consul's catalog. It speaks the embedded agent's
// protocol for nodes on other machines.
type node struct {
	base   string
	id     string
	consul *consulapi.Client
	addr   func(release string, i int) string // address of the i-th instance that it starts; the port is port
	port   int

	mu        sync.Mutex
	instances map[string][]instance // model → all that are registered
	started   int
}

// instance is an entry in Consul's catalog.
type instance struct{ alloc, release, serviceID string }

const consulNode = "scale"

func startNode(t *testing.T, nomadAddr string, consul *consulapi.Client, addr func(string, int) string, port int) *node {
	t.Helper()
	n := &node{
		base: "http://" + nomadAddr + "/v1/weir", id: "11111111-2222-3333-4444-555555555555", consul: consul,
		addr: addr, port: port, instances: map[string][]instance{},
	}
	resources := &api.NodeResources{MinDynamicPort: 20000, MaxDynamicPort: 32000}
	resources.Cpu.CpuShares, resources.Memory.MemoryMB, resources.Disk.DiskMB = 1<<40, 1<<40, 1<<40
	doc := &api.Node{
		ID: n.id, Name: "scale", Datacenter: "dc1", NodePool: "default", HTTPAddr: "127.0.0.1:1",
		Status: api.NodeStatusReady, SchedulingEligibility: api.NodeSchedulingEligible,
		Attributes:    map[string]string{"kernel.name": "linux", "driver.raw_exec": "1"},
		Drivers:       map[string]*api.DriverInfo{"raw_exec": {Detected: true, Healthy: true}},
		NodeResources: resources, ReservedResources: &api.NodeReservedResources{},
	}
	if err := n.call(t.Context(), http.MethodPut, "/nodes", doc, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := consul.Catalog().Register(&consulapi.CatalogRegistration{Node: consulNode, Address: "127.0.0.1"}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.beat(ctx) })
	running.Go(func() { n.pull(ctx, t) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return n
}

func (n *node) beat(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		_ = n.call(ctx, http.MethodPut, "/node/"+n.id+"/heartbeat", struct{}{}, nil) // the next one will do
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// update is what the node tells of an allocation.
type update struct {
	AllocID, ClientStatus, DeploymentID string
	Healthy                             *bool
	HealthAt                            time.Time
}

func (n *node) pull(ctx context.Context, t *testing.T) {
	var at struct {
		Epoch  string
		Index  uint64
		Allocs []*api.Allocation
	}
	for ctx.Err() == nil {
		epoch, index := at.Epoch, at.Index
		at.Allocs = nil
		path := fmt.Sprintf("/node/%s/assignments?epoch=%s&index=%d", n.id, epoch, index)
		if err := n.call(ctx, http.MethodGet, path, nil, &at); err != nil {
			continue
		}
		updates := make([]update, len(at.Allocs))
		var group errgroup.Group
		group.SetLimit(8)
		for i, a := range at.Allocs {
			group.Go(func() (err error) { updates[i], err = n.apply(a); return err })
		}
		err := group.Wait()
		if err == nil {
			err = n.call(ctx, http.MethodPut, "/node/"+n.id+"/updates", updates, nil)
		}
		if err != nil && ctx.Err() == nil {
			t.Errorf("the node: %v", err)
		}
	}
}

// apply starts or ends what stands for an allocation's tasks.
func (n *node) apply(a *api.Allocation) (update, error) {
	if a.DesiredStatus != api.AllocDesiredStatusRun {
		return update{AllocID: a.ID, ClientStatus: api.AllocClientStatusComplete}, n.deregister(a)
	}
	healthy := true
	return update{
		AllocID: a.ID, ClientStatus: api.AllocClientStatusRunning, DeploymentID: a.DeploymentID, Healthy: &healthy, HealthAt: time.Now(),
	}, n.register(a)
}

func (n *node) register(a *api.Allocation) error {
	in := instance{alloc: a.ID, release: a.Job.Meta[nomad.MetaRelease], serviceID: "_nomad-task-" + a.ID + "-group-inference"}
	n.mu.Lock()
	for _, have := range n.instances[a.JobID] {
		if have.alloc == a.ID {
			n.mu.Unlock()
			return nil
		}
	}
	n.instances[a.JobID] = append(n.instances[a.JobID], in)
	n.started++
	number := n.started
	n.mu.Unlock()
	_, err := n.consul.Catalog().Register(&consulapi.CatalogRegistration{
		Node: consulNode, Address: "127.0.0.1", SkipNodeUpdate: true,
		Service: &consulapi.AgentService{
			ID: in.serviceID, Service: a.JobID, Address: n.addr(in.release, number), Port: n.port, Tags: []string{traffic.ServiceTag},
			Meta: map[string]string{traffic.MetaModel: a.JobID, traffic.MetaRelease: in.release},
		},
		Check: in.check(a.JobID, consulapi.HealthPassing),
	}, nil)
	return err
}

func (in instance) check(model, status string) *consulapi.AgentCheck {
	return &consulapi.AgentCheck{
		Node: consulNode, CheckID: "health-" + in.alloc, Name: "health", Status: status, ServiceID: in.serviceID,
		ServiceName: model, Output: "set by the test",
	}
}

func (n *node) deregister(a *api.Allocation) error {
	n.mu.Lock()
	left := n.instances[a.JobID][:0:0]
	for _, in := range n.instances[a.JobID] {
		if in.alloc != a.ID {
			left = append(left, in)
		}
	}
	n.instances[a.JobID] = left
	n.mu.Unlock()
	_, err := n.consul.Catalog().Deregister(&consulapi.CatalogDeregistration{
		Node: consulNode, ServiceID: "_nomad-task-" + a.ID + "-group-inference",
	}, nil)
	return err
}

// of lists the instances of a release.
func (n *node) of(model, release string) (out []instance) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, in := range n.instances[model] {
		if in.release == release {
			out = append(out, in)
		}
	}
	return out
}

// count is how many instances are registered.
func (n *node) count() (all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, of := range n.instances {
		all += len(of)
	}
	return all
}

// fail turns the check of an instance critical.
func (n *node) fail(model string, in instance) error {
	_, err := n.consul.Catalog().Register(&consulapi.CatalogRegistration{
		Node: consulNode, Address: "127.0.0.1", SkipNodeUpdate: true, Check: in.check(model, consulapi.HealthCritical),
	}, nil)
	return err
}

func (n *node) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: status %d: %s", method, path, res.StatusCode, answer)
	case out == nil:
		return nil
	}
	return json.Unmarshal(answer, out)
}

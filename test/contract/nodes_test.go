package contract

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// TestNodes is about draining and losing nodes: it has a cluster of its own, with two.
func TestNodes(t *testing.T) {
	t.Parallel()
	if given() {
		t.Log("the suite kills nothing of the Nomad at NOMAD_ADDR: run it with CONTRACT_NOMAD=<binary> for the facts about nodes")
		return
	}
	consulAddr, err := startConsul()
	if err != nil {
		t.Fatal(err)
	}
	c, err := startCluster(clusterConfig{consulAddr: consulAddr, nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("drain", func(t *testing.T) { c.drain(t) })
	t.Run("tasks_survive_sigkill_of_the_client_and_are_adopted", func(t *testing.T) { c.adopt(t) })
	t.Run("node_down", func(t *testing.T) { c.down(t) })
}

// withCanary brings a job to a healthy canary that waits, over old allocations on both nodes.
func (c *cluster) withCanary(t *testing.T) (f *fixture, first, canary *api.Deployment) {
	t.Helper()
	f = fixtureOn(t, c.target)
	s := spec{count: 4, canary: 1, parallel: 4, version: "1", progress: 60 * time.Second, change: func(j *api.Job) {
		j.TaskGroups[0].Migrate = &api.MigrateStrategy{
			MaxParallel: new(4), HealthCheck: new("task_states"), MinHealthyTime: new(300 * time.Millisecond), HealthyDeadline: new(10 * time.Second),
		}
	}}
	first = f.deployed(s)
	s.version = "2"
	f.register(s)
	return f, first, f.canariesHealthy(1)
}

func (c *cluster) drain(t *testing.T) {
	f, first, d := c.withCanary(t)
	canary := f.alloc(group(d).PlacedCanaries[0])
	var leaving []string
	for _, a := range f.running(0) {
		if a.NodeID == canary.NodeID {
			leaving = append(leaving, a.ID)
		}
	}
	c.drainNode(t, f, canary.NodeID)
	f.eventually("the canary and all others have left", func() bool {
		return !slices.ContainsFunc(f.allocs(), func(a *api.AllocationListStub) bool {
			return a.NodeID == canary.NodeID && (a.ClientStatus == "running" || a.ClientStatus == "pending")
		})
	}, f.list)
	for _, id := range leaving {
		old := f.alloc(id)
		if old.DesiredDescription != "alloc is being migrated" || old.NextAllocation == "" {
			t.Errorf("old_allocs_migrate: %s %q", old.Name, old.DesiredDescription)
			continue
		}
		next := f.alloc(old.NextAllocation)
		if *next.Job.Version != 0 || next.DeploymentID != first.ID || next.NodeID == canary.NodeID {
			t.Errorf("at_their_old_version_in_the_old_deployment: version %d, deployment %s", *next.Job.Version, next.DeploymentID)
		}
	}
	f.eventually("the canary is replaced and counted twice", func() bool {
		g := group(f.at(1))
		return len(g.PlacedCanaries) == 2 && g.HealthyAllocs == 2
	}, func() string { return dump(f.at(1)) })
	if live := f.running(1); len(live) != 1 || live[0].ID == canary.ID {
		t.Errorf("verify_live_allocs_yourself: %s", f.list())
	}
	f.eventually("the drain is complete", func() bool {
		n, _, err := f.nomad.Nodes().Info(canary.NodeID, nil)
		return err == nil && !n.Drain && n.LastDrain != nil && n.LastDrain.Status == api.DrainStatusComplete && n.SchedulingEligibility == "ineligible"
	}, f.list)
	f.hasNodeEvents(canary.NodeID, "Node drain strategy set", "Node drain complete")
	if _, err := f.nomad.Nodes().ToggleEligibility(canary.NodeID, true, nil); err != nil {
		t.Fatal(err)
	}
	f.promote(f.at(1).ID)
	f.deploymentIs("successful", "")
}

// drainNode drains by the nomad command line where there is one.
func (c *cluster) drainNode(t *testing.T, f *fixture, id string) {
	t.Helper()
	if binary := nomadBinary(); binary != "" {
		line := &cli{fixture: f, binary: binary}
		line.run(t, 0, args("node", "drain", "-enable", "-yes", "-detach", "-deadline", "40s", id[:8]), "drain strategy set")
		return
	}
	if _, err := f.nomad.Nodes().UpdateDrain(id, &api.DrainSpec{Deadline: 40 * time.Second}, false, nil); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) hasNodeEvents(nodeID string, messages ...string) {
	f.t.Helper()
	n, _, err := f.nomad.Nodes().Info(nodeID, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range messages {
		if !slices.ContainsFunc(n.Events, func(e *api.NodeEvent) bool { return e.Message == m }) {
			f.t.Errorf("the node has no event %q: %+v", m, n.Events)
		}
	}
}

func onNode(name string) func(*api.Job) {
	return func(j *api.Job) { j.Constrain(api.NewConstraint("${node.unique.name}", "=", name)) }
}

func (c *cluster) adopt(t *testing.T) {
	f := fixtureOn(t, c.target)
	name := nodeName(1)
	f.deployed(spec{count: 1, version: "1", progress: 20 * time.Second, change: onNode(name)})
	id := f.running(0)[0].ID
	before := f.pid(id)
	if _, err := c.nodes[name].kill(); err != nil {
		t.Fatal(err)
	}
	if now := f.pid(id); now != before {
		t.Errorf("the task did not survive: %s → %s", before, now)
	}
	if err := c.nodes[name].restart(); err != nil {
		t.Fatal(err)
	}
	// It is adopted when its client can restart it: that must end the process from before.
	f.eventually("the client answers for it", func() bool {
		return f.nomad.Allocations().Restart(f.alloc(id), "", nil) == nil
	}, f.list)
	f.eventually("it is restarted", func() bool { return f.alloc(id).TaskStates["server"].Restarts == 1 }, f.list)
	f.eventually("the new process answers", func() bool { now := f.pid(id); return now != "" && now != before }, f.list)
	if len(f.allocs()) != 1 {
		t.Errorf("it was replaced: %s", f.list())
	}
}

// pid asks the task of an allocation for its process ID, "" if it does not answer.
func (f *fixture) pid(id string) string {
	f.t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d/pid", f.alloc(id).AllocatedResources.Shared.Ports[0].Value)
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, url, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

func (c *cluster) down(t *testing.T) {
	f, first, second := c.withCanary(t)
	served := fixtureOn(t, c.target)
	lost := nodeName(0) // it has Consul
	served.deployed(spec{count: 1, version: "1", checks: true, deadline: 10 * time.Second, progress: 20 * time.Second, change: onNode(lost)})
	nodeID, service := served.running(0)[0].NodeID, served.serviceID(served.running(0)[0].ID)
	var there []string
	for _, a := range f.allocs() {
		if a.NodeID == nodeID && a.ClientStatus == "running" && a.DesiredStatus == "run" {
			there = append(there, a.ID)
		}
	}
	if err := c.nodes[lost].lose(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	served.eventually("Consul's check is critical", func() bool { return served.critical(served.running(0)[0].ID) }, served.list)
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("consul_checks_turn_critical_much_sooner: after %v", took)
	}
	status := func() string {
		n, _, err := f.nomad.Nodes().Info(nodeID, nil)
		if err != nil {
			t.Fatal(err)
		}
		return n.Status
	}
	for status() == "ready" {
		if served.services()[service] == nil {
			t.Error("its_services_stay_registered_until_it_is_down")
			break
		}
		if time.Since(start) > 40*time.Second {
			t.Fatal("the node does not go down")
		}
		time.Sleep(200 * time.Millisecond)
	}
	if took := time.Since(start); status() != "down" || took < 18*time.Second || took > 32*time.Second {
		t.Errorf("down_after_20_to_29s: %s after %v", status(), took)
	}
	f.hasNodeEvents(nodeID, "Node heartbeat missed")
	for _, id := range there {
		f.eventually("what ran there is lost", func() bool { return f.alloc(id).ClientStatus == "lost" }, f.list)
	}
	f.eventually("all is there again", func() bool { return len(f.running(0)) == 4 && len(f.running(1)) == 1 }, f.list)
	for _, id := range there {
		old := f.alloc(id)
		if old.DesiredDescription != "alloc is lost since its node is down" || old.ClientStatus != "lost" {
			t.Errorf("lost: %q %s", old.DesiredDescription, old.ClientStatus)
		}
	}
	for version, d := range []*api.Deployment{first, second} {
		for _, a := range f.running(uint64(version)) {
			if now := f.alloc(a.ID); now.DeploymentID != d.ID || now.NodeID == nodeID {
				t.Errorf("replaced_at_its_version_in_its_deployment: %s of version %d is in %s", a.ID, version, now.DeploymentID)
			}
		}
	}
}

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

// TestDrain drains a node under a canary that waits: the only one of a cluster, and one of two.
func TestDrain(t *testing.T) {
	t.Run("the_only_node", func(t *testing.T) {
		f := drained(t, 1)
		f.drainOnly()
	})
	t.Run("one_of_more", func(t *testing.T) {
		f := drained(t, 2)
		f.drain()
	})
}

// drained makes a fixture where nodes may be drained: on the Nomad at NOMAD_ADDR if it has that many nodes, while nothing else
// runs there, else on a cluster of the suite's own.
func drained(t *testing.T, nodes int) *fixture {
	t.Helper()
	if given() {
		f := fixtureOn(t, theTarget(t))
		if has := f.eligibleNodes(); has == nodes || has > 1 && nodes > 1 {
			return f
		}
	}
	t.Parallel()
	return fixtureOn(t, ownCluster(t, nodes).target)
}

// TestNodes is about losing clients and nodes, of a cluster of its own.
func TestNodes(t *testing.T) {
	t.Parallel()
	c := ownCluster(t, 2)
	t.Run("tasks_survive_sigkill_of_the_client_and_are_adopted", func(t *testing.T) { c.adopt(t) })
	t.Run("node_down", func(t *testing.T) { c.down(t) })
}

// withCanary brings a job to a healthy canary that waits, over old allocations.
func (f *fixture) withCanary() (first, canary *api.Deployment) {
	f.t.Helper()
	s := spec{count: 4, canary: 1, parallel: 4, version: "1", progress: ample, change: func(j *api.Job) {
		j.TaskGroups[0].Migrate = &api.MigrateStrategy{
			MaxParallel: new(4), HealthCheck: new("task_states"), MinHealthyTime: new(300 * time.Millisecond), HealthyDeadline: new(10 * time.Second),
		}
	}}
	first = f.deployed(s)
	s.version = "2"
	f.register(s)
	return first, f.canariesHealthy(1)
}

// drainAll drains the node of the canary, and returns what has run there of the old version.
func (f *fixture) drainAll(canary *api.Allocation) []*api.AllocationListStub {
	f.t.Helper()
	leaving := slices.DeleteFunc(f.running(0), func(a *api.AllocationListStub) bool { return a.NodeID != canary.NodeID })
	f.drainNode(canary.NodeID)
	f.eventually("the canary and all others have left", func() bool {
		return !slices.ContainsFunc(f.allocs(), func(a *api.AllocationListStub) bool {
			return a.NodeID == canary.NodeID && (a.ClientStatus == "running" || a.ClientStatus == "pending")
		})
	}, f.list)
	f.eventually("the drain is complete", func() bool {
		n, _, err := f.nomad.Nodes().Info(canary.NodeID, nil)
		return err == nil && !n.Drain && n.LastDrain != nil && n.LastDrain.Status == api.DrainStatusComplete && n.SchedulingEligibility == "ineligible"
	}, f.list)
	f.hasNodeEvents(canary.NodeID, "Node drain strategy set", "Node drain complete")
	for _, a := range leaving {
		if gone := f.alloc(a.ID); gone.DesiredDescription != "alloc is being migrated" {
			f.t.Errorf("old_allocs_migrate: %s %q", gone.Name, gone.DesiredDescription)
		}
	}
	return leaving
}

func (f *fixture) eligible(nodeID string) {
	f.t.Helper()
	if _, err := f.nomad.Nodes().ToggleEligibility(nodeID, true, nil); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) drain() {
	f.t.Helper()
	first, d := f.withCanary()
	canary, count := f.alloc(group(d).PlacedCanaries[0]), len(f.running(0))
	leaving := f.drainAll(canary)
	f.eventually("as many of the old version run again", func() bool { return len(f.running(0)) == count }, f.list)
	for _, a := range leaving {
		next := f.alloc(a.ID).NextAllocation
		if next == "" {
			f.t.Errorf("old_allocs_migrate: %s has no successor", a.Name)
			continue
		}
		if now := f.alloc(next); *now.Job.Version != 0 || now.DeploymentID != first.ID || now.NodeID == canary.NodeID {
			f.t.Errorf("at_their_old_version_in_the_old_deployment: version %d, deployment %s", *now.Job.Version, now.DeploymentID)
		}
	}
	f.eventually("the canary is replaced and counted twice", func() bool {
		g := group(f.at(1))
		return len(g.PlacedCanaries) == 2 && g.HealthyAllocs == 2
	}, func() string { return dump(f.at(1)) })
	if live := f.running(1); len(live) != 1 || live[0].ID == canary.ID {
		f.t.Errorf("verify_live_allocs_yourself: %s", f.list())
	}
	f.eligible(canary.NodeID)
	f.promote(f.at(1).ID)
	f.deploymentIs("successful", "")
}

// drainOnly drains the only node. While a canary waits nothing is placed that is not lost or migrated at once: what has
// had nowhere to go does not come back with the node.
func (f *fixture) drainOnly() {
	f.t.Helper()
	_, d := f.withCanary()
	canary := f.alloc(group(d).PlacedCanaries[0])
	f.drainAll(canary)
	f.eligible(canary.NodeID)
	evalID, _, err := f.nomad.Jobs().ForceEvaluate(f.id, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the evaluation completes", func() bool { return f.evalDone(evalID) }, f.list)
	if n := len(f.running(0)) + len(f.running(1)) + f.count(0, "run") + f.count(1, "run"); n != 0 || f.at(1).Status != "running" {
		f.t.Errorf("nothing_comes_back_while_a_canary_waits: %s %s", dump(f.at(1)), f.list())
	}
	f.deployed(spec{count: 4, canary: 1, parallel: 4, version: "3", progress: ample})
	if n := len(f.running(2)); n != 4 {
		f.t.Errorf("a_newer_version_places_all: %d run", n)
	}
}

func (f *fixture) eligibleNodes() int {
	f.t.Helper()
	nodes, _, err := f.nomad.Nodes().List(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	n := 0
	for _, node := range nodes {
		if node.Status == api.NodeStatusReady && node.SchedulingEligibility == api.NodeSchedulingEligible {
			n++
		}
	}
	return n
}

// drainNode drains a node, by the nomad command line where there is one. It drains none that has others' jobs.
func (f *fixture) drainNode(id string) {
	f.t.Helper()
	allocs, _, err := f.nomad.Nodes().Allocations(id, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, a := range allocs {
		if a.JobID != f.id && !a.ServerTerminalStatus() && !a.ClientTerminalStatus() {
			f.t.Fatalf("node %s runs job %q, so it is not drained: stop that job, or give a Nomad that runs none", id, a.JobID)
		}
	}
	f.t.Cleanup(func() {
		if _, err := f.nomad.Nodes().UpdateDrain(id, nil, true, nil); err != nil {
			f.t.Errorf("end the drain: %v", err)
		}
	})
	if binary := nomadBinary(); binary != "" {
		line := &cli{fixture: f, binary: binary}
		line.run(f.t, 0, args("node", "drain", "-enable", "-yes", "-detach", "-deadline", "40s", id[:8]), "drain strategy set")
		return
	}
	if _, err := f.nomad.Nodes().UpdateDrain(id, &api.DrainSpec{Deadline: 40 * time.Second}, false, nil); err != nil {
		f.t.Fatal(err)
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
	f.deployed(spec{count: 1, version: "1", progress: ample, change: onNode(name)})
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
	f := fixtureOn(t, c.target)
	first, second := f.withCanary()
	served := fixtureOn(t, c.target)
	lost := nodeName(0) // it has Consul
	served.deployed(spec{count: 1, version: "1", checks: true, progress: ample, change: onNode(lost)})
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
	if took := time.Since(start); took > 5*time.Second {
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
	if took := time.Since(start); status() != "down" || took < 19*time.Second || took > 31*time.Second {
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

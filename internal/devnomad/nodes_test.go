package devnomad

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"
)

// withCanary brings a job of four with one healthy canary onto the nodes, and returns its two deployments and the node
// of the canary.
func (c *cluster) withCanary() (d0, d1, node string) {
	job := func(env string) *api.Job {
		job := testJob(0, 1, 1, env)
		job.TaskGroups[0].Count = new(4)
		return job
	}
	c.register(job("a"))
	c.heal()
	pass(2 * time.Second)
	d0 = c.latest().ID
	c.register(job("b"))
	c.heal()
	pass(2 * time.Second)
	canary := c.live("", isCanary)
	if len(canary) != 1 || c.latest().ID == d0 {
		c.t.Fatalf("canaries: %v", canary)
	}
	return d0, c.latest().ID, canary[0].NodeName
}

func (c *cluster) group(deployment string) *groupState {
	var g *groupState
	c.store.read(func() { g = c.store.deployments[deployment].TaskGroups["g"] })
	return g
}

func (c *cluster) wantCounts(when, deployment string, placed, healthy, canaries int) {
	c.t.Helper()
	g := c.group(deployment)
	if g.PlacedAllocs != placed || g.HealthyAllocs != healthy || len(g.PlacedCanaries) != canaries {
		c.t.Errorf("%s: placed %d, healthy %d, canaries %d, want %d, %d, %d", when,
			g.PlacedAllocs, g.HealthyAllocs, len(g.PlacedCanaries), placed, healthy, canaries)
	}
}

// TestDrainOfANodeWithACanary is what a real Nomad was seen to do: the old allocations go first, two at once since the
// healthy canary counts; they stay at their version and deployment, which counts them twice; then the canary is
// replaced by another canary.
func TestDrainOfANodeWithACanary(t *testing.T) {
	inCluster(t, []string{"a", "b"}, func(c *cluster) {
		d0, d1, name := c.withCanary()
		n := c.nodes[name]
		old := c.live(name, func(a *api.Allocation) bool { return !isCanary(a) })
		canary := c.live(name, isCanary)[0]
		if len(old) != 2 {
			t.Fatalf("%d allocations beside the canary", len(old))
		}
		c.change(func(tx *txn) { tx.drain(tx.nodes[n.id], &api.DrainSpec{Deadline: time.Minute}, false, nil) })
		if d := c.node(name); !d.Drain || d.SchedulingEligibility != "ineligible" {
			t.Errorf("drain %v, %s", d.Drain, d.SchedulingEligibility)
		}
		pass(drainDelay)
		if got := n.stops(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(idsOf(old)))) {
			t.Fatalf("stopped %v, want %v", got, idsOf(old))
		}
		c.wantCounts("drained", d0, 6, 4, 0)
		for _, a := range c.live("", func(a *api.Allocation) bool { return a.PreviousAllocation != "" }) {
			if jobVersion(a) != 0 || a.DeploymentID != d0 || a.NodeID == n.id {
				t.Errorf("a replacement is of version %d, deployment %s, on %s", jobVersion(a), a.DeploymentID, a.NodeName)
			}
			if slices.Contains(c.nodes[a.NodeName].runs(), a.ID) {
				t.Error("a replacement started before its predecessor had ended")
			}
		}
		n.ended(idsOf(old)...)
		synctest.Wait()
		c.heal()
		c.wantCounts("healthy again", d0, 6, 6, 0)
		pass(drainDelay)
		if a := c.alloc(canary.ID); a.DesiredDescription != stopMigrating || a.NextAllocation != "" {
			t.Errorf("the canary is to %s: %q, next %q", a.DesiredStatus, a.DesiredDescription, a.NextAllocation)
		}
		next := c.live("", isCanary)
		if len(next) != 1 || next[0].NodeID == n.id || next[0].PreviousAllocation != "" || next[0].Name != canary.Name {
			t.Fatalf("canaries: %+v", next)
		}
		if !c.node(name).Drain {
			t.Error("the drain has ended before its last allocation")
		}
		n.ended(canary.ID)
		synctest.Wait()
		c.heal()
		c.wantCounts("done", d1, 2, 2, 2)
		d := c.node(name)
		if d.Drain || d.LastDrain.Status != api.DrainStatusComplete || d.SchedulingEligibility != "ineligible" {
			t.Errorf("drain %v, %s, %s", d.Drain, d.LastDrain.Status, d.SchedulingEligibility)
		}
		if got := lastEvents(c.node(name), 2); got != "Node drain strategy set, Node drain complete" {
			t.Errorf("events are %s", got)
		}
	})
}

func lastEvents(n *api.Node, count int) string {
	var texts []string
	for _, e := range n.Events[max(0, len(n.Events)-count):] {
		texts = append(texts, e.Message)
	}
	return strings.Join(texts, ", ")
}

func TestDrainDeadlineForcesAll(t *testing.T) {
	inCluster(t, []string{"a"}, func(c *cluster) {
		c.register(testJob(0, 0, 1, "a"))
		c.heal()
		pass(2 * time.Second)
		n := c.nodes["a"]
		c.change(func(tx *txn) { tx.drain(tx.nodes[n.id], &api.DrainSpec{Deadline: time.Minute}, false, nil) })
		pass(30 * time.Second)
		if got := len(n.stops()); got != 1 { // max_parallel 1, and its replacement has no place
			t.Errorf("%d stopped before the deadline", got)
		}
		pass(31*time.Second + drainDelay)
		if got := len(n.stops()); got != 3 {
			t.Errorf("%d stopped at the deadline", got)
		}
	})
}

func TestDrainIgnoresSystemJobsWhenTold(t *testing.T) {
	inCluster(t, []string{"a", "b"}, func(c *cluster) {
		job := testJob(0, 0, 1, "a")
		job.Type = new("system")
		c.register(job)
		if len(c.nodes["a"].runs()) != 1 || len(c.nodes["b"].runs()) != 1 {
			t.Fatalf("a runs %v, b %v", c.nodes["a"].runs(), c.nodes["b"].runs())
		}
		c.join("c")
		if len(c.nodes["c"].runs()) != 1 {
			t.Error("a node that joins runs no system job")
		}
		for name, ignore := range map[string]bool{"a": true, "b": false} {
			c.change(func(tx *txn) {
				tx.drain(tx.nodes[c.nodes[name].id], &api.DrainSpec{Deadline: time.Minute, IgnoreSystemJobs: ignore}, false, nil)
			})
		}
		pass(2 * drainDelay)
		if len(c.nodes["a"].stops()) != 0 || len(c.nodes["b"].stops()) != 1 || len(c.nodes["b"].runs()) != 1 {
			t.Errorf("a stopped %v, b stopped %v, b runs %v", c.nodes["a"].stops(), c.nodes["b"].stops(), c.nodes["b"].runs())
		}
		if c.node("a").Drain {
			t.Error("the drain that ignores system jobs goes on")
		}
	})
}

// TestNodeDownWithACanary is what a real Nomad was seen to do when a client agent was killed, and when it came back.
func TestNodeDownWithACanary(t *testing.T) {
	inCluster(t, []string{"a", "b"}, func(c *cluster) {
		d0, d1, name := c.withCanary()
		n := c.nodes[name]
		had := c.live(name, anyAlloc)
		n.cut.Store(true)
		pass(17 * time.Second) // the last heartbeat may be 2 s old
		if got := c.node(name).Status; got != "ready" {
			t.Errorf("early: %s", got)
		}
		pass(12 * time.Second)
		if got := c.node(name); got.Status != "down" || missedHeartbeat(got) == 0 {
			t.Fatalf("it is %s", got.Status)
		}
		for _, was := range had {
			a := c.alloc(was.ID)
			if a.ClientStatus != "lost" || a.DesiredStatus != "stop" || a.DesiredDescription != stopLost {
				t.Errorf("%s is %s, to %s: %q", a.Name, a.ClientStatus, a.DesiredStatus, a.DesiredDescription)
			}
			if next := c.alloc(a.NextAllocation); isCanary(was) != (next == nil) {
				t.Errorf("canary %v has the successor %v", isCanary(was), next)
			} else if next != nil && (jobVersion(next) != 0 || next.DeploymentID != d0) {
				t.Errorf("the successor is of version %d", jobVersion(next))
			}
		}
		if got := len(c.live("", anyAlloc)); got != 5 {
			t.Errorf("%d are to run", got)
		}
		c.heal()
		c.wantCounts("old", d0, 6, 6, 0)
		c.wantCounts("new", d1, 2, 2, 2)
		act(t, c.Agent, func(tx *txn, d *deployment) (deploymentResult, error) { return tx.promote(d, everything) })
		n.cut.Store(false)
		pass(3 * time.Second)
		back := c.node(name)
		if events := lastEvents(back, 2); back.Status != "ready" || events != heartbeatMissed+", Node reregistered by heartbeat" {
			t.Errorf("it is %s; %s", back.Status, events)
		}
		if got := n.stops(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(idsOf(had)))) {
			t.Errorf("stopped %v, want %v", got, idsOf(had))
		}
	})
}

func TestUpdatesWaitForTheServer(t *testing.T) {
	inCluster(t, []string{"a"}, func(c *cluster) {
		c.register(testJob(0, 0, 1, "a"))
		n := c.nodes["a"]
		n.cut.Store(true)
		c.nodes["a"].healthy(n.runs()...)
		pass(5 * time.Second)
		wantStatus(t, c.Agent, "running", descRunning)
		n.cut.Store(false)
		pass(3 * time.Second)
		wantStatus(t, c.Agent, "successful", descSuccessful)
	})
}

func TestPlacement(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*api.Job)
		want   map[string]int
	}{
		"spread":         {func(*api.Job) {}, map[string]int{"a": 1, "b": 1, "c": 1}},
		"one node":       {constrain("${node.unique.name}", "=", "b"), map[string]int{"b": 3}},
		"not one node":   {constrain("${node.unique.name}", "!=", "b"), map[string]int{"a": 2, "c": 1}},
		"by pattern":     {constrain("${node.unique.name}", "regexp", "^[ab]$"), map[string]int{"a": 2, "b": 1}},
		"class is unset": {constrain("${node.class}", "=", "gpu"), map[string]int{}},
		"attribute":      {constrain("${attr.kernel.name}", "=", "linux"), map[string]int{"a": 1, "b": 1, "c": 1}},
		"no such meta":   {constrain("${meta.rack}", "is_set", ""), map[string]int{}},
		"distinct hosts": {func(j *api.Job) {
			constrain("", "distinct_hosts", "")(j)
			j.TaskGroups[0].Count = new(5)
		}, map[string]int{"a": 1, "b": 1, "c": 1}},
		"datacenter":      {func(j *api.Job) { j.Datacenters = []string{"dc*"} }, map[string]int{"a": 1, "b": 1, "c": 1}},
		"other location":  {func(j *api.Job) { j.Datacenters = []string{"east"} }, map[string]int{}},
		"driver of tasks": {func(j *api.Job) { j.TaskGroups[0].Tasks[0].Driver = "qemu" }, map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, []string{"a", "b", "c"}, func(c *cluster) {
				job := testJob(0, 0, 3, "a")
				tc.change(job)
				c.register(job)
				got := map[string]int{}
				for name, n := range c.nodes {
					if placed := len(n.runs()); placed > 0 {
						got[name] = placed
					}
				}
				if !maps.Equal(got, tc.want) {
					t.Errorf("placed %v, want %v", got, tc.want)
				}
			})
		})
	}
}

func constrain(left, operand, right string) func(*api.Job) {
	return func(j *api.Job) { j.Constraints = append(j.Constraints, api.NewConstraint(left, operand, right)) }
}

func TestWhatFindsNoPlaceWaitsForANode(t *testing.T) {
	inCluster(t, []string{"a", "b"}, func(c *cluster) {
		job := testJob(0, 0, 3, "a")
		constrain("", "distinct_hosts", "true")(job)
		c.register(job)
		if got := len(c.live("", anyAlloc)); got != 2 {
			t.Fatalf("%d placed", got)
		}
		c.join("c")
		if got := len(c.nodes["c"].runs()); got != 1 {
			t.Errorf("the new node runs %d", got)
		}
	})
}

func TestWishesThatAreNotHonouredAreRefused(t *testing.T) {
	for want, change := range map[string]func(*api.Job){
		`does not know the operator "semver"`: constrain("${attr.nomad.version}", "semver", ">= 1.6"),
		"error parsing regexp":                constrain("${node.class}", "regexp", "("),
		"spreads evenly over":                 func(j *api.Job) { j.Spreads = []*api.Spread{{Attribute: "${node.datacenter}"}} },
		`node pool "gpu"`:                     func(j *api.Job) { j.NodePool = new("gpu") },
	} {
		job := testJob(0, 0, 1, "a")
		change(job)
		if got := strings.Join(placementProblems(job), "\n"); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestMayStart: a replacement waits for its predecessor's tasks; one that runs is not taken back when a predecessor that
// was lost turns up alive.
func TestMayStart(t *testing.T) {
	for _, tc := range []struct {
		before, now, desired string
		want                 bool
	}{
		{"running", "pending", "run", false},
		{"complete", "pending", "run", true},
		{"lost", "pending", "run", true},
		{"running", "running", "run", true},
		{"running", "pending", "stop", true},
	} {
		s := newStore(time.Now)
		s.setAlloc(&api.Allocation{ID: "before", ClientStatus: tc.before, DesiredStatus: "stop"})
		next := &api.Allocation{ID: "a", PreviousAllocation: "before", ClientStatus: tc.now, DesiredStatus: tc.desired}
		if got := s.mayStart(next); got != tc.want {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

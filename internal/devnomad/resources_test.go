package devnomad

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/nomad/api"
)

// bigJob is a job whose instances take much of a node.
func bigJob(id string, count, cpu, memory int) *api.Job {
	job := testJob(0, 0, 1, "a")
	job.ID, job.TaskGroups[0].Count = new(id), new(count)
	job.TaskGroups[0].Tasks[0].Resources = &api.Resources{CPU: new(cpu), MemoryMB: new(memory)}
	return job
}

func (c *cluster) evals(job, status string) (out []*evaluation) {
	c.store.read(func() {
		for _, e := range c.store.jobEvals(job) {
			if e.Status == status {
				out = append(out, e)
			}
		}
	})
	return out
}

// limit gives a node, which is there already, as much as a real Nomad had in the runs that these tests follow.
func (c *cluster) limit(name string) {
	c.change(func(tx *txn) {
		n := *tx.nodes[c.nodes[name].id]
		resources := *n.NodeResources
		n.NodeResources, n.NodeClass = &resources, "blue"
		offer(&n, 5192, 24105)
		tx.putNode(&n)
	})
}

func (c *cluster) stopJob(id string) {
	c.change(func(tx *txn) { tx.deregister(tx.jobs[id], false) })
}

// TestBlockedUntilThereIsRoom is what a real Nomad was seen to do.
func TestBlockedUntilThereIsRoom(t *testing.T) {
	inCluster(t, []string{"a"}, func(c *cluster) {
		c.limit("a")
		c.register(bigJob("small", 1, 50, 5000))
		c.register(bigJob("big", 2, 50, 10000))
		if got := len(c.live("", anyAlloc)); got != 2 {
			t.Fatalf("%d allocations run, want one of each job", got)
		}
		done, blocked := c.evals("big", "complete"), c.evals("big", "blocked")
		if len(done) != 1 || len(blocked) != 1 || done[0].BlockedEval != blocked[0].ID {
			t.Fatalf("evaluations: %d complete, %d blocked", len(done), len(blocked))
		}
		why := done[0].FailedTGAllocs["g"]
		if !maps.Equal(why.DimensionExhausted, map[string]int{"memory": 1}) || why.ResourcesExhausted["t"]["MemoryMB"] != int64(10000) ||
			why.NodesExhausted != 1 || !maps.Equal(why.ClassExhausted, map[string]int{"blue": 1}) {
			t.Errorf("found no place: %+v, %v", why.AllocationMetric, why.ResourcesExhausted)
		}
		if done[0].QueuedAllocations["g"] != 1 || blocked[0].StatusDescription != "created to place remaining allocations" {
			t.Errorf("queued %v, blocked: %q", done[0].QueuedAllocations, blocked[0].StatusDescription)
		}
		c.stopJob("small")
		if got := c.evals("big", "blocked"); len(got) != 1 || len(c.live("", anyAlloc)) != 1 {
			t.Error("a place was free before the tasks there had ended")
		}
		c.nodes["a"].ended(c.nodes["a"].stops()...)
		synctest.Wait()
		placed := c.live("", func(a *api.Allocation) bool { return a.EvalID == blocked[0].ID })
		if len(placed) != 1 || placed[0].Name != "big.g[1]" {
			t.Fatalf("placed %v by the blocked evaluation, when there was room", idsOf(placed))
		}
		if got := c.evals("big", "complete"); len(got) != 2 || got[0].ID != blocked[0].ID {
			t.Errorf("%d evaluations are complete", len(got))
		}
	})
}

func TestNewerEvaluationsCancelBlockedOnes(t *testing.T) {
	inCluster(t, []string{"a"}, func(c *cluster) {
		c.limit("a")
		c.register(bigJob("big", 1, 99999, 300))
		first := c.evals("big", "blocked")
		c.register(bigJob("big", 2, 99999, 300))
		if got := c.evals("big", "canceled"); len(got) != 1 || got[0].ID != first[0].ID ||
			got[0].StatusDescription != `existing blocked evaluation exists for job "big"` {
			t.Errorf("the older one: %+v", got)
		}
		if why := c.evals("big", "blocked")[0].FailedTGAllocs["g"]; why.CoalescedFailures != 1 || why.DimensionExhausted["cpu"] != 1 {
			t.Errorf("two failed: %+v", why.AllocationMetric)
		}
		c.stopJob("big")
		cancelled := c.evals("big", "canceled")
		if len(cancelled) != 2 || !strings.HasSuffix(cancelled[0].StatusDescription, ` successful`) || len(c.evals("big", "blocked")) != 0 {
			t.Errorf("after the job's end: %+v", cancelled)
		}
	})
}

func TestPlanTellsWhatFindsNoPlace(t *testing.T) {
	inCluster(t, []string{"a"}, func(c *cluster) {
		c.limit("a")
		c.register(bigJob("big", 1, 50, 20000))
		for _, tc := range []struct {
			job  *api.Job
			want map[string]int
		}{
			{bigJob("big", 1, 60, 20000), nil}, // its own place becomes free in the same plan
			{bigJob("big", 2, 60, 20000), map[string]int{"memory": 1}},
			{bigJob("other", 1, 99999, 99999), map[string]int{"cpu": 1}},
		} {
			prepare(tc.job, "")
			var out planned
			c.store.read(func() { out = c.store.dryRun(tc.job, false) })
			switch failed := out.FailedTGAllocs["g"]; {
			case failed == nil && tc.want != nil:
				t.Errorf("%s: everything would find a place", *tc.job.ID)
			case failed != nil && !maps.Equal(failed.DimensionExhausted, tc.want):
				t.Errorf("%s: %v, want %v", *tc.job.ID, failed.DimensionExhausted, tc.want)
			}
		}
	})
}

// The score of one instance of 50 MHz and 10,000 MiB beside one of 50 and 5,000, as a real Nomad gave it.
func TestScoreIsNomads(t *testing.T) {
	n := newNode("n", "127.0.0.1:1", loopback)
	offer(n, 5192, 24105)
	got := scoreOf(n, usage{cpu: 100, memory: 15000}, 0, placement{}, 2, 0)
	if want := 0.44708394501923965; math.Abs(got.NormScore-want) > 1e-12 || got.Scores["binpack"] != got.NormScore {
		t.Errorf("got %v, want %v", got.NormScore, want)
	}
	again := placement{reschedule: true, previous: &api.Allocation{NodeID: n.ID}}
	if got := scoreOf(n, usage{cpu: 100, memory: 15000}, 1, again, 2, 0); got.Scores["job-anti-affinity"] != -1 || got.NormScore > -0.5 {
		t.Errorf("with one of the group that has failed there: %+v", got)
	}
}

func TestPlacesFillNodesButKeepAGroupApart(t *testing.T) {
	inCluster(t, []string{"a", "b", "c"}, func(c *cluster) {
		for name := range c.nodes {
			c.limit(name)
		}
		c.register(bigJob("one", 1, 50, 5000))
		c.register(bigJob("two", 1, 50, 5000))
		on := func(job string) (nodes []string) {
			for _, a := range c.live("", func(a *api.Allocation) bool { return a.JobID == job }) {
				nodes = append(nodes, a.NodeName)
			}
			slices.Sort(nodes)
			return nodes
		}
		if one, two := on("one"), on("two"); !slices.Equal(one, two) {
			t.Errorf("two small jobs are on %v and %v, want them packed", one, two)
		}
		c.register(bigJob("three", 3, 50, 300))
		if got := on("three"); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("a group of three is on %v, want one on each", got)
		}
	})
}

func TestAffinity(t *testing.T) {
	inCluster(t, []string{"a", "b"}, func(c *cluster) {
		for name := range c.nodes {
			c.limit(name)
		}
		job := bigJob("m", 1, 50, 300)
		job.Affinities = []*api.Affinity{{LTarget: "${node.unique.name}", RTarget: "b", Operand: "=", Weight: new(int8(100))}}
		c.register(job)
		if got := c.live("", anyAlloc)[0]; got.NodeName != "b" || got.Metrics.ScoreMetaData[0].Scores["node-affinity"] != 1 {
			t.Errorf("it is on %s with %v", got.NodeName, got.Metrics.ScoreMetaData[0].Scores)
		}
	})
}

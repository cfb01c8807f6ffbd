package devnomad

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// bench is an agent whose loop a test drives by hand, on a clock of its own: what passes is the agent's own work.
type bench struct {
	*Agent
	t     testing.TB
	clock time.Time
	index map[string]uint64 // node → what it has pulled
}

func newBench(t testing.TB, dir string) *bench {
	b := &bench{Agent: newAgent(Config{Logger: discard}), t: t, clock: time.Now(), index: map[string]uint64{}}
	b.store.now = func() time.Time { return b.clock }
	if dir != "" {
		if err := b.store.openDisk(dir, discard); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.store.closeDisk(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range []string{"a", "b", "c"} {
		node := newNode(name, "127.0.0.1:1", loopback)
		offer(node, 1<<30, 1<<30)
		if err := b.register(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// offer gives a node resources.
func offer(n *api.Node, cpu, memory int64) {
	n.NodeResources.Cpu.CpuShares, n.NodeResources.Memory.MemoryMB, n.NodeResources.Disk.DiskMB = cpu, memory, 1<<30
}

// work lets the agent do what is due, the nodes take it, and everything become healthy.
func (b *bench) work() {
	b.t.Helper()
	b.settle()
	for id := range b.store.nodes {
		if err := b.beat(b.t.Context(), id); err != nil {
			b.t.Fatal(err)
		}
		var given assignment
		b.store.read(func() { given = b.store.assignments(id, b.store.epoch, b.index[id]) })
		b.index[id] = given.Index
		var updates []allocUpdate
		for _, a := range given.Allocs {
			u := client.Update{AllocID: a.ID, ClientStatus: "running", Healthy: new(true), HealthAt: b.clock}
			if serverTerminal(a) {
				u = client.Update{AllocID: a.ID, ClientStatus: "complete"}
			}
			updates = append(updates, allocUpdate{Update: u, DeploymentID: a.DeploymentID})
		}
		if err := b.push(b.t.Context(), id, updates); err != nil {
			b.t.Fatal(err)
		}
	}
	b.settle()
	b.clock = b.clock.Add(batchDelay)
	b.settle()
}

func (b *bench) submit(id, env string, count, canary int) {
	b.t.Helper()
	job := testJob(0, canary, count, env)
	job.ID, job.TaskGroups[0].Count = new(id), new(count)
	prepare(job, "")
	_, err := b.write("JobRegistered", func(tx *txn) error {
		_, err := tx.register(registration{Job: job})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) wantSuccess(id string) {
	b.t.Helper()
	if d := b.store.latestDeployment(id); d == nil || d.Status != api.DeploymentStatusSuccessful {
		b.t.Fatalf("the deployment of %s is %+v", id, d)
	}
}

// rollout brings a job out and then its next version by canaries, and returns how long the agent worked on each.
func (b *bench) rollout(id string) (first, second time.Duration) {
	b.t.Helper()
	start := time.Now()
	b.submit(id, "a", 3, 3)
	b.work()
	b.wantSuccess(id)
	first = time.Since(start)
	start = time.Now()
	b.submit(id, "b", 3, 3)
	b.work()
	_, _, err := b.deploymentVerb(b.store.latestDeployment(id).ID, "promote", "DeploymentPromotion",
		func(tx *txn, d *deployment) (deploymentResult, error) { return tx.promote(d, everything) })
	if err != nil {
		b.t.Fatal(err)
	}
	b.work()
	b.wantSuccess(id)
	return first, time.Since(start)
}

// fill brings out other jobs with many allocations.
func (b *bench) fill(jobs, count int) {
	for i := range jobs {
		b.submit(fmt.Sprintf("other-%d", i), "a", count, 0)
		b.work()
	}
	b.wantSuccess("other-0")
}

// best is the least that rollouts take, since the machine may be busy with other things.
func (b *bench) best(prefix string) (first, second time.Duration) {
	const rounds = 25
	for i := range rounds {
		f, s := b.rollout(fmt.Sprintf("%s-%d", prefix, i))
		if i == 0 {
			first, second = f, s
		}
		first, second = min(first, f), min(second, s)
	}
	return first, second
}

// TestTenThousandAllocationsDoNotSlowADeployment holds the work of one deployment among many allocations to twice what
// it is alone.
func TestTenThousandAllocationsDoNotSlowADeployment(t *testing.T) {
	alone := newBench(t, "")
	crowd := newBench(t, "")
	start := time.Now()
	crowd.fill(100, 100)
	if got := len(crowd.store.allocs); got != 10_000 {
		t.Fatalf("%d allocations", got)
	}
	t.Logf("filled in %v", time.Since(start))
	first, second := alone.best("alone")
	firstCrowd, secondCrowd := crowd.best("crowd")
	t.Logf("register to successful: %v alone, %v among 10,000; canaries to successful: %v and %v",
		first, firstCrowd, second, secondCrowd)
	if firstCrowd > 2*first || secondCrowd > 2*second {
		t.Error("ten thousand other allocations more than double the work of a deployment")
	}
}

func BenchmarkRollout(b *testing.B) {
	for name, disk := range map[string]bool{"in memory": false, "on disk": true} {
		b.Run(name, func(b *testing.B) {
			dir := ""
			if disk {
				dir = b.TempDir()
			}
			agent := newBench(b, dir)
			for i := range b.N {
				agent.rollout(fmt.Sprintf("%s-%d", name, i))
			}
		})
	}
}

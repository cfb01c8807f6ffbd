package devnomad

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// fakeRunner notes its orders, and its tasks do what a test says.
type fakeRunner struct {
	out chan client.Update

	mu                    sync.Mutex
	run, updated, stopped []string
}

func (f *fakeRunner) note(list *[]string, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, id)
}

func (f *fakeRunner) Run(a *api.Allocation) error     { f.note(&f.run, a.ID); return nil }
func (f *fakeRunner) Restore(a *api.Allocation) error { f.note(&f.run, a.ID); return nil }
func (f *fakeRunner) Update(a *api.Allocation) error  { f.note(&f.updated, a.ID); return nil }
func (f *fakeRunner) Stop(id string)                  { f.note(&f.stopped, id) }
func (f *fakeRunner) Remove(string) error             { return nil }
func (f *fakeRunner) Updates() <-chan client.Update   { return f.out }
func (f *fakeRunner) Leave(context.Context) error     { close(f.out); return nil }
func (f *fakeRunner) Close(context.Context) error     { close(f.out); return nil }

func (f *fakeRunner) noted(list *[]string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(*list)
}

func (f *fakeRunner) runs() []string    { return f.noted(&f.run) }
func (f *fakeRunner) updates() []string { return f.noted(&f.updated) }
func (f *fakeRunner) stops() []string   { return f.noted(&f.stopped) }

// healthy reports that allocations run and are healthy.
func (f *fakeRunner) healthy(ids ...string) {
	for _, id := range ids {
		f.out <- client.Update{AllocID: id, ClientStatus: "running", Healthy: new(true), HealthAt: time.Now()}
	}
}

func (f *fakeRunner) ended(ids ...string) {
	for _, id := range ids {
		f.out <- client.Update{AllocID: id, ClientStatus: "complete"}
	}
}

var discard = slog.New(slog.DiscardHandler)

// inBubble runs a test on an agent with a fake clock.
func inBubble(t *testing.T, test func(a *Agent, f *fakeRunner)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRunner{out: make(chan client.Update)}
		a := newAgent(Config{Logger: discard})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { a.loop(ctx) })
		running.Go(func() { _ = fakeNode(a, "n", f).run(ctx) })
		synctest.Wait()
		test(a, f)
		cancel()
		running.Wait()
	})
}

// fakeNode is a node with a runner; its ID is its name, filled up.
func fakeNode(a *Agent, name string, r runner) *nodeAgent {
	n := newNode(name, "127.0.0.1:1", loopback)
	n.ID = name + n.ID[len(name):]
	return newNodeAgent(n, a, r, beatsFor(a.heartbeatTTL), a.log)
}

func submit(t *testing.T, a *Agent, canary, parallel int, env string) {
	t.Helper()
	job := testJob(0, canary, parallel, env)
	job.TaskGroups[0].Update.AutoRevert = new(true)
	prepare(job, "")
	if _, err := a.write("JobRegistered", func(tx *txn) error {
		_, err := tx.register(registration{Job: job})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (a *Agent) latest() *deployment {
	var d *deployment
	a.store.read(func() { d = a.store.latestDeployment("m") })
	return d
}

func wantStatus(t *testing.T, a *Agent, status, description string) {
	t.Helper()
	synctest.Wait()
	if d := a.latest(); d.Status != status || d.StatusDescription != description {
		t.Errorf("got %s %q, want %s %q", d.Status, d.StatusDescription, status, description)
	}
}

func act(t *testing.T, a *Agent, do func(tx *txn, d *deployment) (deploymentResult, error)) {
	t.Helper()
	if _, _, err := a.deploymentVerb(a.latest().ID, "change", "test", do); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// pass lets time go by, and everything that is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func everything(string) bool { return true }

func TestHealthIsGatheredFor1250ms(t *testing.T) {
	inBubble(t, func(a *Agent, f *fakeRunner) {
		submit(t, a, 0, 1, "a")
		f.healthy(f.runs()...)
		pass(batchDelay - time.Millisecond)
		wantStatus(t, a, "running", descRunning)
		pass(time.Millisecond)
		wantStatus(t, a, "successful", descSuccessful)
	})
}

func TestPromoteActsAtOnceAndReplacementsWaitForTheirPredecessor(t *testing.T) {
	inBubble(t, func(a *Agent, f *fakeRunner) {
		submit(t, a, 1, 1, "a")
		f.healthy(f.runs()...)
		pass(2 * time.Second)
		old := f.runs()
		submit(t, a, 1, 1, "b")
		canary := f.runs()[3]
		f.healthy(canary)
		synctest.Wait()
		act(t, a, func(tx *txn, d *deployment) (deploymentResult, error) { return tx.promote(d, everything) })
		if len(f.stops()) != 2 || len(f.updates()) != 1 || f.updates()[0] != canary || len(f.runs()) != 4 {
			t.Fatalf("stopped %v, updated %v, run %v", f.stops(), f.updates(), f.runs())
		}
		f.ended(old[0], old[1])
		synctest.Wait()
		if len(f.runs()) != 5 {
			t.Errorf("the replacement did not start: %v", f.runs())
		}
	})
}

func TestFailWithAutoRevertReturnsTheOldInPlace(t *testing.T) {
	inBubble(t, func(a *Agent, f *fakeRunner) {
		submit(t, a, 3, 3, "a")
		f.healthy(f.runs()...)
		pass(2 * time.Second)
		submit(t, a, 3, 3, "b")
		canaries := f.runs()[3:]
		f.healthy(canaries...)
		synctest.Wait()
		act(t, a, func(tx *txn, d *deployment) (deploymentResult, error) {
			return tx.failDeployment(d, descMarkedFailed, d.autoReverts()), nil
		})
		if len(f.stops()) != 3 || len(f.updates()) != 3 || len(f.runs()) != 6 {
			t.Fatalf("stopped %v, updated %v, run %v", f.stops(), f.updates(), f.runs())
		}
		f.out <- client.Update{AllocID: f.runs()[0], ClientStatus: "running", Healthy: new(true), HealthAt: time.Now().Add(-time.Second)}
		synctest.Wait()
		if g := a.latest().TaskGroups["g"]; g.HealthyAllocs != 0 {
			t.Errorf("health from before the rollback counts for it")
		}
		pass(time.Second)
		f.healthy(f.runs()[:3]...)
		pass(2 * time.Second)
		wantStatus(t, a, "successful", descSuccessful)
		if v := a.latest().JobVersion; v != 2 {
			t.Errorf("version %d", v)
		}
	})
}

func TestDrainStopsAllAndEligibilityBringsThemBack(t *testing.T) {
	inBubble(t, func(a *Agent, f *fakeRunner) {
		submit(t, a, 0, 3, "a")
		f.healthy(f.runs()...)
		pass(2 * time.Second)
		change := func(do func(tx *txn)) {
			if _, err := a.write("test", func(tx *txn) error { do(tx); return nil }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		node := func(tx *txn) *api.Node { return values(tx.nodes, compareNodes)[0] }
		change(func(tx *txn) { tx.drain(node(tx), &api.DrainSpec{Deadline: -1}, false, nil) })
		pass(drainDelay)
		if len(f.stops()) != 3 || len(f.runs()) != 3 {
			t.Fatalf("stopped %v, run %v", f.stops(), f.runs())
		}
		f.ended(f.stops()...)
		change(func(tx *txn) { tx.drain(node(tx), nil, true, nil) })
		if len(f.runs()) != 6 {
			t.Errorf("run %v", f.runs())
		}
	})
}

func TestFailedAllocationIsReplacedAfterItsDelay(t *testing.T) {
	inBubble(t, func(a *Agent, f *fakeRunner) {
		submit(t, a, 0, 3, "a")
		f.healthy(f.runs()...)
		pass(2 * time.Second)
		f.out <- client.Update{
			AllocID: f.runs()[0], ClientStatus: "failed", Healthy: new(false),
			TaskStates: map[string]*api.TaskState{"t": {State: "dead", Failed: true, FinishedAt: time.Now()}},
		}
		pass(4900 * time.Millisecond)
		if len(f.runs()) != 3 {
			t.Errorf("it came early: %v", f.runs())
		}
		pass(200 * time.Millisecond)
		if len(f.runs()) != 4 {
			t.Errorf("it did not come: %v", f.runs())
		}
	})
}

package contract

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// bounds say how long things take. A busy machine makes anything late once, but not each of several times: the best of
// all rounds must be within best. Nor does it make anything early, but for what is told of it: the median must be at least
// atLeast. The comments say what a Nomad takes that has the machine for itself.
var bounds = map[string]struct{ atLeast, best time.Duration }{
	"a_deployment_runs_at_once":                   {0, 150 * time.Millisecond},                        // 10 ms
	"a_client_tells_the_server_within_1s":         {0, time.Second},                                   // 0.2 s to 1 s
	"healthy_is_running_and_passing_for_its_time": {minHealthy, minHealthy + 1500*time.Millisecond},   // checks run each 1 s
	"promote_acts_at_once":                        {0, 150 * time.Millisecond},                        // 2 to 5 ms
	"fail_acts_at_once":                           {0, 150 * time.Millisecond},                        // 2 to 5 ms
	"tags_flip_in_consul":                         {0, 700 * time.Millisecond},                        // 30 ms
	"stopped_services_leave_consul":               {0, 700 * time.Millisecond},                        // 5 to 10 ms
	"blue_green_promote_to_success":               {0, 300 * time.Millisecond},                        // 30 ms
	"health_change_to_next_step_takes_1.25s":      {1200 * time.Millisecond, 1450 * time.Millisecond}, // 1.25 s
	"health_change_to_success_takes_1.25s":        {1200 * time.Millisecond, 1450 * time.Millisecond}, // 1.25 s
	"fail_to_rolled_back":                         {1250 * time.Millisecond, 3600 * time.Millisecond}, // 2.3 to 3.6 s
	"first_unhealthy_to_failed":                   {0, 1200 * time.Millisecond},                       // 0.2 to 0.4 s, and what the client takes
	"require_progress_by_first_placement":         {0, 50 * time.Millisecond},                         // off by so much
	"require_progress_by_health":                  {0, time.Millisecond},                              // off by so much
	"require_progress_by_promotion":               {0, 150 * time.Millisecond},                        // off by so much
	"stop_to_sigkill":                             {shutdownDelay + killTimeout, shutdownDelay + killTimeout + 700*time.Millisecond},
	"a_blocking_query_waits_for_its_time":         {queryWait, queryWait + queryWait/16 + 100*time.Millisecond}, // a 16th more
}

const (
	minHealthy    = time.Second
	shutdownDelay = 3 * time.Second
	killTimeout   = 2 * time.Second
	queryWait     = 300 * time.Millisecond
	rounds        = 5
)

// stopwatch collects what the rounds measure.
type stopwatch struct {
	mu    sync.Mutex
	times map[string][]time.Duration
}

func (w *stopwatch) note(what string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times[what] = append(w.times[what], took)
}

// TestTimings measures in several rounds, side by side, and holds the best of each against the bounds.
func TestTimings(t *testing.T) {
	t.Parallel()
	w := &stopwatch{times: map[string][]time.Duration{}}
	t.Run("rounds", func(t *testing.T) {
		for i := range rounds {
			for name, round := range map[string]func(*fixture){
				"blue_green": w.blueGreen, "rolling": w.rolling, "rollback": w.rollback, "unhealthy": w.unhealthy, "kill": w.kill,
			} {
				t.Run(fmt.Sprintf("%s_%d", name, i), func(t *testing.T) { round(newFixture(t)) })
			}
		}
	})
	for what, bound := range bounds {
		times := slices.Sorted(slices.Values(w.times[what]))
		if len(times) < rounds {
			t.Errorf("%s: measured %d times, not %d", what, len(times), rounds)
			continue
		}
		t.Logf("%s: %v", what, times)
		if times[0] > bound.best {
			t.Errorf("%s: all of %v are above %v", what, times, bound.best)
		}
		if times[len(times)/2] < bound.atLeast {
			t.Errorf("%s: most of %v are below %v", what, times, bound.atLeast)
		}
	}
}

// blueGreen measures a first deployment, and a promotion of as many canaries as there are old allocations.
func (w *stopwatch) blueGreen(f *fixture) {
	s := spec{
		count: 1, canary: 1, version: "1", checks: true, tags: []string{"live"}, canaryTags: []string{"canary"}, shutdown: 2 * time.Second,
		minHealthy: minHealthy, progress: ample,
	}
	registration := f.register(s).EvalID
	f.deploymentIs("successful", "")
	old := f.running(0)[0].ID
	w.note("a_deployment_runs_at_once", f.placedAfter(registration, old))
	s.version = "2"
	registration = f.register(s).EvalID
	f.eventually("a canary is placed", func() bool { g := group(f.at(1)); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
	canary := f.alloc(group(f.at(1)).PlacedCanaries[0])
	w.note("a_deployment_runs_at_once", f.placedAfter(registration, canary.ID))
	w.off(f, "require_progress_by_first_placement", time.Unix(0, canary.CreateTime).Add(s.progress))
	f.soon("the server knows that the task has started", func() bool { return !event(f.alloc(canary.ID), api.TaskStarted).IsZero() })
	w.note("a_client_tells_the_server_within_1s", time.Since(event(f.alloc(canary.ID), api.TaskStarted)))
	d := f.canariesHealthy(1)
	canary = f.alloc(canary.ID)
	w.note("healthy_is_running_and_passing_for_its_time", canary.DeploymentStatus.Timestamp.Sub(event(canary, api.TaskStarted)))
	w.off(f, "require_progress_by_health", canary.DeploymentStatus.Timestamp.Add(s.progress))
	time.Sleep(200 * time.Millisecond) // so that promotion is told from health
	promoted := time.Now()
	f.promote(d.ID)
	w.note("promote_acts_at_once", time.Since(promoted))
	f.soon("the deployment succeeds", func() bool { return f.at(1).Status == "successful" })
	w.note("blue_green_promote_to_success", time.Since(promoted))
	f.soon("the old service leaves", func() bool { return f.services()[f.serviceID(old)] == nil })
	w.note("stopped_services_leave_consul", time.Since(promoted))
	f.soon("the tags flip", func() bool {
		e := f.services()[f.serviceID(canary.ID)]
		return e != nil && slices.Equal(e.ServiceTags, s.tags)
	})
	w.note("tags_flip_in_consul", time.Since(promoted))
	w.off(f, "require_progress_by_promotion", promoted.Add(s.progress))
}

// placedAfter is how long after an evaluation was made an allocation was: it comes with its deployment.
func (f *fixture) placedAfter(evalID, allocID string) time.Duration {
	f.t.Helper()
	e, _, err := f.nomad.Evaluations().Info(evalID, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return time.Duration(f.alloc(allocID).CreateTime - e.CreateTime)
}

// off notes how far RequireProgressBy of the second version's deployment is from a time.
func (w *stopwatch) off(f *fixture, what string, from time.Time) {
	w.note(what, group(f.at(1)).RequireProgressBy.Sub(from).Abs())
}

// rolling measures by events how long the watcher takes from a health change to what follows.
func (w *stopwatch) rolling(f *fixture) {
	s := spec{count: 2, version: "1", progress: ample}
	first := f.deployed(s)
	s.version = "2"
	events := f.follow("Deployment:"+f.id, first.ModifyIndex+1)
	f.register(s)
	var healthy time.Time
	for placed, known := 1, 0; ; {
		e := events.next()
		d, err := e.Deployment()
		if err != nil {
			f.t.Fatal(err)
		}
		switch g := group(d); {
		case d.JobVersion != 1:
		case d.Status == "successful":
			w.note("health_change_to_success_takes_1.25s", time.Since(healthy))
			return
		case g.HealthyAllocs > known:
			healthy, known = time.Now(), g.HealthyAllocs
		case g.PlacedAllocs > placed:
			placed = g.PlacedAllocs
			w.note("health_change_to_next_step_takes_1.25s", time.Since(healthy))
		}
	}
}

// rollback measures how long it takes to fail a deployment, and to come back to the version before.
func (w *stopwatch) rollback(f *fixture) {
	s := spec{count: 2, canary: 2, parallel: 2, version: "1", autoRevert: true, progress: ample}
	f.deployed(s)
	s.version = "2"
	f.register(s)
	d := f.canariesHealthy(2)
	start := time.Now()
	if _, _, err := f.nomad.Deployments().Fail(d.ID, nil); err != nil {
		f.t.Fatal(err)
	}
	w.note("fail_acts_at_once", time.Since(start))
	if d = f.at(1); d.Status != "failed" {
		f.t.Errorf("it is %s", dump(d))
	}
	f.soon("the rollback succeeds", func() bool { l := f.latest(); return l.JobVersion == 2 && l.Status == "successful" })
	w.note("fail_to_rolled_back", time.Since(start))
}

// unhealthy measures how long a deployment without progress deadline outlives its first unhealthy allocation.
func (w *stopwatch) unhealthy(f *fixture) {
	f.register(spec{count: 1, version: "1", checks: true, mode: "sick", deadline: 2 * time.Second})
	f.soon("the deployment fails", func() bool { d := f.latest(); return d != nil && d.Status == "failed" })
	a := f.alloc(f.allocs()[0].ID)
	w.note("first_unhealthy_to_failed", time.Since(a.DeploymentStatus.Timestamp))
}

// kill measures how long a query waits for a change that does not come, and how long a task that does not listen to its
// signal is left to run.
func (w *stopwatch) kill(f *fixture) {
	f.deployed(spec{count: 1, version: "1", mode: "stubborn", shutdown: shutdownDelay, progress: ample})
	_, _, h := f.call(f.t, "GET", "/v1/job/"+f.id, "")
	start := time.Now()
	f.call(f.t, "GET", "/v1/job/"+f.id+"?wait="+queryWait.String()+"&index="+h.Get("X-Nomad-Index"), "")
	w.note("a_blocking_query_waits_for_its_time", time.Since(start))
	id := f.running(0)[0].ID
	if _, _, err := f.nomad.Jobs().Deregister(f.id, false, nil); err != nil {
		f.t.Fatal(err)
	}
	stopped := time.Now()
	f.eventually("it has ended", func() bool { return f.alloc(id).ClientStatus == "complete" }, f.list)
	a := f.alloc(id)
	w.note("stop_to_sigkill", event(a, api.TaskTerminated).Sub(stopped))
	events := a.TaskStates["server"].Events
	i := slices.IndexFunc(events, func(e *api.TaskEvent) bool { return e.Type == api.TaskTerminated })
	if e := events[i]; e.Signal != 9 && !strings.Contains(e.DisplayMessage, "137") {
		f.t.Errorf("it was killed by %+v", e)
	}
}

func (f *fixture) alloc(id string) *api.Allocation {
	f.t.Helper()
	a, _, err := f.nomad.Allocations().Info(id, nil)
	if err != nil {
		f.t.Fatalf("read the allocation: %v", err)
	}
	return a
}

// event returns when the task of an allocation first had an event of a type; zero for never.
func event(a *api.Allocation, kind string) time.Time {
	state := a.TaskStates["server"]
	if state == nil {
		return time.Time{}
	}
	i := slices.IndexFunc(state.Events, func(e *api.TaskEvent) bool { return e.Type == kind })
	if i < 0 {
		return time.Time{}
	}
	return time.Unix(0, state.Events[i].Time)
}

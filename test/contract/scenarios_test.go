package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// scenario is what was done before a real Nomad when it was recorded in testdata/scenarios: a job, its second version, and
// what then was done. The times are shorter here.
type scenario struct {
	first, second spec
	act           func(f *fixture, s spec)
	// The recording of events ends with the deployment of this version in this status.
	version  uint64
	status   string
	recorded uint64 // versions that the recorded job had had before
	// How often a task that crashes is placed again until the progress deadline is chance.
	anyCounts bool
}

// The jobs of the recordings: one that deploys by itself, and its next version.
var (
	plain  = spec{count: 3, version: "1", minHealthy: 300 * time.Millisecond, progress: ample}
	canary = spec{count: 3, version: "2", canary: 1, minHealthy: 500 * time.Millisecond, progress: ample}
	// What was unhealthy had checks, and little time.
	checked   = spec{count: 3, version: "1", checks: true, progress: ample}
	unhealthy = spec{count: 3, version: "2", canary: 1, checks: true, deadline: 4 * time.Second, progress: 12 * time.Second, mode: "sick"}
	breaking  = spec{count: 3, version: "2", canary: 1, checks: true, progress: ample, autoRevert: true}
)

func with(s spec, change func(*spec)) spec {
	change(&s)
	return s
}

func reverting(s *spec) { s.autoRevert = true }

var scenarios = map[string]scenario{
	"a_first_registration": {first: with(plain, func(s *spec) { s.canary = 1 }), status: "successful"},
	"b1_canary1_promote": {
		first: with(plain, func(s *spec) { s.canary = 1 }), second: canary, version: 1, status: "successful",
		act: func(f *fixture, _ spec) {
			f.placed(1)
			f.promoteNothing()
			f.promote(f.canariesHealthy(1).ID)
			f.eventually("the first promotion has acted", func() bool { return group(f.at(1)).PlacedAllocs > 1 }, f.list)
			f.promote(f.at(1).ID)
		},
	},
	"b2_bluegreen_canary3_promote": {
		first:  with(plain, func(s *spec) { s.canary = 3 }),
		second: with(canary, func(s *spec) { s.canary = 3 }), version: 1, recorded: 1, status: "successful", act: promoteHealthy(3),
	},
	"b3_auto_promote_canary1": {
		first:  with(plain, func(s *spec) { s.canary = 1 }),
		second: with(canary, func(s *spec) { s.autoPromote, s.parallel = true, 3 }), version: 1, recorded: 2, status: "successful",
	},
	"d1_fail_canary_norevert":          {first: plain, second: canary, version: 1, status: "failed", act: failHealthy(1)},
	"d2_fail_canary_autorevert":        {first: plain, second: with(canary, reverting), version: 2, status: "successful", act: failHealthy(1)},
	"d3_fail_after_promote_autorevert": {first: plain, second: with(canary, reverting), version: 2, status: "successful", act: failPromoted(1)},
	"d4_fail_bluegreen_norevert":       {first: plain, second: with(canary, func(s *spec) { s.canary = 3 }), act: failHealthy(3)},
	"d5_fail_after_promote_norevert":   {first: plain, second: canary, act: failPromoted(1)},
	"e1_unhealthy_norevert":            {first: checked, second: unhealthy},
	"e2_unhealthy_autorevert":          {first: checked, second: with(unhealthy, reverting)},
	"e3_unhealthy_check_restart": {first: checked, anyCounts: true, second: with(unhealthy, func(s *spec) {
		s.autoRevert, s.deadline, s.progress, s.change = true, 15*time.Second, 25*time.Second, checkRestart
	})},
	"e4_crashloop_autorevert": {
		first: checked, anyCounts: true,
		second: with(unhealthy, func(s *spec) { s.autoRevert, s.mode = true, "crash" }),
	},
	"e5_crashloop_norevert_resched": {first: checked, anyCounts: true, second: with(unhealthy, func(s *spec) { s.mode = "crash" })},
	"e6_break_after_healthy_nocheckrestart": {first: checked, second: breaking, act: func(f *fixture, _ spec) {
		id := group(f.canariesHealthy(1)).PlacedCanaries[0]
		f.tell(id, "sicken")
		f.eventually("its check is critical", func() bool { return f.critical(id) }, func() string { return dump(f.at(1)) + f.list() })
	}},
	"e7_break_after_healthy_checkrestart": {first: checked, second: with(breaking, func(s *spec) { s.change = checkRestart }), act: breakCanary},
	"e8_slow_ready": {
		first: checked, second: with(breaking, func(s *spec) { s.mode, s.autoRevert = "slow", false }),
		act: func(f *fixture, _ spec) { f.canariesHealthy(1) },
	},
	"e9_crashloop_mode_delay": {first: checked, second: with(unhealthy, func(s *spec) {
		s.autoRevert, s.mode, s.change = true, "crash", func(j *api.Job) {
			j.TaskGroups[0].RestartPolicy = &api.RestartPolicy{
				Attempts: new(1), Mode: new("delay"), Delay: new(500 * time.Millisecond), Interval: new(5 * time.Second),
			}
		}
	})},
	"e10_unhealthy_reschedule_disabled_autorevert": {
		first: checked, version: 2, status: "successful",
		second: with(unhealthy, func(s *spec) { s.autoRevert, s.attempts, s.progress = true, -1, ample }),
	},
	"e11_unhealthy_progress_deadline_0": {first: checked, second: with(unhealthy, func(s *spec) { s.autoRevert, s.progress = true, 0 })},
	"e12_promote_while_check_failing": {first: checked, second: with(breaking, func(s *spec) {
		s.deadline, s.progress = 8*time.Second, 14*time.Second
		s.change = func(j *api.Job) { j.TaskGroups[0].Tasks[0].Env[sickIf] = sickFile(*j.ID) }
	}), act: func(f *fixture, _ spec) {
		d := f.canariesHealthy(1)
		if err := os.WriteFile(sickFile(f.id), nil, 0o600); err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() { _ = os.Remove(sickFile(f.id)) })
		f.eventually("its check is critical", func() bool { return f.critical(group(d).PlacedCanaries[0]) }, f.list)
		f.promote(d.ID)
	}},
	"e13_promote_with_dead_canary": {first: checked, second: with(breaking, func(s *spec) { s.change = checkRestart }), act: breakCanary},
	"f2_newer_registration": {first: plain, second: canary, version: 3, status: "successful", act: func(f *fixture, s spec) {
		f.canariesHealthy(1)
		s.version = "3"
		f.register(s)
		f.placed(2)
		f.canariesHealthy(1)
		f.register(s)
		f.register(plain)
	}},
	"f6_revert_canary_spec": {
		first: with(plain, func(s *spec) { s.canary = 1 }), second: canary, version: 2, status: "successful",
		act: func(f *fixture, _ spec) {
			f.promote(f.canariesHealthy(1).ID)
			f.deploymentIs("successful", "")
			if _, _, err := f.nomad.Jobs().Revert(f.id, 0, nil, nil, "", ""); err != nil {
				f.t.Fatal(err)
			}
			f.placed(2)
			f.promote(f.canariesHealthy(1).ID)
		},
	},
	"f8_stop_job_during_deployment": {first: plain, second: canary, version: 1, status: "cancelled", act: func(f *fixture, _ spec) {
		f.placed(1)
		if _, _, err := f.nomad.Jobs().Deregister(f.id, false, nil); err != nil {
			f.t.Fatal(err)
		}
	}},
	"f9_autorevert_after_promote_canary_spec": {
		first: with(plain, func(s *spec) { s.canary = 1 }), second: with(canary, reverting),
		version: 1, status: "failed", act: failPromoted(2),
	},
	"f11_first_deploy_fails_autorevert": {first: with(unhealthy, func(s *spec) { s.autoRevert, s.attempts, s.progress = true, -1, ample })},
}

func sickFile(jobID string) string { return filepath.Join(os.TempDir(), jobID+".sick") }

func checkRestart(j *api.Job) {
	j.TaskGroups[0].Services[0].Checks[0].CheckRestart = &api.CheckRestart{Limit: 3, Grace: new(5 * time.Second)}
}

func promoteHealthy(n int) func(*fixture, spec) {
	return func(f *fixture, _ spec) { f.promote(f.canariesHealthy(n).ID) }
}

func failHealthy(n int) func(*fixture, spec) {
	return func(f *fixture, _ spec) { f.fail(f.canariesHealthy(n).ID) }
}

// failPromoted promotes, and fails the deployment when so many are healthy and another has been placed.
func failPromoted(healthy int) func(*fixture, spec) {
	return func(f *fixture, _ spec) {
		f.promote(f.canariesHealthy(1).ID)
		f.soon("another is placed", func() bool { g := group(f.at(1)); return g.PlacedAllocs == 2 && g.HealthyAllocs == healthy })
		f.fail(f.at(1).ID)
	}
}

// breakCanary has a healthy canary fail its check until it is dead.
func breakCanary(f *fixture, _ spec) {
	d := f.canariesHealthy(1)
	f.tell(group(d).PlacedCanaries[0], "sicken")
	f.eventually("the canary is dead", func() bool { return f.alloc(group(d).PlacedCanaries[0]).ClientStatus == "failed" }, f.list)
}

func (f *fixture) placed(version uint64) {
	f.t.Helper()
	f.eventually("a canary is placed", func() bool { g := group(f.at(version)); return g != nil && len(g.PlacedCanaries) == 1 }, f.list)
}

// promoteNothing promotes a group that is not there, which changes nothing but is written.
func (f *fixture) promoteNothing() {
	f.t.Helper()
	if _, _, err := f.nomad.Deployments().PromoteGroups(f.at(1).ID, []string{"nope"}, nil); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) fail(id string) {
	f.t.Helper()
	if _, _, err := f.nomad.Deployments().Fail(id, nil); err != nil {
		f.t.Fatal(err)
	}
}

// TestRecordedScenarios does what was recorded, and compares what comes of it: deployments, versions, allocations, what
// triggered evaluations, and the order of events.
func TestRecordedScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scenarios/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".json"), ".ndjson")
		if _, ok := scenarios[name]; !ok {
			t.Errorf("%s is not replayed", path)
		}
	}
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var events *stream
			if sc.second.count > 0 {
				f.deployed(sc.first)
			}
			if sc.status != "" {
				events = f.follow("*", f.index())
			}
			if sc.second.count == 0 {
				f.register(sc.first)
			} else {
				f.register(sc.second)
			}
			if sc.act != nil {
				sc.act(f, sc.second)
			}
			if events != nil {
				compareEvents(t, recordedEvents(t, name, sc), f.events(events, sc))
			}
			f.comesTo(t, name, sc)
		})
	}
}

// index is the present one, plus one.
func (f *fixture) index() uint64 {
	f.t.Helper()
	_, meta, err := f.nomad.Jobs().List(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return meta.LastIndex + 1
}

// outcome is what was recorded at the end of a scenario.
type outcome struct {
	Deployments []*api.Deployment
	Versions    []*api.Job
	Allocations []*api.AllocationListStub
	Triggers    []string
}

// comesTo awaits that all is as it was recorded.
func (f *fixture) comesTo(t *testing.T, name string, sc scenario) {
	t.Helper()
	text, err := os.ReadFile("testdata/scenarios/" + name + ".json")
	if os.IsNotExist(err) {
		return
	}
	var want outcome
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	want.Deployments = slices.DeleteFunc(want.Deployments, func(d *api.Deployment) bool {
		return d.StatusDescription == "Deployment is running" // on the way when it was recorded
	})
	f.eventuallyAre(t, want.deployments(sc), func() []string {
		now := f.outcome()
		now.Deployments = slices.DeleteFunc(now.Deployments, func(d *api.Deployment) bool { // not all were recorded
			return !slices.ContainsFunc(want.Deployments, func(w *api.Deployment) bool { return w.JobVersion == d.JobVersion })
		})
		return now.deployments(sc)
	})
	f.eventuallyAre(t, want.versions(), func() []string { return f.outcome().versions() })
	f.eventuallyAre(t, want.allocations(), func() []string { return f.outcome().allocations() })
	f.eventuallyAre(t, want.Triggers, func() []string { return f.outcome().Triggers })
}

// eventuallyAre awaits that lines are the wanted ones, where any are.
func (f *fixture) eventuallyAre(t *testing.T, want []string, get func() []string) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	var got []string
	f.eventually("it is as recorded", func() bool { got = get(); return slices.Equal(got, want) }, func() string {
		return fmt.Sprintf("got\n%s\nrecorded\n%s\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), f.list())
	})
}

func (f *fixture) outcome() outcome {
	f.t.Helper()
	deployments, _, err := f.nomad.Jobs().Deployments(f.id, false, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	evals, _, err := f.nomad.Jobs().Evaluations(f.id, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	triggers := map[string]bool{}
	for _, e := range evals {
		triggers[e.TriggeredBy] = true
	}
	return outcome{deployments, f.versions(), f.allocs(), slices.Sorted(maps.Keys(triggers))}
}

func (o outcome) deployments(sc scenario) []string {
	var out []string
	for _, d := range o.Deployments {
		g := group(d)
		line := fmt.Sprintf("v%d %s %q total=%d canaries=%d promoted=%t", d.JobVersion, d.Status, d.StatusDescription,
			g.DesiredTotal, g.DesiredCanaries, g.Promoted)
		if !sc.anyCounts {
			line += fmt.Sprintf(" placed=%d+%d healthy=%d unhealthy=%d", g.PlacedAllocs, len(g.PlacedCanaries), g.HealthyAllocs, g.UnhealthyAllocs)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func (o outcome) versions() []string {
	var out []string
	for _, v := range o.Versions {
		out = append(out, fmt.Sprintf("v%d stable=%t", *v.Version, *v.Stable))
	}
	return out
}

func (o outcome) allocations() []string {
	var out []string
	for _, a := range o.Allocations {
		line := fmt.Sprintf("v%d %s %q %s %q", a.JobVersion, a.DesiredStatus, a.DesiredDescription, a.ClientStatus, a.ClientDescription)
		if s := a.DeploymentStatus; s != nil && s.Healthy != nil {
			line += fmt.Sprintf(" healthy=%t canary=%t", *s.Healthy, s.Canary)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

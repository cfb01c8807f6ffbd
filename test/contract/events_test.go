package contract

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// scenarios are what was recorded in testdata/events: what is done, until the events of the newest deployment say so.
var scenarios = map[string]struct {
	autoRevert, autoPromote bool
	canary, parallel        int
	early, act              func(f *fixture, d *api.Deployment) // when the canary is placed, when it is healthy
	ends                    string
}{
	"b1_canary1_promote":        {canary: 1, ends: "successful", early: promoteNothing, act: promoteTwice},
	"b2_bluegreen_promote":      {canary: 3, ends: "successful", act: func(f *fixture, d *api.Deployment) { f.promote(d.ID) }},
	"b3_auto_promote_canary1":   {canary: 1, parallel: 3, ends: "successful", autoPromote: true},
	"d1_fail_canary_norevert":   {canary: 1, ends: "failed", act: fail},
	"d2_fail_canary_autorevert": {canary: 1, ends: "failed", autoRevert: true, act: fail},
}

// promoteNothing promotes a group that is not there, which changes nothing but is written.
func promoteNothing(f *fixture, d *api.Deployment) {
	f.t.Helper()
	if _, _, err := f.nomad.Deployments().PromoteGroups(d.ID, []string{"nope"}, nil); err != nil {
		f.t.Fatal(err)
	}
}

func promoteTwice(f *fixture, d *api.Deployment) {
	f.promote(d.ID)
	f.eventually("the first promotion has acted", func() bool { return group(f.at(1)).PlacedAllocs > 1 }, f.list)
	f.promote(d.ID)
}

func fail(f *fixture, d *api.Deployment) {
	f.t.Helper()
	if _, _, err := f.nomad.Deployments().Fail(d.ID, nil); err != nil {
		f.t.Fatal(err)
	}
}

// TestEventOrder compares what happens to the job, its evaluations and deployments with the recorded order. Events of
// allocations come as their tasks please, and repeats count once.
func TestEventOrder(t *testing.T) {
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			s := spec{
				count: 3, canary: sc.canary, parallel: sc.parallel, version: "1", autoRevert: sc.autoRevert, autoPromote: sc.autoPromote,
				minHealthy: time.Second, progress: 30 * time.Second,
			}
			first := f.deployed(s)
			s.version = "2"
			lines := f.follow("*", first.ModifyIndex+1)
			f.register(s)
			if sc.early != nil {
				f.eventually("a canary is placed", func() bool { return f.at(1) != nil }, f.list)
				sc.early(f, f.at(1))
			}
			if sc.act != nil {
				sc.act(f, f.canariesHealthy(sc.canary))
			}
			var got []string
			for done := false; !done; {
				e := lines.next()
				if !slices.Contains(append(e.FilterKeys, e.Key), f.id) {
					continue
				}
				step, status, version := stepOf(e)
				if len(got) > 0 || step == "Job/JobRegistered" {
					got = append(got, step)
				}
				done = status == sc.ends && version == 1
			}
			got = steps(got)
			want := recordedSteps(t, name, sc.ends)
			if !slices.Equal(got, want) {
				t.Errorf("got\n  %s\nrecorded\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
}

// stepOf names an event by topic and type, and tells of a deployment's its status and version.
func stepOf(e api.Event) (step, status string, version uint64) {
	step = string(e.Topic) + "/" + e.Type
	if d, err := e.Deployment(); err == nil && d != nil {
		return step, d.Status, d.JobVersion
	}
	return step, "", 0
}

// steps keeps of a list what is told about deployments and the job, without repeats. Whether a health change is told
// alone or with others depends on the moment, as does how often the watcher schedules.
func steps(all []string) []string {
	all = slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return !strings.HasPrefix(s, "Deployment/") && s != "Job/JobRegistered" && s != "Job/DeploymentStatusUpdate"
	})
	return slices.Compact(all)
}

func recordedSteps(t *testing.T, name, ends string) []string {
	t.Helper()
	body, err := os.ReadFile("testdata/events/" + name + ".ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(body)) {
		var batch api.Events
		if err := json.Unmarshal([]byte(line), &batch); err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			step, status, version := stepOf(e)
			if len(all) > 0 || step == "Job/JobRegistered" {
				all = append(all, step)
			}
			if status == ends && version >= 1 {
				return steps(all)
			}
		}
	}
	t.Fatalf("the recording %s does not end as %q", name, ends)
	return nil
}

package contract

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

func TestStopAllocation(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "1", progress: ample})
	old := f.running(0)[0]
	if _, err := f.nomad.Allocations().Stop(&api.Allocation{ID: old.ID}, nil); err != nil {
		t.Fatal(err)
	}
	f.eventually("another takes its place", func() bool {
		now := f.running(0)
		return len(now) == 1 && now[0].ID != old.ID && now[0].Name == old.Name
	}, f.list)
	if a := f.find(func(a *api.AllocationListStub) bool { return a.ID == old.ID }); a.DesiredDescription != "alloc is being migrated" {
		t.Errorf("it says %q", a.DesiredDescription)
	}
}

func TestStoppedAllocOfTheOldSideComesBackAtItsOldVersion(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, canary: 1, version: "1", progress: ample}
	first := f.deployed(s)
	s.version = "2"
	f.register(s)
	f.canariesHealthy(1)
	old := f.running(0)[0]
	if _, err := f.nomad.Allocations().Stop(&api.Allocation{ID: old.ID}, nil); err != nil {
		t.Fatal(err)
	}
	f.eventually("two of the old version run again", func() bool {
		now := f.running(0)
		return len(now) == 2 && now[0].ID != old.ID && now[1].ID != old.ID
	}, f.list)
	attached, _, err := f.nomad.Deployments().Allocations(first.ID, nil)
	if err != nil || len(attached) != 3 {
		t.Errorf("the replacement belongs to the old deployment: %d allocations, %v", len(attached), err)
	}
}

func TestPlan(t *testing.T) {
	f := newFixture(t)
	s := spec{count: 2, canary: 1, version: "1", progress: ample}
	want := func(what string, check func(u *api.DesiredUpdates) bool) {
		t.Helper()
		resp, _, err := f.nomad.Jobs().Plan(f.job(s), true, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if u := resp.Annotations.DesiredTGUpdates["model"]; u == nil || !check(u) {
			t.Errorf("%s: %+v", what, u)
		}
	}
	want("a_new_job_places_its_count", func(u *api.DesiredUpdates) bool { return u.Place == 2 && u.Canary == 0 })
	f.deployed(s)
	want("the_same_spec_changes_nothing", func(u *api.DesiredUpdates) bool { return u.Ignore == 2 && u.Place == 0 && u.Canary == 0 })
	s.version = "2"
	want("a_new_version_places_canaries", func(u *api.DesiredUpdates) bool { return u.Canary == 1 && u.Ignore == 2 })
	if v := f.versions(); len(v) != 1 {
		t.Errorf("planning has made %d versions", len(v))
	}
}

func TestParse(t *testing.T) {
	tg := theTarget(t)
	job, err := tg.nomad.Jobs().ParseHCLOpts(&api.JobsParseRequest{
		JobHCL: "variable \"n\" { type = number }\njob \"a\" {\n  group \"g\" {\n    count = var.n\n  }\n}\n", Variables: "n = 3",
		Canonicalize: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if *job.ID != "a" || *job.TaskGroups[0].Count != 3 || *job.Priority != 50 {
		t.Errorf("%+v", job)
	}
	body, err := json.Marshal(map[string]string{"JobHCL": `job "x" {`})
	if err != nil {
		t.Fatal(err)
	}
	status, text, _ := tg.call(t, "PUT", "/v1/jobs/parse", string(body))
	if status != 400 || !strings.HasPrefix(text, "Failed to parse job: input.hcl:1,") {
		t.Errorf("a_parse_error_names_its_place: %d %q", status, text)
	}
}

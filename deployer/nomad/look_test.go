package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/rollout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded is what a real Nomad 1.6.5 answered about a job at one moment.
type recorded struct {
	Versions    []map[string]any `json:"versions"` // newest first
	Deployments json.RawMessage  `json:"deployments"`
	Allocations json.RawMessage  `json:"allocations"`
}

// load reads a recording and gives its odd version our meta of the new release, the others that of the old one.
func load(t *testing.T, name string) recorded {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Versions {
		meta := map[string]string{MetaRelease: "v1-aaaaaaaa", MetaAttempt: "a0"}
		if v["Version"] == 1.0 {
			meta = map[string]string{MetaRelease: "v2-bbbbbbbb", MetaAttempt: "a1"}
		}
		v["Meta"] = meta
	}
	return r
}

// serve answers as Nomad did.
func serve(t *testing.T, r recorded) *Client {
	t.Helper()
	return client(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var answer any
		switch req.URL.Path {
		case "/v1/job/m":
			answer = r.Versions[0]
		case "/v1/job/m/versions":
			answer = map[string]any{"Versions": r.Versions}
		case "/v1/job/m/deployments":
			answer = r.Deployments
		case "/v1/job/m/allocations":
			answer = r.Allocations
		default:
			http.Error(w, "job not found", http.StatusNotFound)
			return
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
}

func client(t *testing.T, h http.Handler) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.api.Close)
	return c
}

func TestLook(t *testing.T) {
	for name, want := range map[string]View{
		"failed_canary": {
			Index: 167,
			State: rollout.Nomad{
				Exists: true, Release: "v2-bbbbbbbb", Attempt: "a1", Version: 1, StableVersion: new(uint64(0)),
				Current: rollout.Deployment{
					ID: "c618b6b9-105b-02f3-4855-dc41c429f2ab", Version: 1, Release: "v2-bbbbbbbb", Attempt: "a1",
					Status: "failed", Reason: "Deployment marked as failed", Canaries: 1, Healthy: 1, Wanted: 3,
				},
			},
			Canary: Allocs{}, Stable: Allocs{Running: 3},
		},
		"rolled_back_after_promote": {
			Index: 247,
			State: rollout.Nomad{
				Exists: true, Release: "v1-aaaaaaaa", Attempt: "a0", Version: 2, StableVersion: new(uint64(2)),
				Current: rollout.Deployment{
					ID: "e1cb426e-ad57-1271-a7d6-c034cf0b252b", Version: 2, Release: "v1-aaaaaaaa", Attempt: "a0",
					Status: "successful", Reason: "Deployment completed successfully", Healthy: 3, Wanted: 3,
				},
				Trial: rollout.Deployment{
					ID: "6fa93d4e-09e8-119d-a242-c0d81abbe674", Version: 1, Release: "v2-bbbbbbbb", Attempt: "a1",
					Status: "failed", Reason: "Deployment marked as failed - rolling back to job version 0",
					Canaries: 1, Promoted: true, Healthy: 2, Wanted: 3,
				},
			},
			Canary: Allocs{}, Stable: Allocs{Running: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if want.State.Trial.ID == "" {
				want.State.Trial = want.State.Current
			}
			got, err := serve(t, load(t, name)).Look(t.Context(), "m", "a1", "v1-aaaaaaaa")
			if err != nil {
				t.Fatal(err)
			}
			if got.Job == nil || *got.Job.ID != "m" {
				t.Errorf("job %v", got.Job)
			}
			if len(got.Stable.IDs) < got.Stable.Running || len(got.Canary.IDs) < got.Canary.Running {
				t.Errorf("ids %v and %v, want one for each allocation", got.Canary.IDs, got.Stable.IDs)
			}
			got.Job, got.Canary.IDs, got.Stable.IDs = nil, nil, nil
			g, w := fmt.Sprintf("%+v %d", got, *got.State.StableVersion), fmt.Sprintf("%+v %d", want, *want.State.StableVersion)
			got.State.StableVersion, want.State.StableVersion = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("looks like\n%s, want\n%s", g, w)
			}
		})
	}
}

// A stopped job is none to look at, but Nomad still wants its index when it is registered anew.
func TestLookAtAStoppedJob(t *testing.T) {
	r := load(t, "failed_canary")
	r.Versions[0]["Stop"] = true
	v, err := serve(t, r).Look(t.Context(), "m", "a9", "none")
	if err != nil || v.State.Exists || v.State.Attempt != "" || v.Job != nil || v.Index != 167 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestLookAtNoJob(t *testing.T) {
	v, err := serve(t, load(t, "failed_canary")).Look(t.Context(), "nope", "a1", "none")
	if err != nil || v.State.Exists || v.Index != 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestLookWithoutNomad(t *testing.T) {
	c, err := New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Look(t.Context(), "m", "a1", "none"); err == nil {
		t.Error("no error")
	}
	if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "set NOMAD_ADDR") {
		t.Errorf("%v", err)
	}
}

func TestNewestOf(t *testing.T) {
	job := func(n uint64, release string, stable bool) *api.Job {
		return &api.Job{Version: &n, Stable: &stable, Meta: map[string]string{MetaRelease: release}}
	}
	for name, tt := range map[string]struct {
		versions []*api.Job
		want     *uint64
	}{
		"none":                     {nil, nil},
		"another release":          {[]*api.Job{job(3, "b", true)}, nil},
		"the newest":               {[]*api.Job{job(3, "a", true), job(2, "b", true), job(1, "a", true)}, new(uint64(3))},
		"a stable one comes first": {[]*api.Job{job(3, "a", false), job(1, "a", true), job(0, "a", true)}, new(uint64(1))},
		"else the newest":          {[]*api.Job{job(1, "a", false), job(3, "a", false)}, new(uint64(3))},
	} {
		t.Run(name, func(t *testing.T) {
			got := newestOf(tt.versions, "a")
			if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	b, err := os.ReadFile("testdata/dead_canary.json")
	if err != nil {
		t.Fatal(err)
	}
	var a api.Allocation
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	got := Trouble(a.ID, a.ClientStatus, a.TaskStates)
	if !strings.HasPrefix(got, "allocation 1b4d547d, task server: Exit Code: ") {
		t.Errorf("%q, want how the task ended", got)
	}
	if got := Trouble("1b4d547d", api.AllocClientStatusRunning, nil); got != "" {
		t.Errorf("%q of a running allocation", got)
	}
	if got := Trouble("1b4d", api.AllocClientStatusLost, nil); got != "allocation 1b4d: its node is lost" {
		t.Errorf("%q", got)
	}
}

func TestCount(t *testing.T) {
	meta := map[uint64]map[string]string{
		1: {MetaRelease: "a", MetaAttempt: "a0"}, 2: {MetaRelease: "b", MetaAttempt: "b1"},
		3: {MetaRelease: "b", MetaAttempt: "b2"},
	}
	stub := func(version uint64, status, desired string) *api.AllocationListStub {
		return &api.AllocationListStub{ID: "0123456789", JobVersion: version, ClientStatus: status, DesiredStatus: desired}
	}
	var v View
	v.count([]*api.AllocationListStub{
		stub(1, "running", "run"), stub(1, "complete", "stop"), stub(1, "lost", "stop"),
		stub(2, "failed", "stop"), // of an earlier attempt
		stub(3, "running", "run"), stub(3, "pending", "run"), stub(3, "failed", "run"), stub(3, "complete", "run"),
		stub(3, "complete", "stop"),
	}, meta, "b2", "a")
	if v.Canary.Running != 1 || v.Canary.Dead != 2 || v.Stable.Running != 1 || v.Stable.Dead != 1 {
		t.Errorf("%+v", v)
	}
}

func TestRefused(t *testing.T) {
	for said, tt := range map[string]struct {
		status  int
		refused bool
	}{
		"1 error occurred:\n\t* Task group \"model\" has 0/1 healthy allocations\n\n": {500, true},
		"can't promote terminal deployment":                                           {500, true},
		"rpc error: deployment not found":                                             {404, true},
		"Permission denied":                                                           {403, true},
		"No cluster leader":                                                           {500, false},
		"rpc error: EOF":                                                              {500, false},
		"upstream is away":                                                            {502, false},
	} {
		c := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, said, tt.status) }))
		got, refused := Refused(c.Promote(t.Context(), "d1"))
		if refused != tt.refused || strings.Contains(got, "\n") {
			t.Errorf("%d %q: refused %v as %q", tt.status, said, refused, got)
		}
	}
	if _, refused := Refused(errors.New("dial tcp: connection refused")); refused {
		t.Error("an unreachable Nomad has refused")
	}
}

func TestActsSayWhatTheyMean(t *testing.T) {
	got := map[string]map[string]any{}
	c := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body) // a DELETE has none
		got[r.Method+" "+r.URL.Path] = body
		fmt.Fprint(w, "{}")
	}))
	ctx, one := context.WithCancel(t.Context())
	defer one()
	for _, err := range []error{
		c.Register(ctx, json.RawMessage(`{"ID":"m","Name":"m"}`), 7), c.Promote(ctx, "d1"), c.Fail(ctx, "d1"),
		c.Restore(ctx, "m", 3, 5), c.Stop(ctx, "m"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if r := got["PUT /v1/jobs"]; r["EnforceIndex"] != true || r["JobModifyIndex"] != 7.0 {
		t.Errorf("register: %v", r)
	}
	if r := got["PUT /v1/deployment/promote/d1"]; r["All"] != true {
		t.Errorf("promote: %v", r)
	}
	if r := got["PUT /v1/job/m/revert"]; r["JobVersion"] != 3.0 || r["EnforcePriorVersion"] != 5.0 {
		t.Errorf("restore: %v", r)
	}
	for _, path := range []string{"PUT /v1/deployment/fail/d1", "DELETE /v1/job/m"} {
		if _, ok := got[path]; !ok {
			t.Errorf("no %s in %v", path, got)
		}
	}
}

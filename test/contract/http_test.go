package contract

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

const noID = "00000000-0000-0000-0000-000000000000"

func TestErrors(t *testing.T) {
	t.Parallel()
	tg := theTarget(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v1/jobs?index=1&wait=5", "", 400, "Invalid wait time"},
		{"GET", "/v1/client/fs/logs/" + noID + "?type=stdout", "", 400, "must provide task name"},
		{"GET", "/v1/client/fs/logs/" + noID + "?task=server&type=bad", "", 400, "must provide log type (stdout/stderr)"},
	} {
		t.Run(c.method+strings.ReplaceAll(c.path, "/", "_"), func(t *testing.T) {
			tg.wants(t, c.method, c.path, c.body, c.status, c.want)
		})
	}
	t.Run("deleting_an_unknown_job_is_200_without_an_evaluation", func(t *testing.T) {
		if status, body, _ := tg.call(t, "DELETE", "/v1/job/nope", ""); status != 200 || !strings.Contains(body, `"EvalID":""`) {
			t.Errorf("%d %s", status, body)
		}
	})
}

func TestBlockingQuery(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, canary: 1, version: "1", progress: ample})
	path := "/v1/job/" + f.id
	_, _, h := f.call(t, "GET", path, "")
	index := h.Get("X-Nomad-Index")
	t.Run("an_index_above_the_current_one_returns_the_lower_real_one", func(t *testing.T) {
		_, _, h := f.call(t, "GET", path+"?index=99999999&wait=100ms", "")
		if h.Get("X-Nomad-Index") != index {
			t.Errorf("got %s, not %s", h.Get("X-Nomad-Index"), index)
		}
	})
	t.Run("wakes_on_a_change", func(t *testing.T) {
		woke := make(chan string, 1)
		go func() {
			_, _, h := f.call(t, "GET", path+"?index="+index+"&wait=20s", "")
			woke <- h.Get("X-Nomad-Index")
		}()
		f.register(spec{count: 1, canary: 1, version: "2", progress: ample})
		select {
		case got := <-woke:
			before, _ := strconv.Atoi(index)
			if after, err := strconv.Atoi(got); err != nil || after <= before {
				t.Errorf("index %s → %s", index, got)
			}
		case <-time.After(5 * time.Second):
			t.Error("it did not wake")
		}
	})
}

func TestEventStream(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "1", progress: ample})
	id := f.latest().ID
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.addr+"/v1/event/stream?topic=Deployment:"+f.id, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != "{}" {
		t.Fatalf("an_empty_object_comes_at_once: %q", lines.Text())
	}
	for lines.Scan() {
		var batch api.Events
		if err := json.Unmarshal(lines.Bytes(), &batch); err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Events {
			d, err := e.Deployment()
			if err != nil || e.Topic != "Deployment" || d == nil || d.JobID != f.id {
				t.Fatalf("only_the_filtered_topic: %+v, %v", e, err)
			}
			if d.ID == id && d.Status == "successful" {
				if e.Type != "PlanResult" {
					t.Errorf("type %s", e.Type)
				}
				return // the buffer is replayed without index
			}
		}
	}
	t.Errorf("the stream ended: %v", lines.Err())
}

func TestLogs(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "7", progress: ample})
	a, _, err := f.nomad.Allocations().Info(f.running(0)[0].ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel := make(chan struct{})
	defer close(cancel)
	frames, errs := f.nomad.AllocFS().Logs(a, false, "server", "stdout", "start", 0, cancel, nil)
	var got strings.Builder
	for done := false; !done; {
		select {
		case frame, open := <-frames:
			if done = !open; open {
				got.Write(frame.Data)
			}
		case err := <-errs:
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			done = true
		}
	}
	if want := "start alloc=" + a.ID + " version=7\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
	f.wants(t, "GET", "/v1/client/fs/logs/"+a.ID+"?task=x&type=stdout", "", 400, `unknown task name "x"`)
	f.wants(t, "GET", "/v1/client/fs/logs/"+a.ID+"?task=server&type=stdout&plain=true", "", 200, got.String())
}

func TestDocuments(t *testing.T) {
	f := newFixture(t)
	d := f.deployed(spec{count: 1, version: "1", checks: true, progress: ample, change: func(j *api.Job) {
		j.TaskGroups[0].Services[0].Tags, j.TaskGroups[0].Services[0].CanaryTags = []string{"y"}, []string{"x"}
	}})
	alloc := f.running(0)[0]
	for file, path := range map[string]string{
		"job": "/v1/job/" + f.id, "job_versions": "/v1/job/" + f.id + "/versions", "job_summary": "/v1/job/" + f.id + "/summary",
		"jobs_list": "/v1/jobs?prefix=" + f.id, "deployment_successful": "/v1/deployment/" + d.ID,
		"allocation": "/v1/allocation/" + alloc.ID, "allocations": "/v1/job/" + f.id + "/allocations",
		"evaluations": "/v1/job/" + f.id + "/evaluations", "node": "/v1/node/" + alloc.NodeID, "nodes": "/v1/nodes",
	} {
		t.Run("every_recorded_field_of_"+file, func(t *testing.T) {
			recorded := recording(t, file)
			_, body, _ := f.call(t, "GET", path, "")
			var got any
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			compareShape(t, file, recorded, got)
		})
	}
}

func recording(t *testing.T, name string) any {
	t.Helper()
	body, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var capture struct{ JSON any }
	if err := json.Unmarshal(body, &capture); err != nil {
		t.Fatal(err)
	}
	return capture.JSON
}

// free are maps whose keys are data, and fields that depend on the machine or on what Consul's provider needs.
var free = map[string]bool{
	"Env": true, "Config": true, "Attributes": true, "Meta": true, "Scores": true, "NodesAvailable": true, "Links": true,
	"Constraints": true, "Details": true, "Drivers": true, "NodeResources": true, "Events": true, "CanaryMeta": true,
	"Pids": true, "config": true, "stats": true,
}

// early are fields that are null or missing until something has happened: an evaluation that the scheduler has not
// processed yet has queued nothing. A server without a client has not the health of one.
var early = map[string]bool{
	"client": true, "DeploymentStatus": true, "TaskStates": true, "QueuedAllocations": true, "StartedAt": true, "FinishedAt": true,
}

// unprocessed are fields that an evaluation lacks until the scheduler has processed it.
var unprocessed = map[string]bool{"SnapshotIndex": true, "DeploymentID": true}

func isEarly(at, key string) bool {
	return early[key] || unprocessed[key] && strings.Contains(at, "evaluations")
}

// compareShape reports keys of the recorded document that are missing, or whose value has another JSON type.
func compareShape(t *testing.T, at string, recorded, got any) {
	t.Helper()
	if recorded == nil || got == nil && early[at[strings.LastIndex(at, ".")+1:]] {
		return
	}
	switch want := recorded.(type) {
	case map[string]any:
		have, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: got %T, want an object", at, got)
			return
		}
		for key, value := range want {
			if _, has := have[key]; !has && isEarly(at, key) {
				continue
			} else if !has {
				t.Errorf("%s.%s is missing", at, key)
			} else if !free[key] {
				compareShape(t, at+"."+key, value, have[key])
			}
		}
	case []any:
		have, ok := got.([]any)
		if !ok {
			t.Errorf("%s: got %T, want a list", at, got)
			return
		}
		if len(want) > 0 && len(have) > 0 {
			compareShape(t, at+"[]", want[0], have[0])
		}
	case string, float64, bool:
		if jsonKind(got) != jsonKind(recorded) {
			t.Errorf("%s: got %v, want a %s", at, got, jsonKind(recorded))
		}
	}
}

func jsonKind(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return "other"
}

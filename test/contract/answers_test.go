package contract

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// answer is a recorded request, and what a real Nomad answered: text, or a document.
type answer struct {
	Request struct {
		Method, Path string
		Body         json.RawMessage
	}
	Status  int
	Headers map[string]string
	Body    string
	JSON    json.RawMessage
}

// recordedAnswers lists the recordings of a folder below testdata/answers.
func recordedAnswers(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/answers/" + folder + "/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no recordings in %s: %v", folder, err)
	}
	for i, path := range paths {
		paths[i] = folder + "/" + strings.TrimSuffix(filepath.Base(path), ".json")
	}
	return paths
}

func readAnswer(t *testing.T, name string) answer {
	t.Helper()
	text, err := os.ReadFile("testdata/answers/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return a
}

// body is what was sent: a text, a document, or nothing. Jobs were not recorded.
func (a answer) body(t *testing.T) string {
	t.Helper()
	var text string
	switch {
	case string(a.Request.Body) == "null":
		return ""
	case strings.Contains(string(a.Request.Body), "elided"):
		t.Fatal("the recorded request has a job: say which")
	case json.Unmarshal(a.Request.Body, &text) == nil:
		return text
	}
	return string(a.Request.Body)
}

// answers sends a recorded request, with another body where one is given, and compares status, headers and answer.
// What is recorded of another day is replaced: pairs of old and new.
func (tg *target) answers(t *testing.T, name, body string, replace ...string) {
	t.Helper()
	want, today := readAnswer(t, name), strings.NewReplacer(replace...)
	if body == "" {
		body = want.body(t)
	}
	path := today.Replace(want.Request.Path)
	status, got, headers := tg.call(t, want.Request.Method, path, body)
	if status != want.Status {
		t.Errorf("%s %s: got %d %.300s, recorded %d", want.Request.Method, path, status, got, want.Status)
		return
	}
	compareHeaders(t, want.Headers, headers)
	if want.JSON == nil {
		if text := today.Replace(want.Body); got != text {
			t.Errorf("%s %s: got %q, recorded %q", want.Request.Method, path, got, text)
		}
		return
	}
	var has, recorded any
	if err := json.Unmarshal([]byte(got), &has); err != nil {
		t.Fatalf("%s %s: %v: %.300s", want.Request.Method, path, err, got)
	}
	if err := json.Unmarshal(want.JSON, &recorded); err != nil {
		t.Fatal(err)
	}
	compareShape(t, name, recorded, has)
	if exact[filepath.Dir(name)] && !within(recorded, has) {
		t.Errorf("%s %s: got %s, recorded %s", want.Request.Method, path, got, want.JSON)
	}
}

// exact are the folders whose documents tell nothing of one day or machine.
var exact = map[string]bool{"validate": true}

// within reports whether a document has all that is in the recorded one; newer versions have more fields.
func within(recorded, got any) bool {
	want, ok := recorded.(map[string]any)
	if !ok {
		return reflect.DeepEqual(recorded, got)
	}
	has, ok := got.(map[string]any)
	for key, value := range want {
		if !ok || !within(value, has[key]) {
			return false
		}
	}
	return ok
}

func compareHeaders(t *testing.T, recorded map[string]string, got http.Header) {
	t.Helper()
	for name, want := range recorded {
		switch name {
		case "Content-Type", "Cache-Control", "Location", "X-Nomad-Knownleader", "X-Nomad-Lastcontact":
			if got.Get(name) != want {
				t.Errorf("header %s: got %q, recorded %q", name, got.Get(name), want)
			}
		case "X-Nomad-Index":
			if got.Get(name) == "" {
				t.Errorf("header %s is missing", name)
			}
		}
	}
}

// recordedJob is the job of the recordings, with a change. Its services are Consul's, for the embedded agent has none.
func recordedJob(t *testing.T, change func(*api.Job)) string {
	t.Helper()
	text, err := os.ReadFile("testdata/register_first.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Request struct{ Body struct{ Job *api.Job } }
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	job := recorded.Request.Body.Job
	job.TaskGroups[0].Services[0].Provider = "consul"
	change(job)
	body, err := json.Marshal(map[string]any{"Job": job})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestRecordedAnswers replays requests on things that are not there, or that are wrong, to the letter.
func TestRecordedAnswers(t *testing.T) {
	f := newFixture(t)
	f.deployed(spec{count: 1, version: "1", progress: ample})
	jobs := map[string]string{
		"errors/job_no_groups":               recordedJob(t, func(j *api.Job) { j.TaskGroups = nil }),
		"errors/job_no_id":                   recordedJob(t, func(j *api.Job) { j.ID = nil }),
		"errors/job_wrong_type":              `{"Job":{"ID":5}}`,
		"errors/register_bad_namespace":      recordedJob(t, func(*api.Job) {}),
		"errors/unknown_job_plan_mismatch":   recordedJob(t, func(*api.Job) {}),
		"errors/unknown_alloc_stop":          "{}", // nothing was sent, which the recorder did not tell from null
		"cas/register_via_job_path_mismatch": recordedJob(t, func(*api.Job) {}),
	}
	names := append(recordedAnswers(t, "errors"), "cas/register_via_job_path_mismatch")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			f.answers(t, name, jobs[name], "prefix=m", "prefix="+f.id, "%22m%22", "%22"+f.id+"%22")
		})
	}
}

// TestRecordedValidation replays what is wrong with a job: validate says it, plan and register refuse it.
func TestRecordedValidation(t *testing.T) {
	t.Parallel()
	tg := theTarget(t)
	changes := map[string]func(*api.Job){
		"auto_promote_without_canary": func(j *api.Job) {
			j.TaskGroups[0].Update.AutoPromote, j.TaskGroups[0].Update.Canary = new(true), new(0)
		},
		"canary_gt_count":                 func(j *api.Job) { j.TaskGroups[0].Update.Canary = new(5) },
		"healthy_deadline_gt_progress":    func(j *api.Job) { j.TaskGroups[0].Update.HealthyDeadline = new(50 * time.Second) },
		"kill_timeout_gt_max":             func(j *api.Job) { j.TaskGroups[0].Tasks[0].KillTimeout = new(time.Minute) },
		"max_parallel_0":                  func(j *api.Job) { j.TaskGroups[0].Update.MaxParallel = new(0) },
		"min_healthy_gt_healthy_deadline": func(j *api.Job) { j.TaskGroups[0].Update.MinHealthyTime = new(30 * time.Second) },
		"negative_canary":                 func(j *api.Job) { j.TaskGroups[0].Update.Canary = new(-1) },
		"progress_deadline_0":             func(j *api.Job) { j.TaskGroups[0].Update.ProgressDeadline = new(time.Duration(0)) },
		"restart_bad_mode": func(j *api.Job) {
			j.TaskGroups[0].RestartPolicy.Mode, j.TaskGroups[0].Tasks[0].RestartPolicy = new("x"), nil
		},
	}
	for _, name := range recordedAnswers(t, "validate") {
		t.Run(name, func(t *testing.T) {
			kind := strings.TrimPrefix(name, "validate/")
			change := changes[strings.TrimSuffix(strings.TrimSuffix(kind, "_plan"), "_register")]
			if change == nil {
				t.Fatal("what is wrong with this job?")
			}
			tg.answers(t, name, recordedJob(t, func(j *api.Job) {
				j.ID, j.Name = new("val"), new("val")
				change(j)
			}))
		})
	}
}

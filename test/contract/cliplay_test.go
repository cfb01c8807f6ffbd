package contract

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// recorded is one command of the nomad command line, as it was recorded before a real Nomad.
type recorded struct {
	name  string // 07_job_run_canary_detach
	calls []recordedCall
}

// recordedCall is one request of a command; a body that is a job was not recorded.
type recordedCall struct {
	method, path, body string
	status             int
}

var (
	callLine = regexp.MustCompile(`^(GET|PUT|POST|DELETE) (\S+) -> (\d+) \(req \d+ B, resp \d+ B\)(?: body=(.*)| keys=.*)?$`)
	shortID  = regexp.MustCompile(`prefix=[0-9a-f]{8}$`)
	uuids    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

func recordedCommands(t *testing.T) []recorded {
	t.Helper()
	paths, err := filepath.Glob("testdata/cli/*.txt")
	if err != nil || len(paths) < 45 {
		t.Fatalf("%d recordings, %v", len(paths), err)
	}
	var out []recorded
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cmd := recorded{name: strings.TrimSuffix(filepath.Base(path), ".txt")}
		head, _, _ := strings.Cut(string(body), "--- output")
		for line := range strings.Lines(head) {
			if m := callLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				status := 0
				if _, err := fmt.Sscan(m[3], &status); err != nil {
					t.Fatal(err)
				}
				cmd.calls = append(cmd.calls, recordedCall{method: m[1], path: m[2], body: m[4], status: status})
			}
		}
		out = append(out, cmd)
	}
	return out
}

// player sends recorded requests to the Nomad under test, with the IDs of this day in place of the recorded ones.
type player struct {
	*fixture
	ids     map[string]string // first 8 digits of a recorded ID → the present one
	eval    string            // the newest that was answered
	version map[string]spec   // by command: the job that it registers, plans or checks
}

// TestRecordedCommands sends what the nomad command line has sent, in its order, and compares statuses and documents.
func TestRecordedCommands(t *testing.T) {
	f := newFixture(t)
	s := func(version string, canary, parallel int) spec {
		return spec{
			count: 3, canary: canary, parallel: parallel, version: version, progress: ample, minHealthy: 100 * time.Millisecond,
			checks: true, tags: []string{"live", "v=" + version}, canaryTags: []string{"canary"},
		}
	}
	p := &player{fixture: f, ids: map[string]string{}, version: map[string]spec{
		"01": s("1", 1, 3), "02": s("1", 1, 3), "03": s("1", 1, 3), "04": s("1b", 0, 3), "05": s("2", 1, 1), "06": s("2", 1, 1),
		"07": s("2", 1, 1), "47": s("9", 0, 3),
	}}
	// What must have come about before a command, as it had when it was recorded.
	before := map[string]func(){
		"04": func() { f.deploymentIs("successful", "") },
		"05": func() { f.deploymentIs("successful", "") },
		"09": func() { f.canariesHealthy(1) },
		"19": func() { f.deploymentIs("successful", "") },
		"23": func() {
			f.eventually("the canary of the rollback is healthy", func() bool { d := f.at(3); return d != nil && group(d).HealthyAllocs == 1 }, f.list)
		},
		"24": func() {
			f.eventually("a replacement is placed", func() bool { return group(f.at(3)).PlacedAllocs >= 2 }, f.list)
		},
		"48": func() { f.eventually("the job is placed", func() bool { return p.evalDone(p.eval) }, f.list) },
		"39": func() { f.deploymentIs("failed", "") },
	}
	for _, cmd := range recordedCommands(t) {
		number := cmd.name[:2]
		if number == "34" { // TestSystemGC
			continue
		}
		if wait := before[number]; wait != nil {
			wait()
		}
		t.Run(cmd.name, func(t *testing.T) {
			for _, c := range cmd.calls {
				p.play(t, number, c)
			}
		})
	}
}

// TestSystemGC is no parallel test, and so runs before those that are: they look at what has ended.
func TestSystemGC(t *testing.T) {
	tg := theTarget(t)
	tg.answers(t, "gc/system_gc", "")
	for _, cmd := range recordedCommands(t) {
		if cmd.name != "34_system_gc" {
			continue
		}
		for _, c := range cmd.calls {
			if status, text, _ := tg.call(t, c.method, c.path, c.body); status != c.status {
				t.Errorf("%s %s: got %d %s, recorded %d", c.method, c.path, status, text, c.status)
			}
		}
	}
	if binary := nomadBinary(); binary != "" {
		line := &cli{fixture: &fixture{target: tg, t: t, ctx: t.Context()}, binary: binary}
		line.run(t, 0, args("system", "gc"))
	}
}

func (p *player) play(t *testing.T, number string, c recordedCall) {
	path := p.present(c.path, c.path)
	body := p.present(c.path, c.body)
	if c.body == "" && c.method == "PUT" && !strings.HasSuffix(path, "/stop") {
		body = p.jobBody(t, number)
	}
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Has("index") { // the recorded index is of another day: do not wait
		q.Del("index")
		u.RawQuery = q.Encode()
	}
	status, text, _ := p.call(t, c.method, u.String(), body)
	if status != c.status {
		t.Errorf("%s %s: got %d %.300s, recorded %d", c.method, u, status, text, c.status)
		return
	}
	var doc any
	if status != 200 || json.Unmarshal([]byte(text), &doc) != nil {
		return
	}
	if m, ok := doc.(map[string]any); ok {
		if id, ok := m["EvalID"].(string); ok && id != "" {
			p.eval = id
		}
	}
	name := p.document(c.method, c.path)
	if number == "02" {
		name = "plan_new_job"
	}
	if name != "" {
		compareShape(t, c.method+" "+c.path, recording(t, name), doc)
	}
}

// document names the recording that has the fields of an answer, "" for none.
func (p *player) document(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	path = uuids.ReplaceAllString(path, "ID")
	return map[string]string{
		"GET /v1/jobs": "jobs_list", "GET /v1/job/m": "job", "GET /v1/job/m/allocations": "allocations", "GET /v1/nodes": "nodes",
		"GET /v1/job/m/evaluations": "evaluations", "GET /v1/job/m/summary": "job_summary", "GET /v1/job/m/versions": "job_versions",
		"GET /v1/job/m/deployment": "deployment_successful", "GET /v1/deployment/ID": "deployment_successful",
		"GET /v1/allocation/ID": "allocation", "GET /v1/node/ID": "node", "PUT /v1/jobs": "register_first",
		"PUT /v1/deployment/promote/ID": "promote_ok", "PUT /v1/deployment/fail/ID": "promote_ok",
		"DELETE /v1/job/m": "job_stop", "PUT /v1/job/m/revert": "register_first", "PUT /v1/job/m/scale": "register_first",
		"GET /v1/client/stats": "host_stats", "GET /v1/client/allocation/ID/stats": "alloc_stats", "GET /v1/agent/members": "answers/errors/agent_members",
	}[method+" "+path]
}

// present puts the IDs of this day into a recorded text.
func (p *player) present(path, text string) string {
	text = uuids.ReplaceAllStringFunc(text, func(id string) string { return p.now(path, id) })
	text = shortID.ReplaceAllStringFunc(text, func(q string) string {
		return "prefix=" + p.now(path, strings.TrimPrefix(q, "prefix="))[:8]
	})
	text = strings.ReplaceAll(text, "/job/m", "/job/"+p.id)
	text = strings.ReplaceAll(text, "prefix=m", "prefix="+p.id)
	return strings.NewReplacer(`"JobID":"m"`, `"JobID":"`+p.id+`"`, `"Job":"m"`, `"Job":"`+p.id+`"`, `"Prefix":"m"`, `"Prefix":"`+p.id+`"`).Replace(text)
}

// now returns what a recorded ID, or its first 8 digits, stands for: the path tells what it is of.
func (p *player) now(path, id string) string {
	short := id[:8]
	if p.ids[short] != "" {
		return p.ids[short]
	}
	switch {
	case strings.Contains(path, "deployment"):
		p.eventually("the evaluation completes", func() bool { return p.evalDone(p.eval) }, p.list)
		p.ids[short] = p.latest().ID
	case strings.Contains(path, "/evaluation"):
		if _, _, err := p.nomad.Evaluations().Info(p.eval, nil); err != nil { // it was collected
			evals, _, err := p.nomad.Jobs().Evaluations(p.id, nil)
			if err != nil || len(evals) == 0 {
				p.t.Fatalf("no evaluation is left: %v", err)
			}
			p.eval = evals[0].ID
		}
		return p.eval
	case strings.Contains(path, "alloc"):
		p.ids[short] = p.someAlloc()
	case strings.Contains(path, "node"):
		p.ids[short] = p.allocs()[0].NodeID
	default:
		p.t.Fatalf("nothing stands for %s of %s", id, path)
	}
	return p.ids[short]
}

// someAlloc is the canary of the newest deployment, else any that runs.
func (p *player) someAlloc() string {
	used := map[string]bool{}
	for _, id := range p.ids {
		used[id] = true
	}
	var best *api.AllocationListStub
	for _, a := range p.allocs() {
		if a.DesiredStatus == "run" && a.ClientStatus == "running" && (best == nil || used[best.ID] || a.JobVersion > best.JobVersion) {
			best = a
		}
	}
	if best == nil {
		p.t.Fatalf("no allocation runs: %s", p.list())
	}
	return best.ID
}

func (p *player) jobBody(t *testing.T, number string) string {
	t.Helper()
	s, ok := p.version[number]
	if !ok {
		return "{}"
	}
	job := p.job(s)
	body := map[string]any{"Job": job, "Diff": true, "Submission": map[string]string{"Source": "job {}", "Format": "hcl2"}}
	if number == "06" {
		body["EnforceIndex"], body["JobModifyIndex"] = true, 5
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

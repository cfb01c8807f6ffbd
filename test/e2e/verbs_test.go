package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// commandRow is a row of docs/commands.md: which commands have which fields in their JSON.
var (
	commandRow = regexp.MustCompile("(?m)^\\| (`[^|]*) \\| ([^|]*) \\| ([^|]*) \\|$")
	quoted     = regexp.MustCompile("`([^`]+)`")
)

// documented returns the fields that docs/commands.md promises of a command's JSON.
func documented(t *testing.T, command string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	var last []string
	for _, row := range commandRow.FindAllStringSubmatch(string(page), -1) {
		if !strings.HasPrefix(row[3], "the same") {
			last = words(row[3])
		}
		if slices.Contains(words(row[1]), command) {
			return last
		}
	}
	t.Fatalf("docs/commands.md does not tell the JSON of %q", command)
	return nil
}

func words(s string) (out []string) {
	for _, m := range quoted.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// json runs a command with -o json, and checks its exit code and that its output is JSON with the documented fields. It
// returns the document, or its first element.
func (s *system) json(command string, code int, args ...string) map[string]any {
	s.t.Helper()
	cmd := s.command(append(args, "-o", "json")...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code tells
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("%s: exit code %d, want %d; it said %s", command, got, code, errs.String())
	}
	return s.fields(command, out.Bytes())
}

func (s *system) fields(command string, out []byte) map[string]any {
	s.t.Helper()
	var doc any
	if err := json.Unmarshal(out, &doc); err != nil {
		s.t.Fatalf("%s -o json: %v:\n%s", command, err, out)
	}
	if list, ok := doc.([]any); ok {
		if len(list) == 0 {
			s.t.Fatalf("%s -o json: an empty list", command)
		}
		doc = list[0]
	}
	got, _ := doc.(map[string]any)
	for _, field := range documented(s.t, command) {
		if _, ok := got[field]; !ok {
			s.t.Errorf("%s -o json has no field %q:\n%s", command, field, out)
		}
	}
	return got
}

// heldAtGate starts a rollout of v1.1.0 and returns when it waits at its first gate.
func (s *system) heldAtGate() *exec.Cmd {
	s.t.Helper()
	began := time.Now()
	cmd := s.background(ship("v1.1.0", append(quick, "--manual", "--judge", "health")...)...)
	s.await(time.Minute, "the first gate", func(r rollout.Record) bool {
		return r.Created.After(began) && r.Phase == rollout.Held
	})
	return cmd
}

// All verbs in turn, under load, as scripts call them: exit codes and JSON as docs/commands.md says.
func TestVerbs(t *testing.T) {
	s := startBeside(t)
	s.json("deploy", 0, ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()

	s.json("plan", 0, planning("v1.1.0")...)
	deploy := s.heldAtGate()
	s.json("gate reject", 0, "gate", "reject", model, "--why", "not today")
	s.exits(deploy, 3)
	s.recorded("rejected by", "not today")

	retried := s.background("retry", model, "-o", "json")
	s.await(time.Minute, "the gate once more", func(r rollout.Record) bool { return r.Phase == rollout.Held })
	s.json("gate approve", 4, "gate", "approve", model, "--why", "go on")
	if rec := s.json("weights MODEL PERCENT", 0, "weights", model, "35", "--why", "a closer look"); rec["weight"] != 35.0 {
		t.Errorf("weights: the record has weight %v, want 35", rec["weight"])
	}
	s.recorded("set the weight to 35 %", "a closer look")
	s.json("weights MODEL", 0, "weights", model)
	s.json("status", 0, "status", model)
	s.json("promote", 0, "promote", model, "--full", "--why", "enough seen")
	s.exits(retried, 0)
	second := s.releaseOf("v1.1.0")
	s.serves(l, second)

	s.json("history", 0, "history", model)
	s.json("explain", 0, "explain", model)
	s.json("undo", 0, "undo", model)
	s.serves(l, first)
	s.json("revert", 0, "revert", model, "--to", second)

	third := s.background(ship("v1.2.0", "--steps", "20,100", "--bake", "5s", "--watch", "1s", "--judge", "health")...)
	s.await(time.Minute, "20 %", in(rollout.Baking, 0))
	s.json("pause", 4, "pause", model, "--why", "lunch")
	s.resumes(third)
	if out, code := s.deployer("abort", model); code != 1 || !strings.Contains(out, "no rollout under way") {
		t.Errorf("abort without a rollout: exit code %d, want 1; it said %s", code, out)
	}
	fourth := s.background(ship("v1.0.0", "--steps", "20,100", "--bake", "1m")...)
	s.await(time.Minute, "20 %", in(rollout.Baking, 0))
	s.json("abort", 0, "abort", model, "--why", "changed my mind")
	s.exits(fourth, 3)
	s.json("revert", 0, "revert", model)
	s.stable(second)
	noLoss(t, l.Stop())
	s.completes(second)
}

// resumes has a paused rollout go on to its end.
func (s *system) resumes(deploy *exec.Cmd) {
	s.t.Helper()
	s.json("resume", 0, "resume", model, "--why", "back from lunch")
	s.exits(deploy, 0)
	s.recorded("asked to resume", "back from lunch")
}

func planning(version string) []string {
	args := ship(version)
	return append([]string{"plan"}, args[1:]...)
}

func (s *system) exits(cmd *exec.Cmd, code int) {
	s.t.Helper()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != code {
		s.t.Errorf("%v: %v, want exit code %d", cmd.Args[1:3], err, code)
	}
}

// recorded checks that the newest record tells what was asked, why, and by whom.
func (s *system) recorded(what, why string) {
	s.t.Helper()
	rec, _, err := s.consul.Active(s.t.Context(), model)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range rec.Events {
		if strings.Contains(e.What, what) && strings.Contains(e.What, why) {
			return
		}
	}
	s.t.Errorf("the record does not tell %q because of %q: %+v", what, why, rec.Events)
}

// completes checks what a shell is offered.
func (s *system) completes(release string) {
	s.t.Helper()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"promote", ""}, model},
		{[]string{"revert", model, "--to", ""}, release},
		{[]string{"explain", model, ""}, time.Now().UTC().Format("20060102T")},
	} {
		out, err := s.command(append([]string{"__complete"}, tt.args...)...).Output()
		if err != nil || !strings.Contains(string(out), tt.want) {
			s.t.Errorf("completion of %v: %q, %v, want %q among it", tt.args, out, err, tt.want)
		}
	}
}

// Where --to names the stable release of the rollout under way, its instances are hot: going back is a change of traffic,
// done before Nomad could have placed anything.
func TestRevertToTheHotRelease(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	before := s.pids(first)
	l := s.load()
	deploy := s.background(ship("v1.1.0", "--steps", "50,100", "--bake", "1m")...)
	s.await(time.Minute, "50 %", in(rollout.Baking, 0))
	s.must("revert", model, "--to", first)
	s.exits(deploy, 3)
	s.serves(l, first)
	noLoss(t, l.Stop())
	s.stable(first)
	if after := s.pids(first); !slices.Equal(before, after) {
		t.Errorf("instances %v, want those that were hot: %v", after, before)
	}
}

// explain tells of a crash: which allocation, its events, its exit code, its last words, the verdicts' numbers.
func TestExplainOfACrash(t *testing.T) {
	s := startBeside(t)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	out, code := s.deployer(ship("v1.1.0", "--steps", "20,100", "--bake", "30s", "--var", "command="+bin+"/faulty",
		"--var", `args=["-fault-after=300","-fault-kind=crash"]`)...)
	if code != 3 {
		t.Errorf("exit code %d, want 3; it said %s", code, out)
	}
	noLoss(t, l.Stop())
	why := s.must("explain", model)
	for _, want := range []string{"because ", "allocation ", "event ", "Exit Code: 3", "log ", "injected crash"} {
		if !strings.Contains(why, want) {
			t.Errorf("explain does not tell %q:\n%s", want, why)
		}
	}
	rec := s.json("explain", 0, "explain", model)
	if e, _ := json.Marshal(rec["evidence"]); !bytes.Contains(e, []byte(`"events"`)) || !bytes.Contains(e, []byte("injected crash")) {
		t.Errorf("the evidence is %s", e)
	}
}

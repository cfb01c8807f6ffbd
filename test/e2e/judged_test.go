package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// A canary that answers with errors, healthy as it is, is taken back by what its requests show, long before its bake is
// over, and the record can tell why.
func TestErrorsTakeTheCanaryBack(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	began := time.Now()
	out, code := s.deployer(ship("v1.1.0", "--bake", "2m", "--var", "command="+bin+"/faulty",
		"--var", `args=["-fault-after=100","-fault-kind=errors"]`)...)
	if code != 3 || !strings.Contains(out, "errors: ") {
		t.Errorf("exit code %d, want 3 for its errors; it said %s", code, out)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s, want it taken back early in the bake of 2 min", took)
	}
	s.serves(l, first)
	s.stable(first)
	why := s.must("explain", model)
	for _, want := range []string{"step 1, 10 %: fail: errors:", "metric", "allocation", "event"} {
		if !strings.Contains(why, want) {
			t.Errorf("explain does not tell %q:\n%s", want, why)
		}
	}
	if out, code := s.deployer("retry", model); code != 3 || !strings.Contains(out, "errors: ") {
		t.Errorf("retry: exit code %d, want 3 once more; it said %s", code, out)
	}
	l.Stop() // the errors reached some clients: that is what the analysis saw
}

// spec writes a rollout.hcl and what it refers to.
func spec(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "rollout.hcl")
}

const quickSpec = `
watch = "1s"
step {
  weight = 50
  bake   = "2s"
}
step {
  weight = 100
  bake   = "1s"
}
golden { file = "golden.json" }
hook "note" {
  on      = "step"
  command = ["/bin/sh", "-c", "echo \"$WEIR_STEP $WEIR_WEIGHT\" >> $NOTES"]
}
`

// The golden set is replayed in the canary before its first request: where an answer is another than recorded, no client
// ever sees one. Hooks run once in each step.
func TestGoldenSetAndHooks(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "notes")
	t.Setenv("NOTES", notes)
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	first := s.releaseOf("v1.0.0")
	l := s.load()
	wrong := spec(t, map[string]string{
		"rollout.hcl": quickSpec,
		"golden.json": `[{"name":"setosa","request":{"x":[5.1,3.5,1.4,0.2]},"want":{"prediction":[2]}}]`,
	})
	out, code := s.deployer(ship("v1.1.0", "--spec", wrong)...)
	if code != 3 || !strings.Contains(out, "setosa at .prediction[0]: want 2, got 0") {
		t.Errorf("exit code %d, want 3 for the golden set; it said %s", code, out)
	}
	rec, _, err := s.consul.Active(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	second := rec.Release
	if n := l.Counts().ByRelease[second]; n != 0 || second == first {
		t.Errorf("%d answers of %s, whose golden set failed", n, second)
	}
	right := spec(t, map[string]string{
		"rollout.hcl": quickSpec,
		"golden.json": `{"name":"setosa","request":{"x":[5.1,3.5,1.4,0.2]},"want":{"prediction":[0]}}`,
	})
	if out, code := s.deployer(ship("v1.1.0", "--spec", right)...); code != 0 {
		t.Errorf("exit code %d, want 0; it said %s", code, out)
	}
	s.serves(l, second)
	noLoss(t, l.Stop())
	if got, err := os.ReadFile(notes); err != nil || string(got) != "1 50\n2 100\n" {
		t.Errorf("the hook noted %q, %v, want each step once", got, err)
	}
	s.must("revert", model, "--to", first)
	s.stable(first)
	s.must("undo", model)
	s.stable(second)
}

// Pause, resume, a gate that is approved, and a rollout that another one supersedes.
func TestPauseGateSupersede(t *testing.T) {
	s := startBeside(t)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	deploy := s.background(ship("v1.1.0", "--steps", "50,100", "--bake", "8s", "--watch", "1s", "--manual")...)
	s.await(time.Minute, "the first gate", func(r rollout.Record) bool { return r.Phase == rollout.Held })
	if out, code := s.deployer("gate", "approve", model, "--why", "as planned"); code != 4 {
		t.Errorf("approve: exit code %d, want 4: held at the next gate; it said %s", code, out)
	}
	s.must("gate", "approve", model) // the last step has no gate: to the end
	if err := deploy.Wait(); err != nil {
		t.Errorf("deploy: %v", err)
	}
	second := s.releaseOf("v1.1.0")
	s.stable(second)

	old := s.background(ship("v1.2.0", "--steps", "20,100", "--bake", "1m")...)
	s.await(time.Minute, "20 %", in(rollout.Baking, 0))
	if out, code := s.deployer("pause", model, "--why", "lunch"); code != 4 || !strings.Contains(out, "lunch") {
		t.Errorf("pause: exit code %d, want 4; it said %s", code, out)
	}
	if _, code := s.deployer("plan", model, "../testdata/iris-v1.0.0.pkl", "--version", "v1.0.0"); code != 1 {
		t.Errorf("plan beside a rollout: exit code %d, want 1", code)
	}
	s.must(ship("v1.0.0", append(quick, "--supersede")...)...)
	if err := old.Wait(); old.ProcessState.ExitCode() != 3 {
		t.Errorf("the superseded deploy: %v, want exit code 3", err)
	}
	noLoss(t, l.Stop())
	s.stable(s.releaseOf("v1.0.0"))
	plan := s.must("plan", model, "../testdata/iris-v1.2.0.pkl", "--version", "v1.2.0", "--rps", "30")
	for _, want := range []string{"2 new instances", "10 %", "points of error rate", "canary", "diff"} {
		if !strings.Contains(plan, want) {
			t.Errorf("plan does not tell %q:\n%s", want, plan)
		}
	}
}

package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/rollout"
)

const full = `
strategy = "shadow"
start    = "manual"
bake     = "2m"
watch    = "10m"
place    = "3m"
settle   = "20s"
blind    = "2m"
keep     = 9
namespace  = "teams"
region     = "north"
datacenter = "south"
notify   = ["http://127.0.0.1:1/told"]

step {
  shadow = true
  bake   = "30s"
}
step { weight = 5 }
step {
  weight = 100
  gate   = "manual"
}

analysis {
  alpha        = 0.01
  min_requests = 200
  max_missing  = 0.5
  extend       = "10m"
  source_down  = "2m"
  inconclusive = "abort"
  prometheus   = "http://127.0.0.1:9090"

  errors {
    ratio  = 1.2
    margin = 0.002
    max    = 0.05
  }
  rejections { enabled = false }
  attempts { margin = 0.01 }
  latency {
    ratio   = 2
    slack   = "5ms"
    margin  = 0.02
    dry_run = true
  }
  classes { tolerance = 0.2 }
  split { enabled = false }
  shadow { budget = 0.05 }
  query "saturation" {
    promql = "max(up)"
    max    = 0.9
  }
}

golden {
  file = "golden.jsonl"
  rel  = 1e-3
}

hook "smoke" {
  on      = "step"
  command = ["./smoke.sh", "fast"]
  timeout = "10s"
}
hook "tell" {
  on  = "post"
  url = "http://127.0.0.1:1/done"
}
`

const cases = `{"name":"a","request":{"x":[1,2]},"want":{"prediction":[1]}}
{"request":{"x":[3,4]},"want":{"prediction":[0]}}`

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "golden.jsonl"), []byte(cases), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEverything(t *testing.T) {
	s, err := Parse(filepath.Join(folder(t), "rollout.hcl"), []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	const second, minute = rollout.Duration(time.Second), rollout.Duration(time.Minute)
	if s.Strategy != rollout.StrategyShadow || !s.ManualStart || s.Watch != 10*minute || s.Place != 3*minute ||
		s.Settle != 20*second || s.Blind != 2*minute || s.Keep != 9 || s.Namespace != "teams" || s.Region != "north" || s.Datacenter != "south" || s.Notify[0] != "http://127.0.0.1:1/told" {
		t.Errorf("spec %+v", s)
	}
	want := []rollout.Step{{Shadow: true, Bake: 30 * second}, {Weight: 5, Bake: 2 * minute}, {Weight: 100, Bake: 2 * minute, Manual: true}}
	for i, step := range want {
		if s.Steps[i] != step {
			t.Errorf("step %d is %+v, want %+v", i+1, s.Steps[i], step)
		}
	}
	if h := s.Hooks; len(h) != 2 || h[0].Timeout != 10*second || h[0].Command[1] != "fast" || h[1].URL == "" {
		t.Errorf("hooks %+v", h)
	}
	a := s.Analysis
	if !a.Golden || !a.Steps || a.Extend != 10*minute || a.Sources != 2*minute || a.Inconclusive != rollout.OnAbort {
		t.Errorf("analysis %+v", a)
	}
	c, _, err := judge.Of(s)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Spec
	if got.Alpha != 0.01 || *got.Errors != (analysis.Rate{Ratio: 1.2, Margin: 0.002, Max: 0.05}) || got.Rejections != nil ||
		*got.Attempts != (analysis.Rate{Ratio: 1.1, Margin: 0.01}) ||
		got.Latency.Slack != 5*rollout.Duration(time.Millisecond) || got.Classes.Tolerance != 0.2 || got.Split != nil ||
		got.Shadow.Budget != 0.05 || got.Shadow.MinPairs != analysis.DefaultShadow.MinPairs || got.Queries[0].Name != "saturation" ||
		got.Golden.Rel != 1e-3 || strings.Join(got.DryRun, " ") != "scores latency" {
		b, _ := json.Marshal(got)
		t.Errorf("analysis %s", b)
	}
	if len(c.Cases) != 2 || c.Cases[1].Name != "case 2" || c.Prometheus == "" {
		t.Errorf("cases %+v, prometheus %q", c.Cases, c.Prometheus)
	}
}

func TestNothingGivenIsTheDefault(t *testing.T) {
	for name, src := range map[string]string{"rollout.hcl": "", "rollout.json": "{}"} {
		got, err := Parse(name, []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Default(rollout.StrategyCanary)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) || want.Analysis == nil || len(want.Steps) != 3 {
			t.Errorf("%s gives\n%s, want\n%s", name, a, b)
		}
	}
}

func TestJSON(t *testing.T) {
	s, err := Parse("rollout.json", []byte(`{"strategy":"canary","step":[{"weight":20,"bake":"1s"},{"weight":100}],
		"hook":{"h":{"on":"pre","command":["true"]}}}`))
	if err != nil || len(s.Steps) != 2 || s.Steps[0].Weight != 20 || s.Hooks[0].Name != "h" {
		t.Errorf("spec %+v, %v", s, err)
	}
}

func TestByHealthAlone(t *testing.T) {
	s, err := Parse("rollout.hcl", []byte("analysis { enabled = false }"))
	if err != nil || s.Analysis != nil {
		t.Errorf("analysis %+v, %v", s.Analysis, err)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	for src, want := range map[string]string{
		"strategy = \"fast\"":                                     `rollout.hcl:1,12: strategy "fast": want`,
		"\nwatch = \"soon\"":                                      `rollout.hcl:2,9: "soon" is no time`,
		"step { weight = 50 }\nstep { weight = 20 }":              "rollout.hcl:2,1: step 2 has weight 20: want above 50",
		"step { weight = 50 }":                                    "rollout.hcl:1,1: the last step has weight 50: want 100",
		"step {\n weight = \"x\"\n}":                              "rollout.hcl:2,12: Unsuitable value type",
		"colour = 1":                                              "rollout.hcl:1,1: Unsupported argument",
		"analysis {\n alpha = 2\n}":                               "rollout.hcl:1,1: alpha 2: want a probability",
		"analysis {\n inconclusive = \"x\"\n}":                    `inconclusive "x": want "hold" or "abort"`,
		"analysis {\n query \"q\" {\n promql=\"up\"\nmax=1\n}\n}": "want prometheus =",
		"hook \"h\" { on = \"lunch\" }":                           `rollout.hcl:1,1: hook "h": on "lunch"`,
		"golden { file = \"nothing.json\" }":                      "rollout.hcl:1,1: read the golden set:",
		"step { gate = \"open\" }":                                `gate "open": want "auto" or "manual"`,
		"step {":                                                  "rollout.hcl:1,6: Unclosed",
	} {
		_, err := Parse("rollout.hcl", []byte(src))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", src, err, want)
		}
	}
}

// The page that describes the file shows one that is right.
func TestTheDocumentedFile(t *testing.T) {
	page, err := os.ReadFile("../../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```hcl\n")
	src, _, _ := strings.Cut(rest, "```")
	src = strings.Replace(src, `"golden.json"`, `"golden.jsonl"`, 1)
	s, err := Parse(filepath.Join(folder(t), "rollout.hcl"), []byte(src))
	if err != nil || len(s.Steps) != 3 || len(s.Hooks) != 2 || s.Analysis == nil {
		t.Errorf("spec %+v, %v", s, err)
	}
}

package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weirhq/weir"

// adapters are the packages through which the deployer sees the outside; they know nothing of one another.
var adapters = []string{"nomad", "consul", "ingress", "metrics"}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Standard   bool
	Deps       []string // of the package without its tests, transitive
	Imports    []string
}

// TestImportDirection checks the dependencies of every package of this module, the transitive ones too.
func TestImportDirection(t *testing.T) {
	standard, own := list(t)
	if len(own) == 0 {
		t.Fatal("go list found no package of this module")
	}
	for _, p := range own {
		for _, dep := range p.Deps {
			if why := forbidden(inside(p.ImportPath), dep, standard); why != "" {
				t.Errorf("%s depends on %s: %s%s", p.ImportPath, dep, why, through(p, dep, own))
			}
		}
	}
}

// TestForbidden checks the rules themselves.
func TestForbidden(t *testing.T) {
	standard := map[string]bool{"time": true}
	for _, tc := range []struct {
		from, to string
		want     bool
	}{
		{"deployer/rollout", "time", false},
		{"deployer/rollout", "github.com/hashicorp/consul/api", true},
		{"deployer/rollout", module + "/internal/traffic", true},
		{"deployer/rollout", module + "/deployer/rollout/plan", false},
		{"deployer/analysis", module + "/deployer/rollout", false},
		{"deployer/analysis", module + "/deployer/consul", true},
		{"deployer/consul", module + "/deployer/nomad", true},
		{"deployer/consul/kv", module + "/deployer/ingress", true},
		{"deployer/consul", module + "/deployer/rollout", false},
		{"deployer/consul", module + "/deployer/consul/kv", false},
		{"deployer/nomad", module + "/deployer/controller", true},
		{"deployer/controller", module + "/deployer/rollout", false},
		{"deployer/controller", module + "/deployer/consul", true},
		{"deployer/world", module + "/deployer/consul", false},
		{"deployer/cli", module + "/deployer/nomad", false},
		{"deployer", module + "/service/model", true},
		{"deployer", module + "/services", false},
		{"service/model", module + "/deployer/rollout", true},
		{"service", "github.com/gin-gonic/gin", false},
		{"internal/release", module + "/deployer/rollout", true},
		{"internal/jobspec", module + "/service", true},
		{"internal/jobspec", module + "/internal/release", false},
		{"test/e2e", module + "/service", false},
		{"service", module + "/test/faulty", true},
		{"internal/devnomad", "github.com/hashicorp/nomad/nomad/structs", true},
		{"internal/devnomad", "github.com/hashicorp/nomad/api", false},
	} {
		if why := forbidden(tc.from, tc.to, standard); (why != "") != tc.want {
			t.Errorf("%s → %s: forbidden = %q, want forbidden: %t", tc.from, tc.to, why, tc.want)
		}
	}
}

// forbidden returns why the package from, a path inside the module, may not depend on the import path to, or "".
func forbidden(from, to string, standard map[string]bool) string {
	target := inside(to)
	switch {
	case under(to, "github.com/hashicorp/nomad/nomad"), under(to, "github.com/hashicorp/nomad/testutil"):
		return "that part of Nomad is not open source; only its api module may be used"
	case under(from, "deployer/rollout") && !standard[to] && !under(target, "deployer/rollout"):
		return "the state machine uses the standard library only"
	case under(from, "deployer/analysis") && under(target, "deployer") &&
		!within(target, "deployer/analysis", "deployer/rollout"):
		return "the analysis knows the rollout's words only"
	case under(from, "deployer/controller") && adapter(target) != "":
		return "the controller sees the outside through its own interfaces only"
	case under(from, "service") && under(target, "deployer"), under(from, "deployer") && under(target, "service"):
		return "the service and the deployer never import each other"
	case under(from, "internal") && within(target, "service", "deployer"):
		return "what both programs share knows neither of them"
	case within(from, "service", "deployer", "internal") && under(target, "test"):
		return "test programs stay out of what is shipped"
	}
	return betweenAdapters(from, target)
}

// betweenAdapters returns why an adapter may not depend on target: another adapter, or what uses the adapters.
func betweenAdapters(from, target string) string {
	own, other := adapter(from), adapter(target)
	switch {
	case own == "":
		return ""
	case other != "" && other != own:
		return "the adapters never import one another"
	case within(target, "deployer/controller", "deployer/world", "deployer/cli", "deployer/daemon"):
		return "the adapters don't know who uses them"
	}
	return ""
}

// adapter returns the adapter that path belongs to, or "".
func adapter(path string) string {
	for _, name := range adapters {
		if under(path, "deployer/"+name) {
			return name
		}
	}
	return ""
}

// through says over which direct import p reaches dep, where it isn't imported directly.
func through(p pkg, dep string, own map[string]pkg) string {
	if slices.Contains(p.Imports, dep) {
		return ""
	}
	for _, direct := range p.Imports {
		if slices.Contains(own[direct].Deps, dep) {
			return fmt.Sprintf(" (through %s)", direct)
		}
	}
	return " (indirectly)"
}

// inside returns the path of a package inside the module, "." for its root and "" for foreign packages.
func inside(path string) string {
	if path == module {
		return "."
	}
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// under reports whether path is root or below it.
func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// within reports whether path is one of the roots or below one.
func within(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return under(path, root) })
}

// list returns which import paths are the standard library's, and the packages of this module.
func list(t *testing.T) (standard map[string]bool, own map[string]pkg) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Deps,Imports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	standard, own = map[string]bool{}, map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return standard, own
		}
		if err != nil {
			t.Fatalf("read the output of go list: %v", err)
		}
		standard[p.ImportPath] = p.Standard
		if inside(p.ImportPath) != "" {
			own[p.ImportPath] = p
		}
	}
}

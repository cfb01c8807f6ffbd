package parts_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weirhq/weir/internal/parts"
)

// tool is a nested module that stands in for consul-template's: one package of its own and a main package.
var tool = map[string]string{
	"go.mod": "module example.com/tool\n\ngo 1.26\n\nrequire github.com/hashicorp/consul-template v0.41.1\n\n" +
		"replace github.com/hashicorp/consul-template => ./ct\n",
	"ct/go.mod": "module github.com/hashicorp/consul-template\n\ngo 1.26\n",
	"ct/main.go": "package main\n\nimport \"github.com/hashicorp/consul-template/part\"\n\n" +
		"func main() { println(part.Name) }\n",
	"ct/part/part.go": "package part\n\nconst Name = \"UNIQUE\"\n",
}

func writeTool(t *testing.T) (source string) {
	t.Helper()
	source = t.TempDir()
	for name, text := range tool {
		path := filepath.Join(source, "tools", "consul-template", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		// The path makes the package new to the build cache.
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "UNIQUE", source)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return source
}

// syncBuffer is a buffer for two writers.
type syncBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func TestTwoThatWantTheSamePartBuildItOnce(t *testing.T) {
	hide(t, "consul-template")
	source, cache := writeTool(t), filepath.Join(t.TempDir(), "cache")
	var progress syncBuffer
	var builds sync.WaitGroup
	for range 2 {
		builds.Go(func() {
			path, err := parts.Find(t.Context(), parts.ConsulTemplate, parts.Options{
				CacheDir: cache, Source: source, Progress: &progress,
			})
			if err != nil || path != filepath.Join(cache, "consul-template-0.41.1") {
				t.Errorf("built %s, %v", path, err)
			}
		})
	}
	builds.Wait()
	if n := strings.Count(progress.String(), "building once from source"); n != 1 {
		t.Errorf("built %d times:\n%s", n, progress.String())
	}
	if !strings.Contains(progress.String(), "(100 %)") {
		t.Errorf("no progress is shown:\n%s", progress.String())
	}
}

// hide takes a part out of PATH and the environment, but not the go command.
func hide(t *testing.T, name string) {
	t.Helper()
	t.Setenv("WEIR_CONSUL_TEMPLATE", "")
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			dirs = append(dirs, dir)
		}
	}
	t.Setenv("PATH", strings.Join(dirs, ":"))
}

func TestBuildThatFailsShowsWhyAndLeavesNothing(t *testing.T) {
	hide(t, "consul-template")
	source, cache := writeTool(t), t.TempDir()
	main := filepath.Join(source, "tools", "consul-template", "ct", "main.go")
	if err := os.WriteFile(main, []byte("package main\n\nfunc main() { nothing() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := parts.Find(t.Context(), parts.ConsulTemplate, parts.Options{CacheDir: cache, Source: source})
	if err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("error is %v, want the compiler's", err)
	}
	for _, name := range []string{"consul-template-0.41.1", "consul-template-0.41.1.tmp"} {
		if _, err := os.Stat(filepath.Join(cache, name)); !os.IsNotExist(err) {
			t.Errorf("left %s: %v", name, err)
		}
	}
}

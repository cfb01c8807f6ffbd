package parts_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirhq/weir/internal/parts"
)

// fakeConsul writes a program that claims to be a Consul of the given version.
func fakeConsul(t *testing.T, path, version string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho Consul v"+version+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindTakesTheFirstThatWillDo(t *testing.T) {
	dir := t.TempDir()
	named := fakeConsul(t, filepath.Join(dir, "named"), "0.9.0")
	cached := fakeConsul(t, filepath.Join(dir, "cache", "consul-"+parts.Consul.Version), parts.Consul.Version)
	onPath := func(version string) string { return fakeConsul(t, filepath.Join(dir, version, "consul"), version) }
	tests := map[string]struct{ env, path, want, note string }{
		"named, however old":     {env: named, path: onPath("1.15.0"), want: named},
		"on PATH":                {path: onPath("1.15.1"), want: onPath("1.15.1")},
		"on PATH, not open":      {path: onPath("1.20.0"), want: onPath("1.20.0"), note: "1.20.0, which is not open source"},
		"too old, so the cached": {path: onPath("1.9.0"), want: cached, note: "Weir needs 1.14.0 or newer: not used"},
		"none, so the cached":    {path: filepath.Join(dir, "nothing", "consul"), want: cached},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("WEIR_CONSUL", tt.env)
			t.Setenv("PATH", filepath.Dir(tt.path)+":/bin")
			var notes bytes.Buffer
			opts := parts.Options{CacheDir: filepath.Join(dir, "cache"), Progress: &notes}
			got, err := parts.Find(t.Context(), parts.Consul, opts)
			if err != nil || got != tt.want {
				t.Errorf("found %s, %v, want %s", got, err, tt.want)
			}
			if !strings.Contains(notes.String(), tt.note) || tt.note == "" && notes.Len() > 0 {
				t.Errorf("notes are %q, want %q", notes.String(), tt.note)
			}
		})
	}
}

func TestFindSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	tests := map[string]struct {
		part parts.Part
		env  string
		want string
	}{
		"not built":      {part: parts.Consul, want: "not found in WEIR_CONSUL, on PATH nor at " + dir},
		"no Nomad":       {part: parts.Nomad, want: "embedded agent stands in for it"},
		"not what it is": {part: parts.Consul, env: "/bin/true", want: "does not print that of a consul"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv(tt.part.Env, tt.env)
			_, err := parts.Find(t.Context(), tt.part, parts.Options{CacheDir: dir, NoBuild: true})
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.env == "" && !errors.Is(err, parts.ErrNotFound) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
	_, err := parts.Find(t.Context(), parts.Consul, parts.Options{CacheDir: dir})
	if want := "cd weir/tools/consul && go build -o " + dir; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("outside of a checkout the error is %v, want %q", err, want)
	}
}

func TestNginxIsFoundOutsideOfPath(t *testing.T) {
	t.Setenv("WEIR_NGINX", "")
	t.Setenv("PATH", "/nowhere")
	path, err := parts.Find(t.Context(), parts.Nginx, parts.Options{})
	switch {
	case err == nil && filepath.IsAbs(path):
	case err != nil && strings.Contains(err.Error(), "apt-get install nginx-light"): // it is not installed
	default:
		t.Errorf("found %q, %v", path, err)
	}
}

func TestPinnedVersionsAreThoseOfTheToolModules(t *testing.T) {
	root, err := parts.Source()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []parts.Part{parts.Consul, parts.ConsulTemplate} {
		mod, err := os.ReadFile(filepath.Join(root, "tools", p.Name, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "github.com/hashicorp/" + p.Name + " v" + p.Version + " "; !bytes.Contains(mod, []byte(want)) {
			t.Errorf("tools/%s/go.mod does not require %q", p.Name, want)
		}
	}
}

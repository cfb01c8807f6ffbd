package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/internal/release"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/jobs"
)

// TestIDLikeNomad holds ids against those that Nomad 1.6.5 computed from jobs/inference.nomad.hcl.
func TestIDLikeNomad(t *testing.T) {
	blue := release.Defaults()
	blue.Model, blue.ModelVersion = "iris", "v1.0.0"
	blue.Digest = "sha256:58cc90794f7f1c1b5780cfe87a031559218b3e91036e558596bd02dd56cef29a"
	blue.Command = "/opt/weir/inference"

	green := blue
	green.ModelVersion = "v1.1.0"
	green.Digest = "sha256:725a786dabec704820a53b92884ef720f31d7d42d189ad04de7dd94e3642a158"
	green.Args = []string{"--a", "<&>", "é"}

	docker := release.Inputs{
		Model: green.Model, ModelVersion: green.ModelVersion, Digest: green.Digest,
		Driver: "docker", Command: "bin/inference", Image: "weir/inference:1", CPU: 500, Memory: 512,
		HealthInterval: "2s", HealthTimeout: "500ms", ShutdownDelay: "3s", KillTimeout: "15s",
	}
	for _, tc := range []struct {
		in   release.Inputs
		want string
	}{
		{blue, "v1.0.0-6eb19b42"},
		{green, "v1.1.0-5c1b892e"},
		{docker, "v1.1.0-984c0958"},
	} {
		if got := tc.in.ID(); got != tc.want {
			t.Errorf("%+v: id %s, Nomad's %s", tc.in, got, tc.want)
		}
	}
}

// TestIDLikeJobspec holds ids against those that the job specification computes, for any inputs.
func TestIDLikeJobspec(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\$%{}<>&\n\té́世")), 0, 8, -1)
	duration := rapid.StringMatching(`[1-9][0-9]{0,3}(ms|s)`)
	rapid.Check(t, func(t *rapid.T) {
		in := release.Inputs{
			Model:          rapid.StringMatching(`[a-z][a-z0-9]{0,9}`).Draw(t, "model"),
			ModelVersion:   rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._+-]{0,9}`).Draw(t, "version"),
			Digest:         "sha256:" + rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "digest"),
			Driver:         rapid.SampledFrom([]string{"raw_exec", "exec", "docker"}).Draw(t, "driver"),
			Command:        "/" + text.Draw(t, "command"),
			Args:           rapid.SliceOfN(text, 0, 3).Draw(t, "args"),
			Image:          text.Draw(t, "image"),
			CPU:            rapid.IntRange(1, 1_000_000).Draw(t, "cpu"),
			Memory:         rapid.IntRange(1, 10_000_000).Draw(t, "memory"),
			HealthInterval: duration.Draw(t, "interval"),
			HealthTimeout:  duration.Draw(t, "timeout"),
			ShutdownDelay:  duration.Draw(t, "delay"),
			KillTimeout:    duration.Draw(t, "kill"),
		}
		flags := flagsOf(in)
		// What does not make a release:
		flags["color"] = rapid.SampledFrom([]string{"blue", "green"}).Draw(t, "color")
		flags["count"] = strconv.Itoa(rapid.IntRange(1, 9).Draw(t, "count"))
		flags["attempt"] = text.Draw(t, "attempt")
		flags["artifact"] = "/" + text.Draw(t, "artifact")
		job, err := jobspec.Parse(jobs.InferenceFile, jobs.Inference, jobspec.Vars{Flags: flags})
		if err != nil {
			t.Fatal(err)
		}
		if want := job.Meta["weir_release"]; in.ID() != want {
			t.Fatalf("id %s, the specification's %s", in.ID(), want)
		}
		if err := traffic.CheckRelease(in.ID()); err != nil {
			t.Fatal(err)
		}
	})
}

// flagsOf is the inputs as variables of the specification.
func flagsOf(in release.Inputs) map[string]string {
	return map[string]string{
		"model": in.Model, "model_version": in.ModelVersion, "digest": in.Digest, "driver": in.Driver,
		"command": in.Command, "args": hclList(in.Args), "image": in.Image,
		"cpu": strconv.Itoa(in.CPU), "memory": strconv.Itoa(in.Memory),
		"health_interval": in.HealthInterval, "health_timeout": in.HealthTimeout,
		"shutdown_delay": in.ShutdownDelay, "kill_timeout": in.KillTimeout,
	}
}

// hclList writes a list of strings as an HCL expression: JSON, but for the start of an interpolation.
func hclList(list []string) string {
	if list == nil {
		list = []string{}
	}
	text, _ := json.Marshal(list) // strings always marshal
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(string(text))
}

func TestIDChangesWithEachInput(t *testing.T) {
	base := release.Defaults()
	changes := map[string]func(*release.Inputs){
		"model":           func(in *release.Inputs) { in.Model = "x" },
		"model_version":   func(in *release.Inputs) { in.ModelVersion = "x" },
		"digest":          func(in *release.Inputs) { in.Digest = "x" },
		"driver":          func(in *release.Inputs) { in.Driver = "x" },
		"command":         func(in *release.Inputs) { in.Command = "x" },
		"args":            func(in *release.Inputs) { in.Args = []string{"x"} },
		"image":           func(in *release.Inputs) { in.Image = "x" },
		"cpu":             func(in *release.Inputs) { in.CPU++ },
		"memory":          func(in *release.Inputs) { in.Memory++ },
		"health_interval": func(in *release.Inputs) { in.HealthInterval = "x" },
		"health_timeout":  func(in *release.Inputs) { in.HealthTimeout = "x" },
		"shutdown_delay":  func(in *release.Inputs) { in.ShutdownDelay = "x" },
		"kill_timeout":    func(in *release.Inputs) { in.KillTimeout = "x" },
	}
	seen := map[string]string{base.ID(): "nothing"}
	for name, change := range changes {
		in := base
		change(&in)
		if other, ok := seen[in.ID()]; ok {
			t.Errorf("a change of %s gives the id of a change of %s", name, other)
		}
		seen[in.ID()] = name
	}
}

// TestDefaultsLikeJobspec: what is not set is the same in Go and in HCL.
func TestDefaultsLikeJobspec(t *testing.T) {
	in := release.Defaults()
	in.Model, in.ModelVersion, in.Digest = "iris", "v1", "sha256:"+strings.Repeat("0", 64)
	flags := map[string]string{"model": in.Model, "model_version": in.ModelVersion, "digest": in.Digest, "artifact": "/m"}
	job, err := jobspec.Parse(jobs.InferenceFile, jobs.Inference, jobspec.Vars{Flags: flags, FileAccess: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := job.Meta["weir_release"]; in.ID() != want {
		t.Errorf("id %s, the specification's %s", in.ID(), want)
	}
}

func TestDigest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.pkl")
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := release.Digest(path)
	if want := "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s (FIPS 180-2, appendix B.1)", got, err, want)
	}
	if _, err := release.Digest(path + "x"); err == nil || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("missing file: error %v", err)
	}
	if _, err := release.Digest(t.TempDir()); err == nil {
		t.Error("a folder has a digest")
	}
}

package jobs_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/jobspec"
	"github.com/weirhq/weir/internal/release"
	"github.com/weirhq/weir/jobs"
)

var update = flag.Bool("update", false, "record testdata/*.json anew with the nomad on PATH")

// TestLikeNomad compares what Weir reads from the specifications with what Nomad 1.6.5 read from them: `nomad job run
// -output` with the same variables printed testdata/*.json. After a change of a specification record them anew: `go
// test ./jobs -update` with nomad on PATH; where there is none, change the same fields in testdata by hand.
func TestLikeNomad(t *testing.T) {
	blue := map[string]string{"artifact": "/models/iris.pkl", "command": "/opt/weir/inference"}
	with := func(base map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		maps.Copy(all, base)
		for _, setting := range more {
			name, value, _ := strings.Cut(setting, "=")
			all[name] = value
		}
		return all
	}
	deployer := map[string]string{"command": "/opt/weir/deployer"}
	for _, tc := range []struct {
		recorded, spec string
		src            []byte
		varFile        string
		flags          map[string]string
	}{
		{"inference-blue", jobs.InferenceFile, jobs.Inference, "blue.vars.hcl", blue},
		{
			"inference-green", jobs.InferenceFile, jobs.Inference, "green.vars.hcl",
			with(blue, "attempt=2", "count=4", "canary=1", "restarts=1", `args=["--a","<&>","é"]`),
		},
		{
			"inference-docker", jobs.InferenceFile, jobs.Inference, "green.vars.hcl",
			with(nil, "driver=docker", "image=weir/inference:1", "artifact=https://models.example/iris.pkl", "cpu=500",
				"memory=512", "health_interval=2s", "health_timeout=500ms", "shutdown_delay=3s", "kill_timeout=15s",
				"namespace=ml", `datacenters=["a","b"]`,
				`env={OTEL_EXPORTER_OTLP_ENDPOINT="http://otel:4318",MAX_ROWS="100",MODEL_NAME="other"}`),
		},
		{"ingress", jobs.IngressFile, jobs.Ingress, "", deployer},
		{
			"ingress-set", jobs.IngressFile, jobs.Ingress, "",
			with(deployer, "listen=0.0.0.0:80", "nginx=/usr/sbin/nginx", "consul_template=/usr/bin/consul-template",
				"default_model=iris", "node=n1", "state_dir=/var/lib/weir", "count=2"),
		},
		{"deployer", jobs.DeployerFile, jobs.Deployer, "", with(deployer, "nomad_addr=http://nomad:4646")},
	} {
		t.Run(tc.recorded, func(t *testing.T) {
			if *update {
				record(t, "testdata/"+tc.recorded+".json", tc.spec, tc.varFile, tc.flags)
			}
			var recorded struct{ Job *api.Job }
			if err := json.Unmarshal(read(t, "testdata/"+tc.recorded+".json"), &recorded); err != nil {
				t.Fatal(err)
			}
			got := indent(t, parse(t, tc.spec, tc.src, tc.varFile, tc.flags))
			want := indent(t, recorded.Job)
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("line %d: got %s, Nomad %s", i+1, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Fatalf("got %d lines, Nomad %d", len(got), len(want))
			}
		})
	}
}

// TestVarFiles checks that the two var files work on a checkout as it is: the digests are those of the model files.
func TestVarFiles(t *testing.T) {
	t.Chdir("..")
	releases := map[string]bool{}
	for _, color := range []string{"blue", "green"} {
		job := parse(t, jobs.InferenceFile, jobs.Inference, "jobs/"+color+".vars.hcl", nil)
		env := job.TaskGroups[0].Tasks[0].Env
		digest, err := release.Digest(env["MODEL_PATH"])
		if err != nil {
			t.Fatal(err)
		}
		if digest != env["MODEL_DIGEST"] {
			t.Errorf("%s: %s has digest %s, not %s", color, env["MODEL_PATH"], digest, env["MODEL_DIGEST"])
		}
		if env["MODEL_COLOR"] != color {
			t.Errorf("%s: colour %s", color, env["MODEL_COLOR"])
		}
		releases[env["MODEL_RELEASE"]] = true
	}
	if len(releases) != 2 {
		t.Errorf("blue and green are not two releases: %v", releases)
	}
}

// TestCanaryMeta: a canary's service meta replaces the other, so it must repeat every key.
func TestCanaryMeta(t *testing.T) {
	flags := map[string]string{"command": "/c", "artifact": "/a"}
	service := parse(t, jobs.InferenceFile, jobs.Inference, "blue.vars.hcl", flags).TaskGroups[0].Services[0]
	want := maps.Clone(service.Meta)
	want["canary"] = "true"
	if !maps.Equal(service.CanaryMeta, want) {
		t.Errorf("canary_meta is %v, want %v", service.CanaryMeta, want)
	}
	keys := slices.Sorted(maps.Keys(service.Meta))
	if !slices.Equal(keys, []string{"color", "digest", "model", "model_version", "release"}) {
		t.Errorf("meta has the keys %v", keys)
	}
}

func TestModelPath(t *testing.T) {
	for artifact, want := range map[string]string{
		"/abs/m.pkl":              "/abs/m.pkl",
		"https://h/m.pkl":         "${NOMAD_TASK_DIR}/model.pkl",
		"http://h/m.pkl":          "${NOMAD_TASK_DIR}/model.pkl",
		"s3::https://h/m.pkl":     "${NOMAD_TASK_DIR}/model.pkl",
		"git::https://h/r//m.pkl": "${NOMAD_TASK_DIR}/model.pkl",
		"/abs/https://odd":        "/abs/https://odd",
	} {
		flags := map[string]string{"command": "/c", "artifact": artifact}
		task := parse(t, jobs.InferenceFile, jobs.Inference, "blue.vars.hcl", flags).TaskGroups[0].Tasks[0]
		if got := task.Env["MODEL_PATH"]; got != want {
			t.Errorf("%s: MODEL_PATH %s, want %s", artifact, got, want)
		}
		if fetched := len(task.Artifacts) == 1; fetched != strings.HasPrefix(want, "$") {
			t.Errorf("%s: artifacts %v", artifact, task.Artifacts)
		}
	}
}

func TestRefusedInputs(t *testing.T) {
	for _, tc := range []struct{ name, value, want string }{
		{"model", "Iris", "A model's name has"},
		{"model", "", "A model's name has"},
		{"model", "a_b", "A model's name has"},
		{"model", "-a", "A model's name has"},
		{"model", strings.Repeat("a", 64), "A model's name has"},
		{"model", "a\nb", "A model's name has"},
		{"model_version", "", "A version has"},
		{"model_version", "v 1", "A version has"},
		{"digest", "", "A digest is"},
		{"digest", "md5:0", "A digest is"},
		{"digest", strings.Repeat("0", 64), "A digest is"},
		{"artifact", "", "Say where the model file is"},
		{"color", "red", "blue or green"},
		{"count", "0", "whole number from 1"},
		{"count", "1.5", "whole number from 1"},
		{"canary", "-1", "whole number from 0"},
		{"driver", "java", "raw_exec, exec or docker"},
	} {
		_, err := parseVars(t, jobs.InferenceFile, jobs.Inference, "blue.vars.hcl", map[string]string{tc.name: tc.value})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s=%q: error %v, want %q in it", tc.name, tc.value, err, tc.want)
		}
	}
}

func TestDigestHasNoDefault(t *testing.T) {
	_, err := jobspec.Parse(jobs.InferenceFile, jobs.Inference, jobspec.Vars{Flags: map[string]string{
		"model": "iris", "model_version": "v1", "artifact": "/m",
	}})
	if err == nil || !strings.Contains(err.Error(), `Unset variable "digest"`) {
		t.Errorf("error %v", err)
	}
}

func parse(t *testing.T, name string, src []byte, varFile string, flags map[string]string) *api.Job {
	t.Helper()
	job, err := parseVars(t, name, src, varFile, flags)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func parseVars(t *testing.T, name string, src []byte, varFile string, flags map[string]string) (*api.Job, error) {
	t.Helper()
	vars := jobspec.Vars{Flags: flags, FileAccess: true}
	if varFile != "" {
		vars.Files = []jobspec.File{{Name: varFile, Src: read(t, varFile)}}
	}
	return jobspec.Parse(name, src, vars)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func indent(t *testing.T, job *api.Job) []string {
	t.Helper()
	data, err := json.MarshalIndent(job, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

// record writes what nomad reads from a specification.
func record(t *testing.T, into, spec, varFile string, flags map[string]string) {
	t.Helper()
	args := []string{"job", "run", "-output"}
	if varFile != "" {
		args = append(args, "-var-file="+varFile)
	}
	for name, value := range flags {
		args = append(args, "-var="+name+"="+value)
	}
	out, err := exec.CommandContext(t.Context(), "nomad", append(args, spec)...).Output()
	if err != nil {
		t.Fatalf("nomad %v: %v", args, err)
	}
	if err := os.WriteFile(into, out, 0o600); err != nil {
		t.Fatal(err)
	}
}

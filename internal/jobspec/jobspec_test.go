package jobspec_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/weirhq/weir/internal/jobspec"
)

// TestParseLikeNomad compares with the jobs that `nomad job run -output` of Nomad 1.6.5 printed.
func TestParseLikeNomad(t *testing.T) {
	for _, tc := range []struct {
		spec, recorded string
		vars           jobspec.Vars
	}{
		{spec: "capture"},
		{spec: "everything"},
		{spec: "runtime"},
		{spec: "dynamic"},
		{spec: "functions", vars: jobspec.Vars{FileAccess: true}},
		{spec: "variables", recorded: "variables-defaults"},
		{spec: "variables", recorded: "variables-set", vars: jobspec.Vars{
			Env:   []string{"NOMAD_VAR_text=env", "NOMAD_VAR_inferred=env", "NOMAD_VAR_whole=4", "NOMAD_VAR_other=x", "A=b"},
			Files: []jobspec.File{varFile(t, "first"), varFile(t, "second")},
			Flags: map[string]string{
				"inferred": `a "b"`, "list": `["flag"]`, "flag": "false", "short": "s", "untyped": "7",
			},
		}},
	} {
		if tc.recorded == "" {
			tc.recorded = tc.spec
		}
		t.Run(tc.recorded, func(t *testing.T) {
			name := "testdata/nomad/" + tc.spec + ".nomad.hcl"
			job, err := jobspec.Parse(name, read(t, name), tc.vars)
			if err != nil {
				t.Fatal(err)
			}
			var recorded struct{ Job any }
			decode(t, read(t, "testdata/nomad/"+tc.recorded+".json"), &recorded)
			for _, d := range differences("Job", recorded.Job, toJSON(t, job)) {
				t.Error(d)
			}
		})
	}
}

// TestCanonicalize holds the api module's defaults against those of Nomad's server.
func TestCanonicalize(t *testing.T) {
	name := "testdata/nomad/capture.nomad.hcl"
	job, err := jobspec.Parse(name, read(t, name), jobspec.Vars{})
	if err != nil {
		t.Fatal(err)
	}
	job.Canonicalize()
	var recorded any
	decode(t, read(t, "testdata/capture.canonicalized.json"), &recorded)
	// The module is newer than the server that was recorded: these two changed since.
	later := map[string]bool{"Job.TaskGroups[0].Services[0].Cluster": true, "Job.TaskGroups[0].Consul": true}
	for _, d := range differences("Job", recorded, toJSON(t, job)) {
		if path, _, _ := strings.Cut(d, ":"); !later[path] {
			t.Error(d)
		}
	}
}

func TestParseJobIDAndName(t *testing.T) {
	for _, tc := range []struct{ body, id, name string }{
		{"", "label", "label"},
		{`id = "i"`, "i", "label"},
		{`name = "n"`, "label", "n"},
	} {
		job, err := jobspec.Parse("job.hcl", []byte("job \"label\" {\n"+tc.body+"\n}"), jobspec.Vars{})
		if err != nil {
			t.Errorf("%q: %v", tc.body, err)
			continue
		}
		if *job.ID != tc.id || *job.Name != tc.name {
			t.Errorf("%q: id %q, name %q; want %q, %q", tc.body, *job.ID, *job.Name, tc.id, tc.name)
		}
	}
}

func TestParseErrors(t *testing.T) {
	group := func(body string) string { return "job \"j\" {\n group \"g\" {\n" + body + "\n }\n}" }
	task := func(body string) string { return group("  task \"t\" {\n" + body + "\n  }") }
	for _, tc := range []struct {
		name, src string
		vars      jobspec.Vars
		want      []string
	}{
		{name: "syntax", src: "job {", want: []string{"job.hcl:1,"}},
		{name: "no job", src: "locals {\n}", want: []string{`Want exactly one "job" block`, "has 0"}},
		{name: "two jobs", src: "job \"a\" {\n}\njob \"b\" {\n}", want: []string{
			"job.hcl:3,1-8: Want exactly one", "has 2",
		}},
		{name: "unknown root block", src: "bogus \"x\" {\n}", want: []string{
			`1,1-6: Unsupported block type; Blocks of type "bogus"`,
		}},
		{name: "unknown argument", src: task("bogus = 1"), want: []string{
			`job.hcl:4,1-6: Unsupported argument; An argument named "bogus"`,
		}},
		{name: "unknown block", src: task("bogus {\n}"), want: []string{
			`4,1-6: Unsupported block type; Blocks of type "bogus"`,
		}},
		{name: "two faults", src: task("one = 1\ntwo = 2"), want: []string{"4,1-4: ", "\njob.hcl:5,1-4: "}},
		{name: "undecoded block", src: group(`volume "v" {
			type = "host"
		}`), want: []string{`job.hcl:3,1-11: Unsupported block "volume"`, "storage volumes", "Nomad's own CLI"}},
		{name: "missing label", src: "job \"j\" {\n group {\n }\n}", want: []string{"Missing name for group"}},
		{name: "block twice", src: "job \"j\" {\n update {\n }\n update {\n }\n}", want: []string{
			"job.hcl:4,2-8: Duplicate update block", "2,2-8",
		}},
		{name: "missing argument", src: task("lifecycle {\n}"), want: []string{`The argument "hook" is required`}},
		{name: "bad duration", src: task(`kill_timeout = "5"`), want: []string{
			`4,16-19: Invalid value for "kill_timeout"; "5" is not a duration`, `"30s"`,
		}},
		{name: "bad number", src: group(`count = "x"`), want: []string{
			`3,9-12: Invalid value for "count"; a number is required`,
		}},
		{name: "fraction", src: group(`count = 1.5`), want: []string{"whole number"}},
		{name: "null in env", src: task("env {\nA = null\n}"), want: []string{
			`5,1-9: Invalid value for "A"; It must not be null`,
		}},
		{name: "dynamic in config", src: task("config {\ndynamic \"m\" {\n}\n}"), want: []string{
			"5,1-12: Unsupported dynamic block in config",
		}},
		{name: "conflicting operators", src: group("constraint {\nregexp = \"a\"\nversion = \"1\"\n}"), want: []string{
			"Conflicting operators", `"regexp" and "version"`,
		}},
		{name: "unknown function", src: group("count = nope(1)"), want: []string{`no function named "nope"`}},
		{name: "unknown variable", src: group("count = var.nope"), want: []string{`attribute named "nope"`}},
		{name: "unset variable", src: "variable \"x\" {\n}", want: []string{
			`1,1-13: Unset variable "x"`, "NOMAD_VAR_x",
		}},
		{name: "variable twice", src: "variable \"x\" {\n}\nvariable \"x\" {\n}", want: []string{
			"3,1-13: Duplicate variable", "1,1-13",
		}},
		{name: "variable type any", src: "variable \"x\" {\ntype = any\n}", want: []string{
			"an exact type is required",
		}},
		{name: "wrong default", src: "variable \"x\" {\ntype = number\ndefault = \"a\"\n}", want: []string{
			`3,11-14: Invalid value for variable "x"`, "of type number",
		}},
		{name: "undeclared flag", vars: jobspec.Vars{Flags: map[string]string{"x": "1"}}, want: []string{
			`-var x:1,1-1: Undeclared variable "x"`,
		}},
		{name: "undeclared in file", src: "job \"j\" {\n}", vars: varSource("x = 1"), want: []string{
			`f.hcl:1,1-6: Undeclared variable "x"`,
		}},
		{name: "function in file", src: "variable \"x\" {\n}", vars: varSource(`x = upper("a")`), want: []string{
			"f.hcl:1,5-", "not allowed",
		}},
		{name: "validation", src: `variable "x" {
			validation {
				condition     = var.x > 1
				error_message = "Want more than 1."
			}
		}`, vars: varSource("x = 1"), want: []string{
			`f.hcl:1,5-6: Invalid value for variable "x"; Want more than 1.`, "job.hcl:3,",
		}},
		{name: "validation of another variable", src: `variable "x" {
			default = 1
			validation {
				condition     = var.y
				error_message = "?"
			}
		}`, want: []string{`attribute named "y"`}},
		{name: "circular locals", src: "locals {\na = local.b\nb = local.a\n}", want: []string{
			`2,1-12: Circular local; Local "a"`,
		}},
		{name: "local twice", src: "locals {\na = 1\n}\nlocals {\na = 2\n}", want: []string{
			"5,1-6: Duplicate local",
		}},
		{name: "no file access", src: task(`user = file("/etc/passwd")`), want: []string{
			`function "file" failed`, "functions on files are off",
		}},
		{name: "no path access", src: task(`user = abspath("x")`), want: []string{"functions on files are off"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := jobspec.Parse("job.hcl", []byte(tc.src), tc.vars)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestParseFileFunctions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	src := fmt.Sprintf(`job "j" {
		meta {
			a = file(%q)
			b = filebase64(%[1]q)
			c = abspath("x")
			d = pathexpand("~/x")
		}
	}`, path)
	job, err := jobspec.Parse("job.hcl", []byte(src), jobspec.Vars{FileAccess: true})
	if err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	home, _ := os.UserHomeDir()
	want := map[string]string{"a": "content", "b": "Y29udGVudA==", "c": filepath.Join(here, "x"), "d": home + "/x"}
	if !reflect.DeepEqual(job.Meta, want) {
		t.Errorf("got %v, want %v", job.Meta, want)
	}
}

// FuzzParse looks for panics.
func FuzzParse(f *testing.F) {
	specs, _ := filepath.Glob("testdata/nomad/*.nomad.hcl")
	for _, spec := range specs {
		src, err := os.ReadFile(spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(_ *testing.T, src []byte) {
		_, _ = jobspec.Parse("job.hcl", src, jobspec.Vars{})
	})
}

func varFile(t *testing.T, name string) jobspec.File {
	path := "testdata/nomad/" + name + ".vars.hcl"
	return jobspec.File{Name: path, Src: read(t, path)}
}

func varSource(src string) jobspec.Vars {
	return jobspec.Vars{Files: []jobspec.File{{Name: "f.hcl", Src: []byte(src)}}}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func toJSON(t *testing.T, value any) any {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var result any
	decode(t, data, &result)
	return result
}

// differences lists where two JSON documents differ. A field that one of them lacks counts only if it is set in the
// other: the api module knows more fields than the Nomad that was recorded.
func differences(path string, want, got any) []string {
	var all []string
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			break
		}
		for key := range union(want, got) {
			all = append(all, differences(path+"."+key, want[key], got[key])...)
		}
		return all
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			break
		}
		for i := range want {
			all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), want[i], got[i])...)
		}
		return all
	}
	if reflect.DeepEqual(want, got) || unset(want) && unset(got) {
		return nil
	}
	return []string{fmt.Sprintf("%s: got %v, Nomad %v", path, got, want)}
}

func union(a, b map[string]any) map[string]bool {
	keys := map[string]bool{}
	for key := range a {
		keys[key] = true
	}
	for key := range b {
		keys[key] = true
	}
	return keys
}

func unset(v any) bool { return v == nil || v == "" || v == false || v == 0.0 }

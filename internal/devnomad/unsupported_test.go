package devnomad

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// wholeJob is a valid job with one of each block that the agent has.
func wholeJob() *api.Job {
	check := api.ServiceCheck{Name: "c", Type: "tcp", Interval: time.Second, Timeout: time.Second, CheckRestart: &api.CheckRestart{Limit: 3}}
	service := &api.Service{
		Name: "s", PortLabel: "http", Provider: "consul", Checks: []api.ServiceCheck{check}, Weights: &api.ServiceWeights{Passing: 1},
	}
	task := &api.Task{
		Name: "t", Driver: "raw_exec", Config: map[string]any{"command": "/bin/true"}, Services: []*api.Service{service},
		Resources: &api.Resources{CPU: new(100)}, LogConfig: &api.LogConfig{MaxFiles: new(2)}, RestartPolicy: &api.RestartPolicy{},
		Artifacts: []*api.TaskArtifact{{GetterSource: new("/x")}}, Templates: []*api.Template{{DestPath: new("local/x")}},
	}
	group := &api.TaskGroup{
		Name: new("g"), Tasks: []*api.Task{task}, EphemeralDisk: &api.EphemeralDisk{}, RestartPolicy: &api.RestartPolicy{},
		ReschedulePolicy: &api.ReschedulePolicy{}, Update: &api.UpdateStrategy{}, Migrate: &api.MigrateStrategy{},
		Networks:    []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}, ReservedPorts: []api.Port{{Label: "a", Value: 9}}}},
		Constraints: []*api.Constraint{{LTarget: "${attr.kernel.name}", RTarget: "linux", Operand: "="}},
		Affinities:  []*api.Affinity{{LTarget: "${node.class}", RTarget: "blue", Operand: "=", Weight: new(int8(50))}},
		Spreads:     []*api.Spread{{Attribute: "${node.unique.id}"}},
	}
	job := &api.Job{ID: new("j"), Type: new("service"), TaskGroups: []*api.TaskGroup{group}}
	prepare(job, "")
	return job
}

// structs are the values of structs within a job, with no type twice.
func structs(v reflect.Value, seen map[reflect.Type]bool) (out []reflect.Value) {
	switch kind := v.Kind(); {
	case kind == reflect.Pointer && !v.IsNil():
		return structs(v.Elem(), seen)
	case kind == reflect.Slice:
		for i := range v.Len() {
			out = append(out, structs(v.Index(i), seen)...)
		}
	case kind == reflect.Struct && !seen[v.Type()]:
		seen[v.Type()] = true
		out = append(out, v)
		for _, field := range v.Fields() {
			out = append(out, structs(field, seen)...)
		}
	}
	return out
}

// filled is some value of a type that says something.
func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(filled(t.Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, filled(t.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(filled(t.Key()), filled(t.Elem()))
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(filled(t.Field(i).Type))
				return v
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Uint64, reflect.Uint8:
		v.SetUint(1)
	default:
		v.SetInt(7)
	}
	return v
}

// moot are fields about what happens when a template changes: none does, since nothing is rendered anew.
var moot = map[string]bool{
	"Template.ChangeMode": true, "Template.ChangeScript": true, "Template.Splay": true,
}

// TestEveryFieldIsHonouredOrRefused sets each field that the API has for jobs, one after the other: the agent's code
// reads it, or the agent names it in what it says against the job.
func TestEveryFieldIsHonouredOrRefused(t *testing.T) {
	if problems := problemsOf(wholeJob()); len(problems) > 0 {
		t.Fatalf("a job of what is honoured: %q", problems)
	}
	read := fieldsRead(t)
	whole := wholeJob()
	refused := 0
	for _, v := range structs(reflect.ValueOf(whole), map[reflect.Type]bool{}) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			known, listed := honoured[v.Type()]
			if !listed || slices.Contains(known, field.Name) {
				if !read[field.Name] && !moot[v.Type().Name()+"."+field.Name] {
					t.Errorf("%s.%s counts as honoured, but no code reads it", v.Type(), field.Name)
				}
				continue
			}
			before := reflect.ValueOf(v.Field(i).Interface())
			v.Field(i).Set(filled(field.Type))
			if problems := strings.Join(problemsOf(whole), "\n"); !strings.Contains(problems, hclName(field)+", which the embedded agent has not") {
				t.Errorf("%s.%s is set and not refused as %q: %q", v.Type(), field.Name, hclName(field), problems)
			}
			refused++
			v.Field(i).SetZero()
			if before.IsValid() {
				v.Field(i).Set(before)
			}
		}
	}
	if refused < 60 {
		t.Errorf("only %d fields were looked at", refused)
	}
}

// fieldsRead are the names of all fields that the code selects, but for the list itself.
func fieldsRead(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"*.go", "client/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") || path == "unsupported.go" {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, is := n.(*ast.SelectorExpr); is {
					names[s.Sel.Name] = true
				}
				return true
			})
		}
	}
	return names
}

func TestRefusalsNameThePlace(t *testing.T) {
	for want, change := range map[string]func(j *api.Job, g *api.TaskGroup, t *api.Task){
		`job "j" has multiregion`: func(j *api.Job, _ *api.TaskGroup, _ *api.Task) {
			j.Multiregion = &api.Multiregion{Regions: []*api.MultiregionRegion{{}}}
		},
		`group "g" has volume`:             func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Volumes = map[string]*api.VolumeRequest{"v": {}} },
		`group "g" has network.mode`:       func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Networks[0].Mode = "bridge" },
		`group "g" has network.port.host_`: func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Networks[0].DynamicPorts[0].HostNetwork = "public" },
		`task "t" has resources.device`: func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Resources.Devices = []*api.RequestedDevice{{Name: "gpu"}}
		},
		`task "t" has template.wait`: func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Templates[0].Wait = &api.WaitConfig{Min: new(time.Second)}
		},
		`service "s" has connect`: func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Services[0].Connect = &api.ConsulConnect{Native: true}
		},
		`check "c" has address_mode`:    func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Services[0].Checks[0].AddressMode = "driver" },
		`group "g" has update in a sys`: func(j *api.Job, _ *api.TaskGroup, _ *api.Task) { j.Type = new("system") },
		"[]": func(_ *api.Job, g *api.TaskGroup, t *api.Task) { // as Nomad's own client sends it
			g.Consul, t.Consul = &api.Consul{Cluster: "default"}, &api.Consul{}
		},
	} {
		job := wholeJob()
		change(job, job.TaskGroups[0], job.TaskGroups[0].Tasks[0])
		if problems := fmt.Sprint(problemsOf(job)); !strings.Contains(problems, want) {
			t.Errorf("got %s, want in it: %s", problems, want)
		}
	}
}

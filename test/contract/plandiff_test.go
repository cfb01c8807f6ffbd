package contract

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// update records what a real Nomad answers: CONTRACT_NOMAD=… go test ./test/contract -run PlanDiff -update
var update = flag.Bool("update", false, "record the differences that `plan` shows, from a real Nomad")

// planChanges are changes to a job; testdata/plan_diff has the difference that a real Nomad shows for each.
var planChanges = map[string]func(j *api.Job){
	"nothing":          func(*api.Job) {},
	"new_job":          nil,
	"job_meta":         func(j *api.Job) { j.Meta = map[string]string{"a": "2", "b": "new"} },
	"job_priority":     func(j *api.Job) { j.Priority = new(60) },
	"datacenters":      func(j *api.Job) { j.Datacenters = []string{"dc1", "dc2"} },
	"count_up":         func(j *api.Job) { j.TaskGroups[0].Count = new(2) },
	"count_down":       func(j *api.Job) { j.TaskGroups[0].Count = new(0) },
	"group_meta":       func(j *api.Job) { j.TaskGroups[0].Meta = map[string]string{"g": "2"} },
	"shutdown_delay":   func(j *api.Job) { j.TaskGroups[0].ShutdownDelay = new(3 * time.Second) },
	"update_block":     func(j *api.Job) { j.TaskGroups[0].Update.MaxParallel = new(2) },
	"restart":          func(j *api.Job) { j.TaskGroups[0].RestartPolicy.Delay = new(200 * time.Millisecond) },
	"reschedule":       func(j *api.Job) { j.TaskGroups[0].ReschedulePolicy.Delay = new(7 * time.Second) },
	"constraint":       func(j *api.Job) { j.Constrain(api.NewConstraint("${attr.kernel.name}", "=", "linux")) },
	"group_constraint": func(j *api.Job) { j.TaskGroups[0].Constrain(api.NewConstraint("${attr.cpu.arch}", "!=", "vax")) },
	"disk":             func(j *api.Job) { j.TaskGroups[0].EphemeralDisk = &api.EphemeralDisk{SizeMB: new(200)} },
	"port":             func(j *api.Job) { j.TaskGroups[0].Networks[0].DynamicPorts[0].To = 80 },
	"second_port": func(j *api.Job) {
		n := j.TaskGroups[0].Networks[0]
		n.DynamicPorts = append(n.DynamicPorts, api.Port{Label: "more"})
	},
	"env":          func(j *api.Job) { j.TaskGroups[0].Tasks[0].Env["VERSION"] = "2" },
	"config":       func(j *api.Job) { j.TaskGroups[0].Tasks[0].Config["args"] = []string{"a", "c"} },
	"kill_timeout": func(j *api.Job) { j.TaskGroups[0].Tasks[0].KillTimeout = new(3 * time.Second) },
	"kill_signal":  func(j *api.Job) { j.TaskGroups[0].Tasks[0].KillSignal = "SIGTERM" },
	"task_meta":    func(j *api.Job) { j.TaskGroups[0].Tasks[0].Meta = map[string]string{"t": "1"} },
	"resources":    func(j *api.Job) { j.TaskGroups[0].Tasks[0].Resources.CPU = new(30) },
	"logs": func(j *api.Job) {
		j.TaskGroups[0].Tasks[0].LogConfig = &api.LogConfig{MaxFiles: new(3), MaxFileSizeMB: new(1)}
	},
	"template": func(j *api.Job) {
		j.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new("x"), DestPath: new("local/x")}}
	},
	"artifact": func(j *api.Job) {
		j.TaskGroups[0].Tasks[0].Artifacts = []*api.TaskArtifact{{GetterSource: new("http://127.0.0.1:1/x"), RelativeDest: new("local/")}}
	},
	"second_task": func(j *api.Job) {
		t := *j.TaskGroups[0].Tasks[0]
		t.Name = "sidecar"
		j.TaskGroups[0].Tasks = append(j.TaskGroups[0].Tasks, &t)
	},
	"second_group": func(j *api.Job) {
		j.TaskGroups = append(j.TaskGroups, &api.TaskGroup{Name: new("more"), Count: new(1), Tasks: []*api.Task{{
			Name: "t", Driver: "raw_exec", Config: map[string]any{"command": "/bin/true"},
		}}})
	},
	"service_tags": func(j *api.Job) { j.TaskGroups[0].Services[0].Tags = []string{"live", "v=2"} },
	"service_meta": func(j *api.Job) { j.TaskGroups[0].Services[0].Meta = map[string]string{"m": "2"} },
	"canary_meta": func(j *api.Job) {
		j.TaskGroups[0].Services[0].CanaryMeta = map[string]string{"m": "2", "canary": "true"}
	},
	"check_path":    func(j *api.Job) { j.TaskGroups[0].Services[0].Checks[0].Path = "/other" },
	"check_restart": func(j *api.Job) { j.TaskGroups[0].Services[0].Checks[0].CheckRestart = &api.CheckRestart{Limit: 3} },
	"two_services": func(j *api.Job) {
		s := *j.TaskGroups[0].Services[0]
		s.Name += "-two"
		j.TaskGroups[0].Services = append(j.TaskGroups[0].Services, &s)
	},
}

func TestPlanDiff(t *testing.T) {
	f := newFixture(t)
	job := func(change func(*api.Job)) *api.Job {
		return f.job(spec{count: 1, canary: 1, checks: true, version: "1", deadline: 8 * time.Second, progress: 20 * time.Second, tags: []string{"live", "v=1"}, change: func(j *api.Job) {
			j.Meta = map[string]string{"a": "1"}
			s := j.TaskGroups[0].Services[0]
			s.Meta, s.CanaryMeta = map[string]string{"m": "1"}, map[string]string{"m": "1", "canary": "true"}
			task := j.TaskGroups[0].Tasks[0]
			task.Config["command"], task.Config["args"] = "/bin/sleep", []string{"a", "b"}
			change(j)
		}})
	}
	base := job(func(*api.Job) {})
	names := slices.Sorted(maps.Keys(planChanges))
	f.showsDiff(t, "new_job", base) // while there is none
	if _, _, err := f.nomad.Jobs().Register(base, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if change := planChanges[name]; change != nil {
			f.showsDiff(t, name, job(change))
		}
	}
}

// showsDiff compares the difference that planning a job shows with the recorded one.
func (f *fixture) showsDiff(t *testing.T, name string, job *api.Job) {
	t.Run(name, func(t *testing.T) {
		resp, _, err := f.nomad.Jobs().Plan(job, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(renderDiff(resp.Diff), f.id, "JOB")
		path := filepath.Join("testdata", "plan_diff", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("got:\n%swant:\n%s", got, want)
		}
	})
}

func renderDiff(d *api.JobDiff) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s job %s\n", d.Type, d.ID)
	renderObjects(&b, "  ", d.Fields, d.Objects)
	for _, g := range d.TaskGroups {
		fmt.Fprintf(&b, "  %s group %s\n", g.Type, g.Name) // what is placed depends on how far the deployment is
		renderObjects(&b, "    ", g.Fields, g.Objects)
		for _, task := range g.Tasks {
			fmt.Fprintf(&b, "    %s task %s %q\n", task.Type, task.Name, task.Annotations)
			renderObjects(&b, "      ", task.Fields, task.Objects)
		}
	}
	return b.String()
}

func renderObjects(b *strings.Builder, indent string, fields []*api.FieldDiff, objects []*api.ObjectDiff) {
	for _, f := range fields {
		fmt.Fprintf(b, "%s%s %s %q -> %q %q\n", indent, f.Type, f.Name, f.Old, f.New, f.Annotations)
	}
	for _, o := range objects {
		fmt.Fprintf(b, "%s%s block %s\n", indent, o.Type, o.Name)
		renderObjects(b, indent+"  ", o.Fields, o.Objects)
	}
}

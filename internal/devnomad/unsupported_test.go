package devnomad

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestUnsupportedIsRefusedByName(t *testing.T) {
	for what, change := range map[string]func(j *api.Job, g *api.TaskGroup, t *api.Task){
		"a multiregion block":        func(j *api.Job, _ *api.TaskGroup, _ *api.Task) { j.Multiregion = &api.Multiregion{} },
		"a volume block":             func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Volumes = map[string]*api.VolumeRequest{"v": {}} },
		"max_client_disconnect":      func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.MaxClientDisconnect = new(time.Hour) }, //nolint:staticcheck // 1.6 has it
		`a network of mode "bridge"`: func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Networks = []*api.NetworkResource{{Mode: "bridge"}} },
		"a lifecycle block":          func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Lifecycle = &api.TaskLifecycle{Hook: "prestart"} },
		"a vault block":              func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Vault = &api.Vault{Policies: []string{"p"}} },
		"a volume_mount block":       func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.VolumeMounts = []*api.VolumeMount{{}} },
		"a device block": func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Resources.Devices = []*api.RequestedDevice{{Name: "gpu"}}
		},
		"a wait block in a template": func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Templates = []*api.Template{{Wait: &api.WaitConfig{}}}
		},
		"stop_after_client_disconnect":  func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.StopAfterClientDisconnect = new(time.Hour) }, //nolint:staticcheck // 1.6 has it
		"a network block in its resour": func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Resources.Networks = []*api.NetworkResource{{}} },
	} {
		t.Run(what, func(t *testing.T) {
			task := &api.Task{Name: "t", Driver: "raw_exec", Resources: &api.Resources{}}
			group := &api.TaskGroup{Name: new("g"), Tasks: []*api.Task{task}}
			job := &api.Job{ID: new("j"), Type: new("service"), TaskGroups: []*api.TaskGroup{group}}
			prepare(job, "")
			if problems := problemsOf(job); len(problems) > 0 {
				t.Fatalf("before: %v", problems)
			}
			change(job, group, task)
			if problems := strings.Join(problemsOf(job), "\n"); !strings.Contains(problems, what) {
				t.Errorf("got %q", problems)
			}
		})
	}
}

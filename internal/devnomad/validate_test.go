package devnomad

import (
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The texts are what a real Nomad answered.
func TestProblemsOfServicesAndLogs(t *testing.T) {
	service := func(port string, checks ...api.ServiceCheck) []*api.Service {
		return []*api.Service{{Name: "x", PortLabel: port, Provider: "consul", Checks: checks}}
	}
	check := api.ServiceCheck{Name: "c", Type: "tcp", Interval: time.Second, Timeout: time.Second}
	unnamed := check
	unnamed.Name = ""
	const noPort = `check requires a port but neither check nor service "x" have a port`
	for name, tc := range map[string]struct {
		change func(g *api.TaskGroup, t *api.Task)
		want   string
	}{
		"log storage": {
			func(g *api.TaskGroup, _ *api.Task) { g.EphemeralDisk = &api.EphemeralDisk{SizeMB: new(10)} },
			"1 error occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Task t validation failed: 1 error occurred:" +
				"\n\t* 1 error occurred:\n\t* log storage (100 MB) must be less than requested disk capacity (10 MB)\n\n\n\n\n\n\n\n",
		},
		"group's check without a port": {
			func(g *api.TaskGroup, _ *api.Task) { g.Services = service("", unnamed) },
			"1 error occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Task group service validation failed: " +
				"1 error occurred:\n\t* Service[0] x validation failed: 1 error occurred:\n\t* Check service: \"x\" check invalid: " +
				noPort + "\n\n\n\n\n\n\n\n",
		},
		"task's check without a port": {
			func(_ *api.TaskGroup, t *api.Task) { t.Services = service("", check) },
			"1 error occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Task t validation failed: 1 error occurred:" +
				"\n\t* 2 errors occurred:\n\t* service[0] \"x\" validation failed: 1 error occurred:\n\t* Check c invalid: " +
				noPort + "\n\n\n\t* check \"c\" is missing a port\n\n\n\n\n\n\n\n",
		},
		"task's port that is not there": {
			func(_ *api.TaskGroup, t *api.Task) { t.Services = service("nope") },
			"1 error occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Task t validation failed: 1 error occurred:" +
				"\n\t* 1 error occurred:\n\t* port label \"nope\" referenced by services x does not exist\n\n\n\n\n\n\n\n",
		},
	} {
		job := testJob(0, 0, 1, "a")
		job.TaskGroups[0].Update = nil
		tc.change(job.TaskGroups[0], job.TaskGroups[0].Tasks[0])
		prepare(job, "")
		if got := listErrors(problemsOf(job)); got != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, tc.want)
		}
	}
}

//go:build linux

package chaos

import (
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/traffic"
)

// dump prints what Consul and Nomad know, for who looks into a failure.
func (s *system) dump() {
	keys, _, err := s.kv.List(traffic.TrafficPrefix, nil)
	for _, k := range keys {
		s.t.Logf("%s = %s", k.Key, k.Value)
	}
	n, err2 := api.NewClient(&api.Config{Address: s.addr.Nomad})
	if err != nil || err2 != nil {
		s.t.Logf("read the state: %v, %v", err, err2)
		return
	}
	deployments, _, err := n.Jobs().Deployments(model, true, nil)
	for _, d := range deployments[:min(len(deployments), 3)] {
		s.t.Logf("deployment %.8s of version %d: %s (%s)", d.ID, d.JobVersion, d.Status, d.StatusDescription)
		for name, g := range d.TaskGroups {
			s.t.Logf("  group %s: promoted %t, %d canaries wanted, %d placed; of %d: %d placed, %d healthy, %d unhealthy", name,
				g.Promoted, g.DesiredCanaries, len(g.PlacedCanaries), g.DesiredTotal, g.PlacedAllocs, g.HealthyAllocs, g.UnhealthyAllocs)
		}
	}
	allocs, _, err2 := n.Jobs().Allocations(model, true, nil)
	if err != nil || err2 != nil {
		s.t.Logf("read the state of Nomad: %v, %v", err, err2)
	}
	for _, a := range allocs {
		if a.DesiredStatus == "run" {
			s.dumpAlloc(a)
		}
	}
}

func (s *system) dumpAlloc(a *api.AllocationListStub) {
	s.t.Logf("allocation %.8s of version %d: wanted %s, is %s", a.ID, a.JobVersion, a.DesiredStatus, a.ClientStatus)
	if h := a.DeploymentStatus; h != nil {
		s.t.Logf("  canary %t, health decided: %t", h.Canary, h.Healthy != nil)
	}
	for name, t := range a.TaskStates {
		for _, e := range t.Events[max(0, len(t.Events)-3):] {
			s.t.Logf("  task %s: %s: %s", name, e.Type, e.DisplayMessage)
		}
	}
}

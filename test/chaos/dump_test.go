//go:build linux

package chaos

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/traffic"
)

// dump prints what Consul and Nomad know, for who looks into a failure.
func (s *system) dump() {
	keys, _, err := s.kv.List(traffic.TrafficPrefix, nil)
	for _, k := range keys {
		s.t.Logf("%s = %s", k.Key, k.Value)
	}
	if err != nil {
		s.t.Logf("read the keys: %v", err)
	}
	n := s.agents.API
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

// dumpLogs prints the end of each log.
func (s *system) dumpLogs() {
	_ = filepath.WalkDir(s.net.Folder(), func(path string, d os.DirEntry, err error) error {
		isLog := filepath.Ext(path) == ".log" || strings.Contains(path, ".std")
		if err == nil && isLog && !d.IsDir() && !strings.Contains(path, "access") {
			if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
				s.t.Logf("%s:\n%s", path, text[max(0, len(text)-4000):])
			}
		}
		return nil
	})
}

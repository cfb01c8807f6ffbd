package contract

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

func TestUnhealthyCanary(t *testing.T) {
	good := spec{count: 1, canary: 1, version: "1", checks: true, autoRevert: true, progress: ample}
	t.Run("check_never_passes_fails_only_at_progress_deadline", func(t *testing.T) {
		f := newFixture(t)
		s := good
		f.deployed(s)
		s.version, s.mode, s.deadline, s.progress = "2", "sick", 3*time.Second, 12*time.Second
		f.register(s)
		f.eventually("the canary is unhealthy", func() bool { g := group(f.at(1)); return g != nil && g.UnhealthyAllocs == 1 }, f.list)
		if d := f.at(1); d.Status != "running" || len(f.running(1)) != 1 {
			t.Errorf("the canary keeps running, and the deployment: %s", dump(d))
		}
		f.endsAs(1, "failed", "Failed due to progress deadline - rolling back to job version 0")
	})
	t.Run("crash_with_mode_fail_is_unhealthy_at_once_and_rescheduled_as_a_canary", func(t *testing.T) {
		f := newFixture(t)
		s := good
		s.checks = false
		f.deployed(s)
		s.version, s.mode, s.deadline, s.progress = "2", "crash", 8*time.Second, 30*time.Second
		f.register(s)
		f.eventually("another canary is placed", func() bool { g := group(f.at(1)); return g != nil && len(g.PlacedCanaries) >= 2 }, f.list)
		old := f.find(func(a *api.AllocationListStub) bool {
			return a.DesiredDescription == "alloc was rescheduled because it failed"
		})
		if old == nil || old.ClientStatus != "failed" || old.DeploymentStatus.Healthy == nil || *old.DeploymentStatus.Healthy {
			t.Errorf("the first: %+v", old)
		}
		f.endsAs(1, "failed", "Failed due to progress deadline - rolling back to job version 0")
	})
}

// at returns the deployment of a job version, or nil.
func (f *fixture) at(version uint64) *api.Deployment {
	f.t.Helper()
	all, _, err := f.nomad.Jobs().Deployments(f.id, false, nil)
	if err != nil {
		f.t.Fatalf("list deployments: %v", err)
	}
	for _, d := range all {
		if d.JobVersion == version {
			return d
		}
	}
	return nil
}

func (f *fixture) endsAs(version uint64, status, description string) *api.Deployment {
	f.t.Helper()
	var d *api.Deployment
	f.eventually("deployment ends as "+status+" "+description, func() bool {
		d = f.at(version)
		return d != nil && d.Status != "running"
	}, func() string { return dump(d) })
	if d.Status != status || d.StatusDescription != description {
		f.t.Errorf("it ended as %s", dump(d))
	}
	return d
}

func TestHealthyCanaryGoesBad(t *testing.T) {
	start := func(t *testing.T) (*fixture, *api.Deployment) {
		f := newFixture(t)
		s := spec{count: 1, canary: 1, version: "1", checks: true, progress: ample}
		f.deployed(s)
		s.version = "2"
		f.register(s)
		return f, f.canariesHealthy(1)
	}
	t.Run("failing_check_changes_nothing_and_promote_works", func(t *testing.T) {
		f, d := start(t)
		f.tell(group(d).PlacedCanaries[0], "sicken")
		f.eventually("Consul sees it", func() bool { return f.critical(group(d).PlacedCanaries[0]) }, f.list)
		time.Sleep(2 * time.Second)
		if now := f.at(1); now.Status != "running" || group(now).HealthyAllocs != 1 || group(now).UnhealthyAllocs != 0 {
			t.Errorf("it is %s", dump(now))
		}
		f.promote(d.ID)
	})
	t.Run("dead_canary_stays_healthy_unreplaced_and_unpromotable", func(t *testing.T) {
		f, d := start(t)
		f.tell(group(d).PlacedCanaries[0], "die")
		f.eventually("the canary is dead", func() bool {
			a := f.find(func(a *api.AllocationListStub) bool { return a.ID == group(d).PlacedCanaries[0] })
			return a.ClientStatus == "failed"
		}, f.list)
		time.Sleep(2 * time.Second)
		now := f.at(1)
		a := f.find(func(a *api.AllocationListStub) bool { return a.ID == group(d).PlacedCanaries[0] })
		if now.Status != "running" || len(group(now).PlacedCanaries) != 1 || !*a.DeploymentStatus.Healthy || a.DesiredStatus != "run" {
			t.Errorf("it is %s", dump(now))
		}
		f.wants(t, "PUT", "/v1/deployment/promote/"+d.ID, `{"DeploymentID":"`+d.ID+`","All":true}`, 500,
			"1 error occurred:\n\t* Task group \"model\" has 0/1 healthy allocations\n\n")
	})
}

// tell sends a command to the task of an allocation.
func (f *fixture) tell(allocID, command string) {
	f.t.Helper()
	a, _, err := f.nomad.Allocations().Info(allocID, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/%s", a.AllocatedResources.Shared.Ports[0].Value, command)
	req, err := http.NewRequestWithContext(f.ctx, http.MethodPost, url, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		err = resp.Body.Close()
	} else if command == "die" {
		err = nil // it died before it answered
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) critical(allocID string) bool {
	checks, _, err := f.consul.Health().Checks(f.id, nil)
	if err != nil {
		f.t.Fatalf("read checks: %v", err)
	}
	for _, c := range checks {
		if c.ServiceID == f.serviceID(allocID) {
			return c.Status == "critical"
		}
	}
	return false
}

func (f *fixture) serviceID(allocID string) string {
	return "_nomad-task-" + allocID + "-group-model-" + f.id + "-http"
}

func TestConsulServices(t *testing.T) {
	f := newFixture(t)
	s := spec{
		count: 1, canary: 1, version: "1", checks: true, tags: []string{"live"}, canaryTags: []string{"canary"},
		shutdown: 2 * time.Second, progress: ample,
	}
	f.deployed(s)
	old := f.running(0)[0].ID
	s.version = "2"
	f.register(s)
	d := f.canariesHealthy(1)
	canary := group(d).PlacedCanaries[0]
	before := f.services()
	t.Run("canary_registers_with_its_canary_tags", func(t *testing.T) {
		if e := before[f.serviceID(canary)]; e == nil || len(e.ServiceTags) != 1 || e.ServiceTags[0] != "canary" {
			t.Errorf("%+v", e)
		}
	})
	f.promote(d.ID)
	t.Run("promote_flips_the_tags_of_the_same_service", func(t *testing.T) {
		f.eventually("the tags flip", func() bool {
			e := f.services()[f.serviceID(canary)]
			return e != nil && len(e.ServiceTags) == 1 && e.ServiceTags[0] == "live" && e.ServicePort == before[f.serviceID(canary)].ServicePort
		}, f.list)
	})
	t.Run("stopping_allocs_leave_consul_before_shutdown_delay", func(t *testing.T) {
		f.eventually("the old one leaves", func() bool { return f.services()[f.serviceID(old)] == nil }, f.list)
		if a := f.find(func(a *api.AllocationListStub) bool { return a.ID == old }); a.ClientStatus != "running" {
			t.Errorf("it is %s already", a.ClientStatus)
		}
	})
}

// services returns the catalog entries of the fixture's service by ID.
func (f *fixture) services() map[string]*consulapi.CatalogService {
	f.t.Helper()
	list, _, err := f.consul.Catalog().Service(f.id, "", nil)
	if err != nil {
		f.t.Fatalf("read the catalog: %v", err)
	}
	out := map[string]*consulapi.CatalogService{}
	for _, e := range list {
		out[e.ServiceID] = e
	}
	return out
}

package client_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
)

func healthy(u client.Update) bool { return u.Healthy != nil && *u.Healthy }

func TestCanaryIsRegisteredJudgedPromotedAndTakenDown(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "serve"))
	spec.DeploymentID = newID()
	spec.DeploymentStatus = &api.AllocDeploymentStatus{Canary: true}
	group(spec).ShutdownDelay = new(700 * time.Millisecond)
	began := time.Now()
	h.run(spec)
	u := h.await(spec.ID, "healthy", healthy)
	t.Logf("healthy after %s", time.Since(began))
	if since := u.HealthAt.Sub(u.TaskStates["server"].StartedAt); since < 300*time.Millisecond {
		t.Errorf("healthy %s after the start, before min_healthy_time", since)
	}
	s := h.service(spec.ID)
	port := spec.AllocatedResources.Shared.Ports[0].Value
	want := "_nomad-task-" + spec.ID + "-group-model-m-http"
	if s.ID != want || s.Service != "m" || s.Port != port || s.Address != "127.0.0.1" {
		t.Errorf("service is %+v, want %s", s, want)
	}
	wantService(t, s, []string{"canary"}, map[string]string{"release": "r1", "canary": "true", "external-source": "nomad"})

	promoted := revised(spec)
	promoted.DeploymentStatus = &api.AllocDeploymentStatus{Healthy: new(true)}
	stop := h.recordStatuses(s.ID)
	began = time.Now()
	if err := h.Update(promoted); err != nil {
		t.Fatal(err)
	}
	live := []string{"live", "v=1"}
	h.eventually("the tags are live", func() bool { return slices.Equal(h.service(spec.ID).Tags, live) })
	t.Logf("tags changed after %s", time.Since(began))
	wantService(t, h.service(spec.ID), live, map[string]string{"release": "r1", "external-source": "nomad"})
	if seen := stop(); !slices.Equal(seen, []string{"passing"}) {
		t.Errorf("the check was seen as %v during the promotion, want passing throughout", seen)
	}

	began = time.Now()
	h.Stop(spec.ID)
	h.eventually("the service is gone", func() bool { return h.service(spec.ID) == nil })
	t.Logf("deregistered after %s", time.Since(began))
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("deregistered after %s, want at once", took)
	}
	if err := h.Update(spec); err != nil { // comes too late
		t.Fatal(err)
	}
	h.CompareWithConsul(t.Context())
	if s := h.service(spec.ID); s != nil {
		t.Errorf("an update has brought back the service of what is being stopped: %+v", s)
	}
	h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("ended after %s, before shutdown_delay", took)
	}
}

func wantService(t *testing.T, s *consulapi.AgentService, tags []string, meta map[string]string) {
	t.Helper()
	if !slices.Equal(s.Tags, tags) || !maps.Equal(s.Meta, meta) {
		t.Errorf("tags %v and meta %v, want %v and %v", s.Tags, s.Meta, tags, meta)
	}
}

func (h *harness) recordStatuses(serviceID string) func() []string {
	return recordStatuses(h.consul, serviceID)
}

// recordStatuses follows the check of a service until the returned function is called, which returns what was seen.
func recordStatuses(consul *consulapi.Client, serviceID string) func() []string {
	stop, seen := make(chan struct{}), make(chan []string)
	go func() {
		statuses := map[string]bool{}
		for {
			select {
			case <-stop:
				seen <- slices.Sorted(maps.Keys(statuses))
				return
			default:
			}
			status, _, err := consul.Agent().AgentHealthServiceByID(serviceID)
			if err != nil {
				status = err.Error()
			}
			statuses[status] = true
		}
	}()
	return func() []string { close(stop); return <-seen }
}

func TestHealthIsFalseAtTheDeadline(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "print")) // runs, but serves nothing
	spec.DeploymentID = newID()
	group(spec).Update.HealthyDeadline = new(500 * time.Millisecond)
	h.run(spec)
	u := h.await(spec.ID, "unhealthy", func(u client.Update) bool { return u.Healthy != nil && !*u.Healthy })
	want := "Alloc Unhealthy: Task not running for min_healthy_time of 300ms by healthy_deadline of 500ms"
	told := slices.Contains(eventTexts(u, "server"), want)
	if u.ClientStatus != api.AllocClientStatusRunning || u.HealthAt.IsZero() || !told {
		t.Errorf("at the deadline: %s", describe(u))
	}

	// A new deployment is judged anew.
	next := revised(spec)
	next.DeploymentID = newID()
	group(next).Update = &api.UpdateStrategy{HealthCheck: new("task_states"), MinHealthyTime: new(time.Millisecond)}
	if err := h.Update(next); err != nil {
		t.Fatal(err)
	}
	h.await(spec.ID, "healthy", healthy)
}

func TestCheckRestart(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "serve"))
	group(spec).RestartPolicy.Attempts = new(1)
	group(spec).Services[0].Checks[0].CheckRestart = &api.CheckRestart{Limit: 2, Grace: new(2 * time.Second)}
	spec.DeploymentID = newID()
	h.run(spec)
	h.await(spec.ID, "healthy", healthy)
	h.get(spec, "/break")
	u := h.await(spec.ID, "restarted", func(u client.Update) bool {
		return u.TaskStates["server"].Restarts == 1 && u.TaskStates["server"].State == "running"
	})
	wantEvents(t, u, "server",
		"Received: Task received by client", "Task Setup: Building Task Directory", "Started: Task started by client",
		`Restart Signaled: healthcheck: check "health" unhealthy`, "Terminated: Exit Code: 0",
		"Restarting: Task restarting in 1…", "Started: Task started by client")
	h.eventually("the check passes again", func() bool {
		status, _, err := h.consul.Agent().AgentHealthServiceByID(h.service(spec.ID).ID)
		return err == nil && status == "passing"
	})
}

func TestLostRegistrationComesBack(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "serve"))
	h.run(spec)
	h.eventually("the service is there", func() bool { return h.service(spec.ID) != nil })
	if err := h.consul.Agent().ServiceDeregister(h.service(spec.ID).ID); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.eventually("the service is back", func() bool { return h.service(spec.ID) != nil })
	t.Logf("back after %s", time.Since(began))
}

func TestServicesComeBackWithARestartedConsul(t *testing.T) {
	t.Parallel()
	port := partstest.Port(t)
	start := func() *parts.ConsulServer {
		c, err := parts.StartConsul(t.Context(), parts.ConsulConfig{HTTPPort: port, Tied: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Stop() })
		return c
	}
	first := start()
	h := newHarness(t, first.Addr)
	h.consul, _ = first.Client()
	spec := withService(newAllocation(t, "serve"))
	spec.DeploymentID = newID()
	h.run(spec)
	h.await(spec.ID, "healthy", healthy)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	start()
	h.eventually("the service passes in the new Consul", func() bool {
		status, _, err := h.consul.Agent().AgentHealthServiceByID("_nomad-task-" + spec.ID + "-group-model-m-http")
		return err == nil && status == "passing"
	})
	next, began := revised(spec), time.Now()
	next.DeploymentID = newID()
	if err := h.Update(next); err != nil {
		t.Fatal(err)
	}
	h.await(spec.ID, "healthy again", func(u client.Update) bool { return healthy(u) && u.HealthAt.After(began) })
}

func TestOnlyWhatDiffersIsRegisteredAgain(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "serve"))
	h.run(spec)
	h.eventually("the service is there", func() bool { return h.service(spec.ID) != nil })
	h.eventually("nothing differs", func() bool { return h.Differing(t.Context()) == 0 })
	s := h.service(spec.ID)
	if err := h.consul.Agent().ServiceRegister(&consulapi.AgentServiceRegistration{
		ID: s.ID, Name: s.Service, Port: s.Port, Address: s.Address, Meta: s.Meta, Tags: []string{"by hand"},
	}); err != nil {
		t.Fatal(err)
	}
	h.CompareWithConsul(t.Context())
	wantService(t, h.service(spec.ID), s.Tags, s.Meta)
}

func TestServicesOfDeadAllocationsAreRemoved(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "crash"))
	group(spec).RestartPolicy.Delay = new(time.Hour)
	h.run(spec)
	h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	h.eventually("the service of the failed allocation is gone", func() bool { return h.service(spec.ID) == nil })

	foreign := "_nomad-task-" + newID() + "-group-model-m-http"
	ours := "_nomad-task-" + spec.ID + "-group-model-m-http"
	if err := h.Remove(spec.ID); err != nil {
		t.Fatal(err)
	}
	mkdir(t, h.dir+"/alloc/"+spec.ID)
	for _, id := range []string{foreign, ours} {
		if err := h.consul.Agent().ServiceRegister(&consulapi.AgentServiceRegistration{ID: id, Name: "m"}); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("our leftover is gone", func() bool {
		services, err := h.consul.Agent().Services()
		if err != nil || services[foreign] == nil {
			t.Fatalf("services are %v, %v: the other client's is gone", services, err)
		}
		return services[ours] == nil
	})
}

func TestTaskServiceFollowsItsTask(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withService(newAllocation(t, "serve"))
	task(spec).Services, group(spec).Services = group(spec).Services, nil
	task(spec).Services[0].Weights = &api.ServiceWeights{Passing: 7, Warning: 2}
	task(spec).ShutdownDelay = 300 * time.Millisecond
	h.run(spec)
	h.eventually("the service is there", func() bool { return h.service(spec.ID) != nil })
	s := h.service(spec.ID)
	if want := "_nomad-task-" + spec.ID + "-server-m-http"; s.ID != want || s.Weights.Passing != 7 {
		t.Errorf("service is %+v, want %s with weight 7", s, want)
	}
	h.Stop(spec.ID)
	h.eventually("the service is gone", func() bool { return h.service(spec.ID) == nil })
	u := h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	waits := "Waiting for shutdown: Waiting for shutdown_delay of 300ms before killing the task."
	if !slices.Contains(eventTexts(u, "server"), waits) {
		t.Errorf("no wait for the task's shutdown_delay: %s", describe(u))
	}
}

// TestAddressesOfServicesAreNomads: as a real Nomad registered them.
func TestAddressesOfServicesAreNomads(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := newAllocation(t, "serve")
	service := func(name, port string) *api.Service {
		return &api.Service{Name: name, PortLabel: port, Provider: "consul", Tags: []string{"${node.class}${node.datacenter}"}}
	}
	placed := service("placed", "http")
	placed.Address = "${node.unique.name}.example"
	group(spec).Services = []*api.Service{service("none", ""), service("number", "7777"), service("label", "http"), placed}
	task(spec).Services = []*api.Service{service("task", "")}
	spec.AllocatedResources.Shared.Networks = []*api.NetworkResource{{IP: "127.0.0.1"}}
	h.run(spec)
	http := spec.AllocatedResources.Shared.Ports[0].Value
	for name, want := range map[string]consulapi.AgentService{
		"group-model-none-": {Address: "127.0.0.1"}, "group-model-number-7777": {Port: 7777}, "server-task-": {},
		"group-model-label-http": {Address: "127.0.0.1", Port: http}, "group-model-placed-http": {Address: "n1.example", Port: http},
	} {
		var got *consulapi.AgentService
		h.eventually(name+" is registered", func() bool {
			services, err := h.consul.Agent().Services()
			got = services["_nomad-task-"+spec.ID+"-"+name]
			return err == nil && got != nil
		})
		if got.Address != want.Address || got.Port != want.Port || !slices.Equal(got.Tags, []string{"dc1"}) {
			t.Errorf("%s is at %q, %d with tags %q, want %q, %d", name, got.Address, got.Port, got.Tags, want.Address, want.Port)
		}
	}
}

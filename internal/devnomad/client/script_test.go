package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

// withScript gives the group a service with a script check that ends as the file "code" in the task's local folder says.
func withScript(spec *api.Allocation) *api.Allocation {
	withService(spec)
	group(spec).Services[0].Checks[0] = api.ServiceCheck{
		Name: "look", Type: "script", Command: "/bin/sh", Interval: time.Second, Timeout: time.Second,
		Args: []string{"-c", `echo "$LETTER ${LETTER} $PWD"; eval "$(cat local/code)"`},
	}
	task(spec).Env["LETTER"] = "x-${NOMAD_JOB_ID}"
	return spec
}

func TestScriptCheckIsRunInTheTasksEnvironment(t *testing.T) {
	t.Parallel()
	h := withConsul(t)
	spec := withScript(newAllocation(t, "print"))
	spec.DeploymentID = newID()
	task(spec).Templates = []*api.Template{
		{DestPath: new("secrets/x.env"), Envvars: new(true), EmbeddedTmpl: new("FROM_TEMPLATE=yes\n")},
		{DestPath: new("local/code"), EmbeddedTmpl: new("echo T=$FROM_TEMPLATE")},
	}
	h.run(spec)
	h.await(spec.ID, "healthy", healthy)
	dir := filepath.Join(h.dir, "alloc", spec.ID, "server")
	if got, want := h.check(spec).Output, fmt.Sprintf("x-m x-m %s\nT=yes\n", dir); got != want {
		t.Errorf("the output is %q, want %q", got, want)
	}
	for code, want := range map[string]string{"exit 1": "warning", "exit 2": "critical", "sleep 60": "critical", "": "passing"} {
		if err := os.WriteFile(filepath.Join(dir, "local/code"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		h.eventually(code+" is "+want, func() bool {
			c := h.check(spec)
			return c.Status == want && strings.Contains(c.Output, "timeout of 1s") == (code == "sleep 60")
		})
	}
	h.Stop(spec.ID)
	h.awaitStatus(spec.ID, api.AllocClientStatusComplete)
	if h.service(spec.ID) != nil {
		t.Error("the service is still there")
	}
}

// check returns the one check of an allocation in Consul's agent, an empty one if there is none.
func (h *harness) check(spec *api.Allocation) consulapi.AgentCheck {
	h.t.Helper()
	checks, err := h.consul.Agent().Checks()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range checks {
		if strings.Contains(c.ServiceID, spec.ID) {
			return *c
		}
	}
	return consulapi.AgentCheck{}
}

func TestScriptInAGroupOfSeveralTasksSaysWhere(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	spec := withScript(newAllocation(t, "print"))
	other := *task(spec)
	other.Name = "side"
	group(spec).Tasks = append(group(spec).Tasks, &other)
	h.run(spec)
	u := h.awaitStatus(spec.ID, api.AllocClientStatusFailed)
	want := `Setup Failure: service "m": check "look": a script in a group of several tasks needs task = "<name>", ` +
		"to say where it runs"
	if texts := eventTexts(u, "side"); texts[len(texts)-1] != want {
		t.Errorf("ended: %s", describe(u))
	}
}

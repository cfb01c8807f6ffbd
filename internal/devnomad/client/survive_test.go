package client_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad/client"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/proc"
)

// runAgent runs the allocation given by ALLOC until it is killed.
func runAgent() {
	c, err := client.New(client.Config{DataDir: os.Getenv("DATA"), ConsulAddr: os.Getenv("CONSUL"), NodeName: "n1"})
	if err != nil {
		panic(err)
	}
	var spec api.Allocation
	if err := json.Unmarshal([]byte(os.Getenv("ALLOC")), &spec); err != nil {
		panic(err)
	}
	if err := c.Run(&spec); err != nil {
		panic(err)
	}
	for u := range c.Updates() {
		fmt.Println(u.ClientStatus)
	}
}

func TestTasksAndServicesOutliveAKilledAgent(t *testing.T) {
	t.Parallel()
	server := partstest.Consul(t)
	h := newHarness(t, server.Addr) // the agent that comes after
	h.consul, _ = server.Client()
	spec := withService(newAllocation(t, "serve"))
	agent := killableAgent(t, h, server.Addr, spec)
	h.eventually("the check passes", func() bool {
		s := h.service(spec.ID)
		if s == nil {
			return false
		}
		status, _, err := h.consul.Agent().AgentHealthServiceByID(s.ID)
		return err == nil && status == "passing"
	})
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait()
	left, err := client.Leftovers(h.dir)
	if err != nil || len(left) != 1 || !left[0].Alive() {
		t.Fatalf("leftovers are %v, %v, want the task", left, err)
	}
	h.CompareWithConsul(t.Context()) // must not do anything here
	if h.service(spec.ID) == nil {
		t.Error("the service of a task that lives is gone")
	}
	if err := left[0].Kill(t.Context(), syscall.SIGINT, time.Second); err != nil {
		t.Fatal(err)
	}
	h.eventually("the service of the dead task is gone", func() bool { return h.service(spec.ID) == nil })
}

// killableAgent starts a client in a process of its own and returns when its task runs.
func killableAgent(t *testing.T, h *harness, consulAddr string, spec *api.Allocation) *exec.Cmd {
	t.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TASK=agent", "DATA="+h.dir, "CONSUL="+consulAddr, "ALLOC="+string(data))
	cmd.Stderr = t.Output()
	proc.Tie(cmd)
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, err := client.Leftovers(h.dir)
		for _, p := range left {
			_ = p.Kill(t.Context(), syscall.SIGKILL, time.Second)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err != nil {
			t.Error(err)
		}
	})
	h.eventually("the task runs", func() bool {
		left, err := client.Leftovers(h.dir)
		return err == nil && len(left) == 1
	})
	return cmd
}

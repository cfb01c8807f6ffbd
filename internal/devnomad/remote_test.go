package devnomad

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/parts/partstest"
)

func startNode(t *testing.T, cfg NodeConfig) (stop func()) {
	t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	cfg.TieTasks = true
	return background(t, func(ctx context.Context) error { return RunNode(ctx, cfg) })
}

func (l live) awaitNode(name, status string) *api.NodeListStub {
	l.t.Helper()
	return await(l.t, name+" "+status, func() (*api.NodeListStub, error) {
		nodes, _, err := l.api.Nodes().List(nil)
		for _, n := range nodes {
			if n.Name == name {
				return n, err
			}
		}
		return nil, err
	}, func(n *api.NodeListStub) bool { return n != nil && n.Status == status })
}

func TestNodesOnOtherAddressesRunAndRegisterThere(t *testing.T) {
	t.Parallel()
	consul := partstest.Consul(t)
	l, _ := startAgent(t, Config{DataDir: t.TempDir(), Clients: -1, Token: ""})
	addr := strings.TrimPrefix(l.api.Address(), "http://")
	for i, name := range []string{"n1", "n2"} {
		startNode(t, NodeConfig{
			Server: addr, Name: name, Address: fmt.Sprintf("127.0.0.%d", i+2), ConsulAddr: consul.Addr, DataDir: t.TempDir(),
		})
		l.awaitNode(name, "ready")
	}
	l.register(liveJob("1", 2, 0, true))
	l.awaitSuccess(0)
	seen := map[string]bool{}
	for _, a := range l.running() {
		p := a.AllocatedResources.Shared.Ports[0]
		seen[p.HostIP] = true
		if pid := get(t, fmt.Sprintf("http://%s:%d/", p.HostIP, p.Value)); pid == "" {
			t.Errorf("%s on %s does not answer", a.ID, a.NodeName)
		}
		logs, fails := l.api.AllocFS().Logs(a, false, "t", "stdout", "start", 0, nil, nil)
		select {
		case frame := <-logs:
			if frame == nil || string(frame.Data) != "version 1\n" {
				t.Errorf("logs: %v", frame)
			}
		case err := <-fails:
			t.Error(err)
		}
		if err := l.api.Allocations().Signal(a, nil, "t", "SIGHUP"); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 2 || !seen["127.0.0.2"] || !seen["127.0.0.3"] {
		t.Errorf("addresses are %v", seen)
	}
	c, err := consul.Client()
	if err != nil {
		t.Fatal(err)
	}
	services := await(t, "two passing services", func() ([]*capi.ServiceEntry, error) {
		found, _, err := c.Health().Service("live", "live", true, nil)
		return found, err
	}, func(found []*capi.ServiceEntry) bool { return len(found) == 2 })
	for _, s := range services {
		if !seen[s.Service.Address] {
			t.Errorf("a service has the address %s", s.Service.Address)
		}
	}
}

// TestPartitionedNodeKeepsItsTasks cuts a node off: the server gives it up and replaces its allocation elsewhere; its
// task runs on until the node is back and hears of that.
func TestPartitionedNodeKeepsItsTasks(t *testing.T) {
	t.Parallel()
	const ttl = 500 * time.Millisecond
	l, _ := startAgent(t, Config{DataDir: t.TempDir(), Clients: -1, HeartbeatTTL: ttl})
	addr := strings.TrimPrefix(l.api.Address(), "http://")
	cut, mend := cable(t, addr)
	startNode(t, NodeConfig{Server: cut.addr, Name: "n1", DataDir: t.TempDir(), HeartbeatTTL: ttl})
	l.awaitNode("n1", "ready")
	l.register(liveJob("1", 1, 0, false))
	l.awaitSuccess(0)
	first := l.running()[0]
	url := fmt.Sprintf("http://127.0.0.1:%d/", first.AllocatedResources.Shared.Ports[0].Value)
	pid := get(t, url)

	startNode(t, NodeConfig{Server: addr, Name: "n2", DataDir: t.TempDir(), HeartbeatTTL: ttl})
	l.awaitNode("n2", "ready")
	cut.off()
	l.awaitNode("n1", "down")
	if got := get(t, url); got != pid {
		t.Errorf("the cut-off task is %q, was %q", got, pid)
	}
	running := func() ([]*api.Allocation, error) { return l.running(), nil }
	await(t, "replacement", running, func(now []*api.Allocation) bool { return len(now) == 1 && now[0].NodeName == "n2" })
	lost, _, err := l.api.Allocations().Info(first.ID, nil)
	if err != nil || lost.ClientStatus != "lost" || lost.DesiredDescription != stopLost {
		t.Errorf("the old one is %s %q, %v", lost.ClientStatus, lost.DesiredDescription, err)
	}
	mend()
	l.awaitNode("n1", "ready")
	await(t, "end of the old task", func() (*api.Allocation, error) {
		a, _, err := l.api.Allocations().Info(first.ID, nil)
		return a, err
	}, func(a *api.Allocation) bool { return a.ClientStatus == "complete" })
}

// wire is a way to a server that can be cut.
type wire struct {
	addr string
	off  func()
}

// cable is a proxy to a server that can be cut and mended.
func cable(t *testing.T, to string) (w wire, mend func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	var server *http.Server
	start := func(l net.Listener) {
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
		proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		transport := &http.Transport{}
		proxy.Transport = transport
		server = &http.Server{Handler: proxy, ReadHeaderTimeout: time.Second}
		server.RegisterOnShutdown(transport.CloseIdleConnections)
		go func(s *http.Server) { _ = s.Serve(l) }(server)
	}
	start(listener)
	t.Cleanup(func() { _ = server.Close() })
	return wire{addr, func() { _ = server.Close() }}, func() {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		start(l)
	}
}

// TestServerRestartLeavesRemoteTasksAlone restarts a server, and after that kills and restarts its node: the task runs
// on throughout, and the job can go on to its next version.
func TestServerRestartLeavesRemoteTasksAlone(t *testing.T) {
	t.Parallel()
	dir, nodeDir := t.TempDir(), t.TempDir()
	killTasks(t, nodeDir)
	cfg := Config{DataDir: dir, Clients: -1, Addr: fmt.Sprintf("127.0.0.1:%d", partstest.Port(t))}
	l, stop := startAgent(t, cfg)
	node := startNodeProcess(t, cfg.Addr, nodeDir)
	l.awaitNode("n1", "ready")
	l.register(liveJob("1", 1, 0, false))
	l.awaitSuccess(0)
	before := l.pids()

	stop()
	l, _ = startAgent(t, cfg)
	l.awaitNode("n1", "ready")
	if now := l.pids(); !maps.Equal(now, before) {
		t.Errorf("after the server's restart %v, was %v", now, before)
	}
	node(syscall.SIGKILL)
	node = startNodeProcess(t, cfg.Addr, nodeDir)
	l.register(liveJob("2", 1, 1, false)) // a canary comes when the node pulls
	l.awaitDeployment("canary", func(d *api.Deployment) bool { return d.JobVersion == 1 && d.TaskGroups["g"].HealthyAllocs == 1 })
	now := l.pids()
	for id, pid := range before {
		if now[id] != pid {
			t.Errorf("after the node's restart %v, was %v", now, before)
		}
	}
	if len(now) != 2 {
		t.Errorf("%d allocations run", len(now))
	}
	node(syscall.SIGINT)
}

// startNodeProcess runs a node as a process of its own.
func startNodeProcess(t *testing.T, server, dir string) (end func(syscall.Signal)) {
	return runProgram(t, "node", "SERVER="+server, "DATA="+dir)
}

//go:build linux

// Package multihost tests Weir on several machines, which package hosts makes: three Consul servers, a Nomad server with
// three nodes, two ingresses, two deployers, and a host from which the load comes. It needs root and iproute2.
package multihost

import (
	"fmt"
	"os"
	"testing"

	"github.com/weirhq/weir/test/hosts"
)

type host = hosts.Host

// The hosts. The load and the tests themselves run on ops.
var (
	nomadHost   = host{Name: "nomad", Addr: "10.77.0.1"}
	consulHosts = []host{{Name: "c1", Addr: "10.77.0.11"}, {Name: "c2", Addr: "10.77.0.12"}, {Name: "c3", Addr: "10.77.0.13"}}
	nodes       = []host{{Name: "n1", Addr: "10.77.0.21"}, {Name: "n2", Addr: "10.77.0.22"}, {Name: "n3", Addr: "10.77.0.23"}}
	ingresses   = []host{{Name: "i1", Addr: "10.77.0.31"}, {Name: "i2", Addr: "10.77.0.32"}}
	deployers   = []host{{Name: "d1", Addr: "10.77.0.41"}, {Name: "d2", Addr: "10.77.0.42"}}
	ops         = host{Name: "ops", Addr: "10.77.0.51"}
)

// members are the hosts with a Consul client agent.
func members() []host {
	var out []host
	for _, group := range [][]host{nodes, ingresses, deployers, {ops}} {
		out = append(out, group...)
	}
	return out
}

func allHosts() []host {
	return append(append([]host{nomadHost}, consulHosts...), members()...)
}

// unable says why the tests are skipped; "" where they run.
var unable string

func TestMain(m *testing.M) {
	hosts.Suite{
		Name: "multihost", Ops: ops, Hosts: allHosts()[:len(allHosts())-1],
		Build:  func(n hosts.Network) error { return n.Build("deployer", "../../deployer") },
		Unable: func(m *testing.M, why string) int { unable = why; return m.Run() },
		Run:    runOnOps,
	}.Main(m)
}

// runOnOps runs the tests, on host ops, and ends in good order what they started.
func runOnOps(m *testing.M, n hosts.Network) int {
	site = &cluster{net: n}
	code := m.Run()
	if err := site.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "multihost: stop the cluster:", err)
		return max(code, 1)
	}
	return code
}

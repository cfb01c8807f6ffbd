package devnomad

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/hashicorp/nomad/api"
)

// Dynamic ports are taken from this range, as Nomad does by default.
const minDynamicPort, maxDynamicPort = 20000, 32000

// assign gives a group's allocation its resources, and ports on the address of its node.
func (tx *txn) assign(group *api.TaskGroup, ip string) (*api.AllocatedResources, error) {
	out := resourcesOf(group)
	used := tx.portsOn(ip)
	for _, n := range group.Networks {
		network := *n
		network.IP = ip
		var err error
		if network.ReservedPorts, err = reserve(n.ReservedPorts, used); err != nil {
			return nil, err
		}
		if network.DynamicPorts, err = pickPorts(n.DynamicPorts, used); err != nil {
			return nil, err
		}
		out.Shared.Networks = append(out.Shared.Networks, &network)
		for _, p := range slices.Concat(network.ReservedPorts, network.DynamicPorts) {
			out.Shared.Ports = append(out.Shared.Ports, api.PortMapping{Label: p.Label, Value: p.Value, To: p.To, HostIP: network.IP})
		}
	}
	return out, nil
}

// heldPorts are the ports that an allocation keeps from others: those of one whose tasks may still run. One that is
// stopping frees its static ports for its successor, which starts only after it has ended.
func heldPorts(a *api.Allocation) []address {
	if clientTerminal(a) || a.AllocatedResources == nil {
		return nil
	}
	var held []address
	for _, p := range a.AllocatedResources.Shared.Ports {
		if dynamic := p.Value >= minDynamicPort && p.Value < maxDynamicPort; dynamic || !serverTerminal(a) {
			held = append(held, address{p.HostIP, p.Value})
		}
	}
	return held
}

// portSet is the ports of an address, with those that are being given out now.
type portSet struct {
	ip    string
	held  map[address]int
	taken map[int]bool
}

func (s *store) portsOn(ip string) *portSet {
	return &portSet{ip: ip, held: s.ports, taken: map[int]bool{}}
}

// take gives a port out, unless somebody has it.
func (p *portSet) take(port int) bool {
	if p.taken[port] || p.held[address{p.ip, port}] > 0 {
		return false
	}
	p.taken[port] = true
	return true
}

func reserve(wanted []api.Port, used *portSet) ([]api.Port, error) {
	for _, p := range wanted {
		if !used.take(p.Value) {
			return nil, fmt.Errorf("network: reserved port collision %s=%d", p.Label, p.Value)
		}
	}
	return wanted, nil
}

// pickPorts takes random ports that nobody listens on.
func pickPorts(wanted []api.Port, used *portSet) ([]api.Port, error) {
	var out []api.Port
	for _, p := range wanted {
		for attempt := 0; p.Value == 0; attempt++ {
			if attempt > 1000 {
				return nil, fmt.Errorf("network: dynamic port selection failed for %s", p.Label)
			}
			if port := minDynamicPort + rand.IntN(maxDynamicPort-minDynamicPort); isFree(used.ip, port) && used.take(port) {
				p.Value = port
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// isFree reports whether nobody listens on a port, as far as can be seen from here: of other machines' ports nothing.
func isFree(ip string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port))) //nolint:noctx // closed at once
	if err != nil {
		return errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	return l.Close() == nil
}

package devnomad

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/nomad/api"
)

// Dynamic ports are taken from this range, as Nomad does by default.
const minDynamicPort, maxDynamicPort = 20000, 32000

// assign gives a group's allocation its resources and ports on the loopback address.
func (tx *txn) assign(group *api.TaskGroup) (*api.AllocatedResources, error) {
	out := &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{}}
	for _, t := range group.Tasks {
		res := &api.AllocatedTaskResources{}
		if r := t.Resources; r != nil {
			res.Cpu.CpuShares = int64(val(r.CPU))
			res.Memory = api.AllocatedMemoryResources{MemoryMB: int64(val(r.MemoryMB)), MemoryMaxMB: int64(val(r.MemoryMaxMB))}
		}
		out.Tasks[t.Name] = res
	}
	if group.EphemeralDisk != nil {
		out.Shared.DiskMB = int64(val(group.EphemeralDisk.SizeMB))
	}
	used := tx.usedPorts()
	for _, n := range group.Networks {
		network := *n
		network.IP = "127.0.0.1"
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

// usedPorts are the ports of allocations whose tasks may still run. One that is stopping frees its static ports for its
// successor, which starts only after it has ended.
func (tx *txn) usedPorts() map[int]bool {
	used := map[int]bool{}
	for _, a := range tx.allocs {
		if clientTerminal(a) || a.AllocatedResources == nil {
			continue
		}
		for _, p := range a.AllocatedResources.Shared.Ports {
			if dynamic := p.Value >= minDynamicPort && p.Value < maxDynamicPort; dynamic || !serverTerminal(a) {
				used[p.Value] = true
			}
		}
	}
	return used
}

func reserve(wanted []api.Port, used map[int]bool) ([]api.Port, error) {
	for _, p := range wanted {
		if used[p.Value] {
			return nil, fmt.Errorf("network: reserved port collision %s=%d", p.Label, p.Value)
		}
		used[p.Value] = true
	}
	return wanted, nil
}

// pickPorts takes random ports that nobody listens on.
func pickPorts(wanted []api.Port, used map[int]bool) ([]api.Port, error) {
	var out []api.Port
	for _, p := range wanted {
		for attempt := 0; p.Value == 0; attempt++ {
			if attempt > 1000 {
				return nil, fmt.Errorf("network: dynamic port selection failed for %s", p.Label)
			}
			if port := minDynamicPort + rand.IntN(maxDynamicPort-minDynamicPort); !used[port] && isFree(port) {
				p.Value, used[port] = port, true
			}
		}
		out = append(out, p)
	}
	return out, nil
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // closed at once
	if err != nil {
		return false
	}
	return l.Close() == nil
}

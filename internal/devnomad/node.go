package devnomad

import (
	"runtime"
	"time"

	"github.com/hashicorp/nomad/api"
)

// version is the Nomad version whose behaviour this agent has.
const version = "1.6.5"

func newNode(name, httpAddr string) *api.Node {
	attributes := map[string]string{
		"cpu.arch": runtime.GOARCH, "driver.raw_exec": "1", "kernel.name": runtime.GOOS, "nomad.version": version,
		"nomad.advertise.address": httpAddr, "unique.hostname": name, "unique.network.ip-address": "127.0.0.1",
		"nomad.service_discovery": "false", "weir.devnomad": "1",
	}
	driver := &api.DriverInfo{
		Attributes: map[string]string{"driver.raw_exec": "true"}, Detected: true, Healthy: true,
		HealthDescription: "Healthy", UpdateTime: time.Now().UTC(),
	}
	return &api.Node{
		ID: newID(), Datacenter: "dc1", Name: name, HTTPAddr: httpAddr, Attributes: attributes, NodePool: "default",
		SchedulingEligibility: api.NodeSchedulingEligible, Status: api.NodeStatusReady, StatusUpdatedAt: time.Now().Unix(),
		Drivers: map[string]*api.DriverInfo{"raw_exec": driver}, Links: map[string]string{}, Meta: map[string]string{},
		CSIControllerPlugins: map[string]*api.CSIInfo{}, CSINodePlugins: map[string]*api.CSIInfo{},
		CgroupParent: "/nomad", NodeResources: nodeResources(), ReservedResources: &api.NodeReservedResources{},
		Resources: &api.Resources{CPU: new(1000 * runtime.NumCPU()), MemoryMB: new(8192), DiskMB: new(10240)},
		Reserved:  &api.Resources{CPU: new(0), MemoryMB: new(0), DiskMB: new(0)},
		Events: []*api.NodeEvent{{
			Message: "Node registered", Subsystem: api.NodeEventSubsystemCluster, Timestamp: time.Now().UTC(),
		}},
	}
}

func nodeResources() *api.NodeResources {
	r := &api.NodeResources{
		MinDynamicPort: minDynamicPort, MaxDynamicPort: maxDynamicPort,
		Networks: []*api.NetworkResource{{Mode: "host", Device: "lo", CIDR: "127.0.0.1/32", IP: "127.0.0.1"}},
	}
	r.Cpu.CpuShares, r.Cpu.TotalCpuCores = int64(1000*runtime.NumCPU()), uint16(runtime.NumCPU()) //nolint:gosec // small
	r.Memory.MemoryMB, r.Disk.DiskMB = 8192, 10240
	return r
}

func (tx *txn) putNode(n *api.Node) {
	if n.CreateIndex == 0 {
		n.CreateIndex = tx.index
	}
	n.ModifyIndex = tx.index
	tx.node = n
	tx.touch("nodes")
	tx.emit("Node", n.ID, nil, func() any { return n })
}

// setEligibility says whether the node takes new allocations; when it does again, what has waited is placed.
func (tx *txn) setEligibility(eligibility string) {
	n := *tx.node
	n.SchedulingEligibility = eligibility
	tx.putNode(&n)
	if eligibility == api.NodeSchedulingEligible {
		tx.unblock()
	}
}

// drain makes all allocations leave the node, or ends that. There is no other node: what leaves waits to be placed.
func (tx *txn) drain(spec *api.DrainSpec, markEligible bool) []string {
	n := *tx.node
	n.Drain, n.DrainStrategy = false, nil
	n.SchedulingEligibility = api.NodeSchedulingIneligible
	if spec == nil && markEligible {
		n.SchedulingEligibility = api.NodeSchedulingEligible
	}
	n.LastDrain = &api.DrainMetadata{StartedAt: tx.now.UTC(), UpdatedAt: tx.now.UTC(), Status: api.DrainStatusComplete}
	tx.putNode(&n)
	if spec == nil {
		if markEligible {
			tx.unblock()
		}
		return nil
	}
	return tx.migrateAll(spec.IgnoreSystemJobs)
}

func (tx *txn) migrateAll(ignoreSystem bool) []string {
	jobs := map[string]bool{}
	for _, alloc := range tx.allocs {
		if terminal(alloc) || ignoreSystem && val(alloc.Job.Type) == api.JobTypeSystem {
			continue
		}
		a := *alloc
		a.DesiredTransition.Migrate = new(true)
		tx.putAlloc(&a)
		jobs[a.JobID] = true
	}
	return tx.evaluateAll(jobs, byDrain)
}

func (tx *txn) evaluateAll(jobs map[string]bool, reason string) []string {
	ids := []string{}
	for id := range jobs {
		if job := tx.jobs[id]; job != nil {
			e := newEval(job, reason, "pending")
			e.NodeID = tx.node.ID
			tx.putEval(e)
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// unblock has everything placed that has found no place so far.
func (tx *txn) unblock() {
	for _, blocked := range tx.evals {
		if blocked.Status == "blocked" {
			e := *blocked
			e.Status = "pending"
			tx.putEval(&e)
		}
	}
}

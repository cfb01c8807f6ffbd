package devnomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sys/unix"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// computedClass is the class of all nodes, which differ in nothing but their names.
const computedClass = "v1:devnomad"

// version is the Nomad version whose behaviour this agent has.
const version = "1.6.5"

// loopback is where the tasks of a node are, unless it says otherwise.
const loopback = "127.0.0.1"

// newNode describes a node: its name, where its own HTTP API is, and the address that its tasks' ports have.
func newNode(name, httpAddr, address string) *api.Node {
	attributes := map[string]string{
		"cpu.arch": runtime.GOARCH, "driver.raw_exec": "1", "kernel.name": runtime.GOOS, "nomad.version": version,
		"nomad.advertise.address": httpAddr, "unique.hostname": name, "unique.network.ip-address": address,
		"nomad.service_discovery": "false", "weir.devnomad": "1",
	}
	drivers := map[string]*api.DriverInfo{"raw_exec": newDriver(map[string]string{"driver.raw_exec": "true"})}
	if docker, err := client.DockerVersion(context.Background()); err == nil {
		attributes["driver.docker"], attributes["driver.docker.version"] = "1", docker
		drivers["docker"] = newDriver(map[string]string{"driver.docker": "true", "driver.docker.version": docker})
	}
	resources := nodeResources(address)
	return &api.Node{
		ID: newID(), Datacenter: "dc1", Name: name, HTTPAddr: httpAddr, Attributes: attributes, NodePool: "default",
		SchedulingEligibility: api.NodeSchedulingEligible, Status: api.NodeStatusReady, StatusUpdatedAt: time.Now().Unix(),
		Drivers: drivers, Links: map[string]string{}, Meta: map[string]string{},
		CSIControllerPlugins: map[string]*api.CSIInfo{}, CSINodePlugins: map[string]*api.CSIInfo{},
		CgroupParent: "/nomad", NodeResources: resources, ReservedResources: &api.NodeReservedResources{},
		Resources: &api.Resources{
			CPU: new(int(resources.Cpu.CpuShares)), MemoryMB: new(int(resources.Memory.MemoryMB)), DiskMB: new(int(resources.Disk.DiskMB)),
		},
		Reserved: &api.Resources{CPU: new(0), MemoryMB: new(0), DiskMB: new(0)},
		Events: []*api.NodeEvent{{
			Message: "Node registered", Subsystem: api.NodeEventSubsystemCluster, Timestamp: time.Now().UTC(),
		}},
	}
}

func newDriver(attributes map[string]string) *api.DriverInfo {
	return &api.DriverInfo{
		Attributes: attributes, Detected: true, Healthy: true, HealthDescription: "Healthy", UpdateTime: time.Now().UTC(),
	}
}

func nodeResources(address string) *api.NodeResources {
	device := "eth0"
	if address == loopback {
		device = "lo"
	}
	r := &api.NodeResources{
		MinDynamicPort: minDynamicPort, MaxDynamicPort: maxDynamicPort,
		Networks: []*api.NetworkResource{{Mode: "host", Device: device, CIDR: address + "/32", IP: address}},
	}
	r.Cpu.CpuShares, r.Cpu.TotalCpuCores = cpuMHz(), uint16(runtime.NumCPU())             //nolint:gosec // small
	r.Memory.MemoryMB, r.Disk.DiskMB = cmp.Or(int64(hostMemory().Total>>20), 8192), 10240 //nolint:gosec // small
	return r
}

// offerDisk has a node offer what is free where its data folder is.
func offerDisk(n *api.Node, dataDir string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dataDir, &fs); err != nil {
		return // it offers what newNode has set
	}
	free := int64(fs.Bavail) * int64(fs.Bsize) >> 20 //nolint:gosec,unconvert // other systems have other types
	n.NodeResources.Disk.DiskMB, n.Resources.DiskMB = free, new(int(free))
}

// keepID gives a node the ID that a data folder's node has had before.
func keepID(n *api.Node, dataDir string) error {
	path := filepath.Join(dataDir, "client-id")
	kept, err := os.ReadFile(path)
	switch id := strings.TrimSpace(string(kept)); {
	case err == nil && len(id) == len(n.ID):
		n.ID = id
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the node's ID: %w", err)
	}
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := os.WriteFile(path, []byte(n.ID), 0o600); err != nil {
		return fmt.Errorf("keep the node's ID: %w", err)
	}
	return nil
}

func compareNodes(a, b *api.Node) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
}

// addressOf is where the tasks of a node are.
func addressOf(n *api.Node) string {
	return cmp.Or(n.Attributes["unique.network.ip-address"], loopback)
}

func (tx *txn) putNode(n *api.Node) {
	if n.CreateIndex == 0 {
		n.CreateIndex = tx.index
	}
	n.ModifyIndex = tx.index
	tx.setNode(n)
	tx.touch("nodes")
	tx.emit("Node", n.ID, nil, func() any { return n })
}

// maxNodeEvents is how many events a node keeps, as in Nomad.
const maxNodeEvents = 10

// note adds to the events of a node, which must be a copy.
func (tx *txn) note(n *api.Node, subsystem, message string) {
	n.Events = append(slices.Clone(n.Events), &api.NodeEvent{
		Message: message, Subsystem: subsystem, Timestamp: tx.now.UTC(), CreateIndex: tx.index,
	})
	n.Events = n.Events[max(0, len(n.Events)-maxNodeEvents):]
}

const heartbeatMissed = "Node heartbeat missed"

// missedHeartbeat is the index of the last time that a node went down, if that is among its events.
func missedHeartbeat(n *api.Node) uint64 {
	for _, e := range slices.Backward(n.Events) {
		if e.Message == heartbeatMissed {
			return e.CreateIndex
		}
	}
	return 0
}

// nodeDown gives a node up: the scheduler replaces its allocations, which are lost. Their services have been registered
// until now, though the checks of Consul may have failed long before.
func (tx *txn) nodeDown(id string) {
	n := *tx.nodes[id]
	n.Status, n.StatusUpdatedAt = api.NodeStatusDown, tx.now.Unix()
	tx.note(&n, "Cluster", heartbeatMissed)
	tx.putNode(&n)
	tx.evaluateNode(&n, byNode)
}

// nodeReady takes a node in, or back: what waits for a place may be placed on it.
func (tx *txn) nodeReady(n *api.Node) {
	n.Status, n.StatusUpdatedAt = api.NodeStatusReady, tx.now.Unix()
	tx.putNode(n)
	tx.evaluateNode(n, byNode)
	tx.unblock()
}

// setEligibility says whether a node takes new allocations; when it does again, what has waited is placed.
func (tx *txn) setEligibility(before *api.Node, eligibility string) []string {
	n := *before
	if n.SchedulingEligibility == eligibility {
		return nil
	}
	n.SchedulingEligibility = eligibility
	tx.note(&n, "Cluster", "Node marked as "+strings.Replace(eligibility, "eligible", "eligible for scheduling", 1))
	tx.putNode(&n)
	if eligibility != api.NodeSchedulingEligible {
		return nil
	}
	tx.unblock()
	return tx.evaluateNode(&n, byNode)
}

// evaluateNode evaluates the jobs that have allocations on a node, and all system jobs.
func (tx *txn) evaluateNode(n *api.Node, reason string) []string {
	jobs := tx.jobsOn(n.ID)
	for id, job := range tx.jobs {
		if isSystem(job) && !val(job.Stop) {
			jobs[id] = true
		}
	}
	return tx.evaluateAll(jobs, reason, n.ID)
}

func (tx *txn) evaluateAll(jobs map[string]bool, reason, nodeID string) []string {
	ids := []string{}
	for _, id := range union(jobs, nil) {
		if job := tx.jobs[id]; job != nil {
			e := newEval(job, reason, "pending")
			e.NodeID = nodeID
			tx.putEval(e)
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// unblock has everything tried again that has found no place so far. As in Nomad nobody sees that but by the result.
func (tx *txn) unblock() {
	for _, blocked := range values(tx.evalsIn["blocked"], compareEvals) {
		e := *blocked
		e.due = true
		tx.setEval(&e)
	}
}

func isSystem(job *api.Job) bool {
	return val(job.Type) == api.JobTypeSystem || val(job.Type) == api.JobTypeSysbatch
}

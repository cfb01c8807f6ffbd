package devnomad

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The documents of Nomad 1.6 have fields that the API types have not, or not always. The functions here add them.

// toMap turns a value into its JSON object.
func toMap(v any) map[string]any {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("marshal %T: %v", v, err)) // API types always marshal
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		panic(fmt.Sprintf("unmarshal %T: %v", v, err))
	}
	return m
}

// normal is a value as JSON has it, without what is null or empty.
func normal(v any) any {
	body, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if err := json.Unmarshal(body, &out); err != nil {
		return v
	}
	return prune(out)
}

func prune(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k, child := range x {
			if x[k] = prune(child); x[k] == nil {
				delete(x, k)
			}
		}
		if len(x) == 0 {
			return nil
		}
	case []any:
		for i := range x {
			x[i] = prune(x[i])
		}
		if len(x) == 0 {
			return nil
		}
	}
	return v
}

// fill sets the keys that are missing or null.
func fill(m map[string]any, defaults map[string]any) {
	for k, v := range defaults {
		if m[k] == nil {
			m[k] = v
		}
	}
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// jobDoc is the document of a job.
func jobDoc(job *api.Job) any {
	if job == nil {
		return nil
	}
	m := toMap(job)
	fill(m, map[string]any{"DispatchIdempotencyToken": "", "ConsulToken": "", "VaultToken": "", "NomadTokenID": ""})
	for _, g := range objects(m["TaskGroups"]) {
		fill(g, map[string]any{"Consul": map[string]any{"Namespace": ""}})
		fillServices(g["Services"])
		for _, t := range objects(g["Tasks"]) {
			if _, has := t["CSIPluginConfig"]; !has {
				t["CSIPluginConfig"] = nil
			}
			fillServices(t["Services"])
			if logs, ok := t["LogConfig"].(map[string]any); ok {
				fill(logs, map[string]any{"Disabled": false})
			}
			if res, ok := t["Resources"].(map[string]any); ok {
				fill(res, map[string]any{"DiskMB": 0, "IOPS": 0, "MemoryMaxMB": 0, "Cores": 0})
			}
		}
		fillNetworks(g["Networks"])
	}
	return m
}

func fillServices(v any) {
	for _, s := range objects(v) {
		fill(s, map[string]any{"Namespace": api.DefaultNamespace})
	}
}

func fillNetworks(v any) {
	for _, n := range objects(v) {
		fill(n, map[string]any{"MBits": 0})
		for _, key := range []string{"DynamicPorts", "ReservedPorts"} {
			for _, p := range objects(n[key]) {
				if p["HostNetwork"] == "" {
					p["HostNetwork"] = "default"
				}
			}
		}
	}
}

// taskState is a task's state with null for times that have not come.
type taskState struct {
	*api.TaskState
	LastRestart *time.Time
	StartedAt   *time.Time
	FinishedAt  *time.Time
	TaskHandle  any
}

func taskStates(states map[string]*api.TaskState) map[string]taskState {
	out := map[string]taskState{}
	for name, s := range states {
		out[name] = taskState{
			TaskState: s, LastRestart: orNil(s.LastRestart), StartedAt: orNil(s.StartedAt), FinishedAt: orNil(s.FinishedAt),
		}
	}
	return out
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// allocDoc is the document of an allocation, with its job or without.
func allocDoc(a *api.Allocation, withJob bool) any {
	doc := *a
	doc.Job = nil
	m := toMap(doc)
	if withJob {
		m["Job"] = jobDoc(a.Job)
	}
	m["TaskStates"] = taskStates(a.TaskStates)
	m["SigningKeyID"] = ""
	m["NetworkStatus"] = &api.AllocNetworkStatus{}
	if a.AllocatedResources != nil {
		addOldResources(m, a)
	}
	if metrics, ok := m["Metrics"].(map[string]any); ok {
		delete(metrics, "NodePool")
	}
	return m
}

// addOldResources adds the resources in the forms that they had before AllocatedResources.
func addOldResources(m map[string]any, a *api.Allocation) {
	lifecycles := map[string]any{}
	tasks := map[string]any{}
	cpu, memory := int64(0), int64(0)
	for name, t := range a.AllocatedResources.Tasks {
		lifecycles[name] = nil
		tasks[name] = oldResources(t.Cpu.CpuShares, t.Memory.MemoryMB, 0, nil)
		cpu, memory = cpu+t.Cpu.CpuShares, memory+t.Memory.MemoryMB
	}
	if allocated, ok := m["AllocatedResources"].(map[string]any); ok {
		allocated["TaskLifecycles"] = lifecycles
		if shared, ok := allocated["Shared"].(map[string]any); ok {
			fillNetworks(shared["Networks"])
		}
	}
	shared := a.AllocatedResources.Shared
	m["TaskResources"] = tasks
	networks := toMap(shared)["Networks"]
	fillNetworks(networks)
	m["SharedResources"] = oldResources(0, 0, shared.DiskMB, networks)
	m["Resources"] = oldResources(cpu, memory, shared.DiskMB, networks)
}

func oldResources(cpu, memory, disk int64, networks any) map[string]any {
	return map[string]any{
		"CPU": cpu, "Cores": 0, "Devices": nil, "DiskMB": disk, "IOPS": 0, "MemoryMB": memory, "MemoryMaxMB": 0,
		"Networks": networks,
	}
}

// allocStub is an allocation in lists. It has no DeploymentID.
type allocStub struct {
	api.AllocationListStub
	TaskStates        map[string]taskState
	DesiredTransition api.DesiredTransition
}

func newAllocStub(a *api.Allocation) allocStub {
	return allocStub{
		AllocationListStub: api.AllocationListStub{
			ID: a.ID, EvalID: a.EvalID, Name: a.Name, Namespace: a.Namespace, NodeID: a.NodeID, NodeName: a.NodeName,
			JobID: a.JobID, JobType: val(a.Job.Type), JobVersion: jobVersion(a), TaskGroup: a.TaskGroup,
			DesiredStatus: a.DesiredStatus, DesiredDescription: a.DesiredDescription, ClientStatus: a.ClientStatus,
			ClientDescription: a.ClientDescription, DeploymentStatus: a.DeploymentStatus, FollowupEvalID: a.FollowupEvalID,
			NextAllocation: a.NextAllocation, RescheduleTracker: a.RescheduleTracker, CreateIndex: a.CreateIndex,
			ModifyIndex: a.ModifyIndex, CreateTime: a.CreateTime, ModifyTime: a.ModifyTime,
		},
		TaskStates: taskStates(a.TaskStates), DesiredTransition: a.DesiredTransition,
	}
}

func stubs(allocs []*api.Allocation) []allocStub {
	out := []allocStub{}
	for _, a := range allocs {
		out = append(out, newAllocStub(a))
	}
	return out
}

// jobStub is a job in lists.
type jobStub struct {
	api.JobListStub
	Multiregion any
	NodePool    string
}

func newJobStub(s *store, j *api.Job) jobStub {
	return jobStub{NodePool: val(j.NodePool), JobListStub: api.JobListStub{
		ID: val(j.ID), Name: val(j.Name), Namespace: val(j.Namespace), Datacenters: j.Datacenters, Type: val(j.Type),
		Priority: val(j.Priority), Stop: val(j.Stop), Status: val(j.Status), StatusDescription: val(j.StatusDescription),
		JobSummary: summary(s, j), CreateIndex: val(j.CreateIndex), ModifyIndex: val(j.ModifyIndex),
		JobModifyIndex: val(j.JobModifyIndex), SubmitTime: val(j.SubmitTime), Meta: maps.Clone(j.Meta),
	}}
}

// nodeDoc is the document of the node.
func nodeDoc(s *store, n *api.Node) any {
	m := toMap(n)
	m["LastAllocUpdateIndex"], m["LastMissedHeartbeatIndex"] = s.tables["allocs"], missedHeartbeat(n)
	m["SecretID"], m["ComputedClass"] = "", computedClass
	for _, key := range []string{"Resources", "Reserved"} {
		if res, ok := m[key].(map[string]any); ok {
			fill(res, map[string]any{"Cores": 0, "IOPS": 0, "MemoryMaxMB": 0, "Networks": []any{}})
		}
	}
	if reserved, ok := m["ReservedResources"].(map[string]any); ok {
		if cpu, ok := reserved["Cpu"].(map[string]any); ok {
			fill(cpu, map[string]any{"ReservedCpuCores": []any{}})
		}
	}
	return m
}

// nodeStub is a node in lists.
type nodeStub struct {
	api.NodeListStub
	HostVolumes map[string]*api.HostVolumeInfo
}

func newNodeStub(n *api.Node) nodeStub {
	host, _, _ := strings.Cut(n.HTTPAddr, ":")
	return nodeStub{NodeListStub: api.NodeListStub{
		Address: host, ID: n.ID, Datacenter: n.Datacenter, Name: n.Name, NodeClass: n.NodeClass, NodePool: n.NodePool,
		Version: version, Drain: n.Drain, SchedulingEligibility: n.SchedulingEligibility, Status: n.Status,
		StatusDescription: n.StatusDescription, Drivers: n.Drivers, LastDrain: n.LastDrain,
		CreateIndex: n.CreateIndex, ModifyIndex: n.ModifyIndex,
	}}
}

// summary counts a job's allocations by state.
func summary(s *store, j *api.Job) *api.JobSummary {
	out := &api.JobSummary{
		JobID: val(j.ID), Namespace: val(j.Namespace), Summary: map[string]api.TaskGroupSummary{},
		Children: &api.JobChildrenSummary{}, CreateIndex: val(j.CreateIndex), ModifyIndex: val(j.ModifyIndex),
	}
	for _, g := range j.TaskGroups {
		out.Summary[val(g.Name)] = api.TaskGroupSummary{}
	}
	for _, a := range s.jobAllocs(val(j.ID)) {
		g := out.Summary[a.TaskGroup]
		switch a.ClientStatus {
		case api.AllocClientStatusPending:
			g.Starting++
		case api.AllocClientStatusRunning:
			g.Running++
		case api.AllocClientStatusComplete:
			g.Complete++
		case api.AllocClientStatusFailed:
			g.Failed++
		case api.AllocClientStatusLost:
			g.Lost++
		}
		out.Summary[a.TaskGroup] = g
		out.ModifyIndex = max(out.ModifyIndex, a.ModifyIndex)
	}
	return out
}

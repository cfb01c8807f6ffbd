package devnomad

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// allocStats answers with zeros: the agent measures nothing.
func (a *Agent) allocStats(r *http.Request) (any, error) {
	alloc, err := a.known(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	memory, cpu := toMap(api.MemoryStats{}), toMap(api.CpuStats{})
	memory["Measured"], memory["MappedFile"], cpu["Measured"] = []string{}, 0, []string{}
	usage := map[string]any{"MemoryStats": memory, "CpuStats": cpu, "DeviceStats": []any{}}
	now, tasks := time.Now().UnixNano(), map[string]any{}
	for name := range alloc.TaskStates {
		tasks[name] = map[string]any{"ResourceUsage": usage, "Timestamp": now, "Pids": map[string]any{}}
	}
	return map[string]any{"ResourceUsage": usage, "Tasks": tasks, "Timestamp": now}, nil
}

// hostStats answers with what Linux tells of this machine's memory and uptime; processors count as idle.
func (a *Agent) hostStats(r *http.Request) (any, error) {
	if id := r.URL.Query().Get("node_id"); id != "" && !a.hasNode(id) {
		return nil, notFound("Unknown node " + id)
	}
	out := toMap(api.HostStats{Memory: hostMemory(), Uptime: uptime(), AllocDirStats: &api.HostDiskStats{}})
	cpus := []any{}
	for i := range runtime.NumCPU() {
		cpus = append(cpus, map[string]any{
			"CPU": fmt.Sprintf("cpu%d", i), "User": 0, "System": 0, "Idle": 100, "TotalPercent": 0, "TotalTicks": 0,
		})
	}
	out["CPU"], out["DiskStats"], out["Timestamp"] = cpus, []any{}, time.Now().UnixNano()
	return out, nil
}

func (a *Agent) hasNode(id string) (known bool) {
	a.store.read(func() { known = a.store.nodes[id] != nil })
	return known
}

func hostMemory() *api.HostMemoryStats {
	sizes := map[string]uint64{}
	body, _ := os.ReadFile("/proc/meminfo") // elsewhere than on Linux all is 0
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		var kib uint64
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err == nil {
			sizes[name] = kib << 10
		}
	}
	m := &api.HostMemoryStats{Total: sizes["MemTotal"], Available: sizes["MemAvailable"], Free: sizes["MemFree"]}
	m.Used = m.Total - m.Available
	return m
}

// cpuMHz is what this machine's processors make together, which is Nomad's measure of CPU.
func cpuMHz() int64 {
	total := 0.0
	body, _ := os.ReadFile("/proc/cpuinfo")
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "cpu MHz" {
			mhz, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			total += math.Floor(mhz)
		}
	}
	if total == 0 { // not on Linux, or a processor that does not tell
		return int64(1000 * runtime.NumCPU())
	}
	return int64(total)
}

func uptime() (seconds uint64) {
	body, _ := os.ReadFile("/proc/uptime")
	_, _ = fmt.Sscanf(string(body), "%d", &seconds)
	return seconds
}

// collectOnClient answers for the garbage collection of a node: folders go with their allocations here.
func collectOnClient(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

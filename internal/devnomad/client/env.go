package client

import (
	"cmp"
	"maps"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// taskEnv is the environment of a task and what ${…} may name.
type taskEnv struct {
	host map[string]string // what the task inherits from the agent
	own  map[string]string // NOMAD_… and the env block; wins over host
	node map[string]string // attr.…, node.…, meta.…
}

// secretEnv are variables of the agent that Nomad keeps from its tasks by default (client option env.denylist).
var secretEnv = []string{
	"CONSUL_TOKEN", "CONSUL_HTTP_TOKEN", "VAULT_TOKEN", "NOMAD_LICENSE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS",
}

// newEnv builds the environment of a task; task may be nil for what belongs to the group.
func newEnv(cfg Config, alloc *api.Allocation, group *api.TaskGroup, task *api.Task, dir allocDir) *taskEnv {
	e := &taskEnv{host: hostEnv(), own: map[string]string{}, node: nodeValues(cfg)}
	e.addAlloc(cfg, alloc, group, dir)
	e.addPorts(alloc)
	if task == nil {
		e.addMeta(alloc.Job.Meta, group.Meta)
		return e
	}
	e.own["NOMAD_TASK_NAME"] = task.Name
	e.own["NOMAD_TASK_DIR"] = dir.local(task.Name)
	e.own["NOMAD_SECRETS_DIR"] = dir.secrets(task.Name)
	if task.Resources != nil {
		e.own["NOMAD_CPU_LIMIT"] = strconv.Itoa(or(task.Resources.CPU, 100))
		e.own["NOMAD_MEMORY_LIMIT"] = strconv.Itoa(or(task.Resources.MemoryMB, 300))
	}
	if task.Driver == "docker" {
		e.dockerEnv(alloc)
	}
	e.addMeta(alloc.Job.Meta, group.Meta, task.Meta)
	e.addUser(task.Env)
	return e
}

// hostEnv returns what a task inherits: not the secrets, and not what belongs to a task that the agent runs in.
func hostEnv() map[string]string {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		key, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(key, "NOMAD_") && !slices.Contains(secretEnv, key) {
			env[key] = value
		}
	}
	return env
}

func nodeValues(cfg Config) map[string]string {
	host, _ := os.Hostname() // an unknown name stays empty
	node := map[string]string{
		"node.unique.id": cfg.NodeID, "node.unique.name": cfg.NodeName, "node.datacenter": cfg.Datacenter,
		"node.region": "global", "node.class": cfg.NodeClass,
		"attr.kernel.name": runtime.GOOS, "attr.cpu.arch": runtime.GOARCH, "attr.arch": runtime.GOARCH,
		"attr.unique.hostname": host, "attr.unique.network.ip-address": "127.0.0.1", "attr.driver.raw_exec": "1",
	}
	for key, value := range cfg.Attributes {
		node["attr."+key] = value
	}
	for key, value := range cfg.Meta {
		node["meta."+key] = value
	}
	return node
}

func (e *taskEnv) addAlloc(cfg Config, alloc *api.Allocation, group *api.TaskGroup, dir allocDir) {
	job := alloc.Job
	short, _, _ := strings.Cut(alloc.ID, "-")
	maps.Copy(e.own, map[string]string{
		"NOMAD_ALLOC_ID": alloc.ID, "NOMAD_SHORT_ALLOC_ID": short, "NOMAD_ALLOC_NAME": alloc.Name,
		"NOMAD_ALLOC_INDEX": allocIndex(alloc.Name), "NOMAD_ALLOC_DIR": dir.shared(),
		"NOMAD_JOB_ID": or(job.ID, alloc.JobID), "NOMAD_JOB_NAME": or(job.Name, or(job.ID, alloc.JobID)),
		"NOMAD_GROUP_NAME": or(group.Name, alloc.TaskGroup), "NOMAD_DC": cfg.Datacenter,
		"NOMAD_REGION":    cmp.Or(or(job.Region, ""), "global"),
		"NOMAD_NAMESPACE": cmp.Or(or(job.Namespace, ""), alloc.Namespace, "default"),
	})
}

// allocIndex returns the number in an allocation's name, "job.group[3]".
func allocIndex(name string) string {
	open := strings.LastIndexByte(name, '[')
	if open < 0 || !strings.HasSuffix(name, "]") {
		return "0"
	}
	return name[open+1 : len(name)-1]
}

func (e *taskEnv) addPorts(alloc *api.Allocation) {
	for _, port := range ports(alloc) {
		label, value := envName(port.Label), strconv.Itoa(port.Value)
		addr := net.JoinHostPort(port.HostIP, value)
		maps.Copy(e.own, map[string]string{
			"NOMAD_IP_" + label: port.HostIP, "NOMAD_PORT_" + label: value, "NOMAD_ADDR_" + label: addr,
			"NOMAD_HOST_IP_" + label: port.HostIP, "NOMAD_HOST_PORT_" + label: value, "NOMAD_HOST_ADDR_" + label: addr,
			"NOMAD_ALLOC_PORT_" + label: value,
		})
	}
}

// ports returns the ports that the server gave to the allocation.
func ports(alloc *api.Allocation) []api.PortMapping {
	if alloc.AllocatedResources == nil {
		return nil
	}
	return alloc.AllocatedResources.Shared.Ports
}

// addMeta adds meta blocks, of which the later win. Their values may name what is there already, but not one another.
func (e *taskEnv) addMeta(blocks ...map[string]string) {
	expanded := map[string]string{}
	for _, meta := range blocks {
		for key, value := range meta {
			value = e.expand(value)
			expanded["NOMAD_META_"+envName(key)] = value
			expanded["NOMAD_META_"+strings.ToUpper(envName(key))] = value
		}
	}
	maps.Copy(e.own, expanded)
}

// addUser adds the env block, whose values may name what is there already.
func (e *taskEnv) addUser(env map[string]string) {
	expanded := map[string]string{}
	for key, value := range env {
		expanded[key] = e.expand(value)
	}
	maps.Copy(e.own, expanded)
}

var notEnvName = regexp.MustCompile(`[^A-Za-z0-9_]`)

// envName makes a label usable in the name of an environment variable.
func envName(label string) string { return notEnvName.ReplaceAllString(label, "_") }

var reference = regexp.MustCompile(`\$\{[^{} ]+\}`)

// expand replaces ${NOMAD_…} and other variables of the environment, ${attr.…}, ${node.…} and ${meta.…} of the node. What
// names nothing stays as it is, as in Nomad, and so does ${env["X"]}.
func (e *taskEnv) expand(s string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		name := ref[2 : len(ref)-1]
		if value, found := e.node[name]; found {
			return value
		}
		if value, found := e.lookup(name); found {
			return value
		}
		return ref
	})
}

func (e *taskEnv) expandAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = e.expand(s)
	}
	return out
}

func (e *taskEnv) lookup(name string) (string, bool) {
	if value, found := e.own[name]; found {
		return value, true
	}
	value, found := e.host[name]
	return value, found
}

// list returns the environment as exec.Cmd wants it.
func (e *taskEnv) list() []string {
	all := maps.Clone(e.host)
	maps.Copy(all, e.own)
	return pairsOf(all)
}

func pairsOf(env map[string]string) []string {
	pairs := make([]string, 0, len(env))
	for key, value := range env {
		pairs = append(pairs, key+"="+value)
	}
	slices.Sort(pairs)
	return pairs
}

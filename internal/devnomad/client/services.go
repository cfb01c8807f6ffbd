package client

import (
	"crypto/sha1" //nolint:gosec // Nomad's check IDs are SHA-1; nothing is protected by them
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"
)

// servicePrefix begins the ID of every service that a Nomad client registers for a task or group.
const servicePrefix = "_nomad-task-"

// service is a Consul service of an allocation, with what its checks mean for the allocation.
type service struct {
	id     string
	task   string // registered while this task runs; "" for a group service, while the allocation runs
	reg    *consulapi.AgentServiceRegistration
	checks []check
}

type check struct {
	id       string
	name     string
	onUpdate string // require_healthy, ignore_warnings or ignore
	interval time.Duration
	restart  *api.CheckRestart // nil if none
	task     string            // restarted by restart, and where the script runs; "" for all
	script   *script           // nil if Consul itself checks
}

// buildServices renders every service of the allocation.
func buildServices(cfg Config, spec *api.Allocation, dir allocDir) ([]service, error) {
	group, err := groupOf(spec)
	if err != nil {
		return nil, err
	}
	var all []service
	env := newEnv(cfg, spec, group, nil, dir)
	for _, s := range group.Services {
		built, err := buildService(spec, group, s, "", env)
		if err != nil {
			return nil, err
		}
		all = append(all, built)
	}
	for _, task := range group.Tasks {
		env := newEnv(cfg, spec, group, task, dir)
		for _, s := range task.Services {
			built, err := buildService(spec, group, s, task.Name, env)
			if err != nil {
				return nil, err
			}
			all = append(all, built)
		}
	}
	return all, nil
}

func buildService(
	spec *api.Allocation, group *api.TaskGroup, s *api.Service, task string, env *taskEnv,
) (service, error) {
	name := env.expand(s.Name)
	host, port := addressOf(spec, task), 0
	if s.PortLabel != "" {
		var err error
		if host, port, err = address(spec, env.expand(s.PortLabel)); err != nil {
			return service{}, fmt.Errorf("service %q: %w", name, err)
		}
	}
	if s.Address != "" {
		host = env.expand(s.Address)
	}
	owner := "group-" + spec.TaskGroup
	if task != "" {
		owner = task
	}
	built := service{
		id:   servicePrefix + spec.ID + "-" + owner + "-" + name + "-" + s.PortLabel,
		task: task,
	}
	built.reg = &consulapi.AgentServiceRegistration{
		ID: built.id, Name: name, Tags: tags(s, spec, env), Meta: meta(s, spec, env), Address: host, Port: port,
		EnableTagOverride: s.EnableTagOverride, Weights: weights(s),
	}
	for i := range s.Checks {
		if err := built.addCheck(spec, s, &s.Checks[i], env, group); err != nil {
			return service{}, fmt.Errorf("service %q: %w", name, err)
		}
	}
	return built, nil
}

// address resolves a port label of the allocation, or a number, whose address is left to Consul as Nomad leaves it.
func address(spec *api.Allocation, label string) (host string, port int, err error) {
	for _, p := range ports(spec) {
		if p.Label == label {
			return p.HostIP, p.Value, nil
		}
	}
	if port, err = strconv.Atoi(label); err != nil {
		return "", 0, fmt.Errorf("port %q is no port of the group's network block and no number", label)
	}
	return "", port, nil
}

// addressOf is where a service is that names no port: a group's on its network, a task's is not told.
func addressOf(spec *api.Allocation, task string) string {
	if r := spec.AllocatedResources; task == "" && r != nil && len(r.Shared.Networks) > 0 {
		return r.Shared.Networks[0].IP
	}
	return ""
}

func isCanary(spec *api.Allocation) bool {
	return spec.DeploymentStatus != nil && spec.DeploymentStatus.Canary
}

func tags(s *api.Service, spec *api.Allocation, env *taskEnv) []string {
	from := s.Tags
	if isCanary(spec) && len(s.CanaryTags) > 0 {
		from = s.CanaryTags
	}
	out := make([]string, len(from))
	for i, tag := range from {
		out[i] = env.expand(tag)
	}
	return out
}

// meta returns the service's meta. A canary's replaces it as a whole where there is one.
func meta(s *api.Service, spec *api.Allocation, env *taskEnv) map[string]string {
	from := s.Meta
	if isCanary(spec) && len(s.CanaryMeta) > 0 {
		from = s.CanaryMeta
	}
	out := maps.Clone(from)
	if out == nil {
		out = map[string]string{}
	}
	for key, value := range out {
		out[key] = env.expand(value)
	}
	out["external-source"] = "nomad"
	return out
}

func weights(s *api.Service) *consulapi.AgentWeights {
	if s.Weights == nil {
		return nil
	}
	return &consulapi.AgentWeights{Passing: s.Weights.Passing, Warning: s.Weights.Warning}
}

func (b *service) addCheck(
	spec *api.Allocation, s *api.Service, c *api.ServiceCheck, env *taskEnv, group *api.TaskGroup,
) error {
	host, port := b.reg.Address, b.reg.Port
	if c.PortLabel != "" {
		var err error
		if host, port, err = address(spec, env.expand(c.PortLabel)); err != nil {
			return fmt.Errorf("check %q: %w", c.Name, err)
		}
	}
	reg, err := checkRegistration(c, net.JoinHostPort(host, strconv.Itoa(port)), env)
	if err != nil {
		return fmt.Errorf("check %q: %w", c.Name, err)
	}
	if reg.Name == "" {
		reg.Name = fmt.Sprintf("service: %q check", b.reg.Name)
	}
	owner := firstOf(c.TaskName, s.TaskName, b.task)
	var run *script
	if c.Type == "script" {
		if run, owner, err = scriptOf(c, owner, group); err != nil {
			return fmt.Errorf("check %q: %w", c.Name, err)
		}
	}
	reg.CheckID = checkID(b.id, reg, run)
	b.reg.Checks = append(b.reg.Checks, reg)
	restart := c.CheckRestart
	if restart == nil {
		restart = s.CheckRestart
	}
	b.checks = append(b.checks, check{
		id: reg.CheckID, name: reg.Name, onUpdate: firstOf(c.OnUpdate, s.OnUpdate, api.OnUpdateRequireHealthy),
		interval: c.Interval, restart: restart, task: owner, script: run,
	})
	return nil
}

func checkRegistration(c *api.ServiceCheck, addr string, env *taskEnv) (*consulapi.AgentServiceCheck, error) {
	reg := &consulapi.AgentServiceCheck{
		Name: env.expand(c.Name), Interval: c.Interval.String(), Timeout: c.Timeout.String(), Notes: c.Notes,
		Status:               firstOf(c.InitialStatus, consulapi.HealthCritical),
		SuccessBeforePassing: c.SuccessBeforePassing, FailuresBeforeCritical: c.FailuresBeforeCritical,
	}
	switch c.Type {
	case "tcp":
		reg.TCP = addr
	case "http":
		target, err := url.Parse(env.expand(c.Path))
		if err != nil {
			return nil, fmt.Errorf("read path: %w", err)
		}
		base := url.URL{Scheme: firstOf(c.Protocol, "http"), Host: addr}
		reg.HTTP = base.ResolveReference(target).String()
		reg.Method, reg.Header, reg.Body = c.Method, c.Header, env.expand(c.Body)
		reg.TLSSkipVerify, reg.TLSServerName = c.TLSSkipVerify, c.TLSServerName
	case "script":
		reg.TTL, reg.Interval, reg.Timeout = (c.Interval + scriptGrace).String(), "", ""
	default:
		return nil, fmt.Errorf("type %q is %w; use \"http\", \"tcp\" or \"script\"", c.Type, errUnsupported)
	}
	return reg, nil
}

// checkID names a check by what it does, so that it is the same as long as that is.
func checkID(serviceID string, reg *consulapi.AgentServiceCheck, run *script) string {
	var what []byte
	var err error
	if run == nil {
		what, err = json.Marshal(reg) // strings, numbers and maps only: it can't fail
	} else {
		what, err = json.Marshal([]any{reg, run})
	}
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(append([]byte(serviceID), what...)) //nolint:gosec // see the import
	return "_nomad-check-" + hex.EncodeToString(sum[:])
}

func firstOf(values ...string) string {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			return v
		}
	}
	return ""
}

package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// docker runs tasks as containers of the Docker engine on this machine, as Nomad's docker driver. A container is named
// <task>-<allocation ID>, by which the next agent finds it.
type docker struct {
	engine *engine
	pull   bool // images that are missing
	alloc  *api.Allocation
}

// dockerConfig is the config block of the docker driver.
type dockerConfig struct {
	Image       string        `json:"image"`
	Command     string        `json:"command"`
	Args        []string      `json:"args"`
	Entrypoint  []string      `json:"entrypoint"`
	Ports       []string      `json:"ports"`
	Volumes     []string      `json:"volumes"`
	Mount       []dockerMount `json:"mount"`
	Mounts      []dockerMount `json:"mounts"`
	NetworkMode string        `json:"network_mode"`
	ForcePull   bool          `json:"force_pull"`
}

type dockerMount struct {
	Type     string `json:"type"`
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readonly"`
}

// Where a container has the folders of its allocation and task.
const (
	inAlloc   = "/alloc"
	inLocal   = "/local"
	inSecrets = "/secrets"
)

func containerName(task string, env *taskEnv) string { return task + "-" + env.own["NOMAD_ALLOC_ID"] }

func (d docker) start(ctx context.Context, task *api.Task, dir allocDir, env *taskEnv) (handle, error) {
	var cfg dockerConfig
	if err := decodeConfig(task, &cfg); err != nil {
		return nil, err
	}
	spec, err := d.spec(task, cfg, dir, env)
	if err != nil {
		return nil, err
	}
	if err := d.getImage(ctx, spec.Image, cfg.ForcePull); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := dir.open(task.Name); err != nil {
		return nil, err
	}
	name := containerName(task.Name, env)
	if err := d.engine.remove(ctx, name); err != nil { // left by an agent that was killed
		return nil, fmt.Errorf("remove container %s: %w", name, err)
	}
	if err := d.engine.create(ctx, name, spec); err != nil {
		return nil, fmt.Errorf("create container %s: %w", name, err)
	}
	c := &container{engine: d.engine, name: name, task: task, dir: dir}
	if err := d.engine.start(ctx, name); err != nil {
		return nil, errors.Join(fmt.Errorf("start container %s: %w", name, err), d.engine.remove(ctx, name))
	}
	if err := c.savePid(ctx); err != nil {
		return nil, errors.Join(err, d.engine.remove(ctx, name))
	}
	return c, nil
}

func (d docker) getImage(ctx context.Context, image string, force bool) error {
	has, err := d.engine.hasImage(ctx, image)
	switch {
	case err != nil:
		return err
	case has && !force:
		return nil
	case !d.pull:
		return fmt.Errorf("image %q is to be pulled, which this agent is not allowed to; build or load it on this machine "+
			"and leave force_pull out, or allow pulling", image)
	}
	return d.engine.pull(ctx, image)
}

func (d docker) spec(task *api.Task, cfg dockerConfig, dir allocDir, env *taskEnv) (containerSpec, error) {
	if cfg.Image == "" {
		return containerSpec{}, errors.New("read the config of docker: image is missing")
	}
	spec := containerSpec{
		Image: env.expand(cfg.Image), Entrypoint: env.expandAll(cfg.Entrypoint), User: task.User, Env: pairsOf(env.own),
		Labels:       map[string]string{"com.hashicorp.nomad.alloc_id": env.own["NOMAD_ALLOC_ID"]},
		ExposedPorts: map[string]struct{}{},
		HostConfig:   hostConfig{PortBindings: map[string][]portBinding{}, NetworkMode: env.expand(cfg.NetworkMode)},
	}
	if cfg.Command != "" {
		spec.Cmd = []string{env.expand(cfg.Command)}
	}
	spec.Cmd = append(spec.Cmd, env.expandAll(cfg.Args)...)
	if r := task.Resources; r != nil {
		spec.HostConfig.Memory = int64(max(or(r.MemoryMB, 300), or(r.MemoryMaxMB, 0))) << 20
		spec.HostConfig.MemorySwap = spec.HostConfig.Memory // no swap besides
		spec.HostConfig.CPUShares = or(r.CPU, 100)
	}
	if err := d.bindPorts(&spec, cfg.Ports); err != nil {
		return spec, err
	}
	binds, err := dockerBinds(cfg, dir, task.Name, env)
	spec.HostConfig.Binds = binds
	return spec, err
}

// bindPorts gives the container the ports of the group's network that it asks for by label.
func (d docker) bindPorts(spec *containerSpec, labels []string) error {
	for _, label := range labels {
		host, value, err := address(d.alloc, label)
		if err != nil {
			return err
		}
		inside := strconv.Itoa(value)
		for _, p := range ports(d.alloc) {
			if p.Label == label && p.To > 0 {
				inside = strconv.Itoa(p.To)
			}
		}
		for _, protocol := range []string{"/tcp", "/udp"} {
			spec.ExposedPorts[inside+protocol] = struct{}{}
			spec.HostConfig.PortBindings[inside+protocol] = []portBinding{{HostIP: host, HostPort: strconv.Itoa(value)}}
		}
	}
	return nil
}

// dockerBinds returns the folders that the container has of this machine: the task's own and those of the config. A
// relative source is in the task's folder.
func dockerBinds(cfg dockerConfig, dir allocDir, task string, env *taskEnv) ([]string, error) {
	binds := []string{dir.shared() + ":" + inAlloc, dir.local(task) + ":" + inLocal, dir.secrets(task) + ":" + inSecrets}
	add := func(source, rest string) {
		if !filepath.IsAbs(source) {
			source = filepath.Join(dir.task(task), source)
		}
		binds = append(binds, source+":"+rest)
	}
	for _, volume := range env.expandAll(cfg.Volumes) {
		source, rest, found := strings.Cut(volume, ":")
		if !found {
			return nil, fmt.Errorf("volume %q is not <source>:<target> or <source>:<target>:ro", volume)
		}
		add(source, rest)
	}
	for _, m := range append(cfg.Mount, cfg.Mounts...) {
		if m.Type != "bind" {
			return nil, fmt.Errorf("mount of type %q is %w, which has bind", m.Type, errUnsupported)
		}
		mode := ""
		if m.ReadOnly {
			mode = ":ro"
		}
		add(env.expand(m.Source), env.expand(m.Target)+mode)
	}
	return binds, nil
}

// recover takes over the container of an earlier agent, which keeps its exit code if it has ended. While the engine is
// away, one that was started is taken to run.
func (d docker) recover(task *api.Task, dir allocDir, env *taskEnv) handle {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	c := &container{engine: d.engine, name: containerName(task.Name, env), task: task, dir: dir}
	state, err := d.engine.inspect(ctx, c.name)
	if errors.Is(err, errNoSuch) || state.Status == "created" {
		return nil // start makes it anew
	}
	if _, started := os.Stat(dir.pidFile(task.Name)); err != nil && started != nil {
		return nil
	}
	_ = c.savePid(ctx) // the one from its start is there
	return c
}

// container is a task that runs in a container.
type container struct {
	engine *engine
	name   string
	task   *api.Task
	dir    allocDir
}

// savePid records the container's first process, so that it counts among the Leftovers of a killed agent.
func (c *container) savePid(ctx context.Context) error {
	state, err := c.engine.inspect(ctx, c.name)
	if err != nil {
		return fmt.Errorf("look at container %s: %w", c.name, err)
	}
	id, err := proc.Identify(c.task.Name, state.Pid)
	if err != nil {
		return nil //nolint:nilerr // it has ended already
	}
	return id.Save(c.dir.pidFile(c.task.Name))
}

func (c *container) send(signal string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return c.engine.kill(ctx, c.name, signal)
}

func (c *container) signal(sig syscall.Signal) error { return c.send(strconv.Itoa(int(sig))) }
func (c *container) kill() error                     { return c.send("KILL") }

// wait returns when the container has ended, its output has been copied and it is removed.
func (c *container) wait() exit {
	var copying sync.WaitGroup
	copying.Go(func() { c.copyLogs("stdout") })
	copying.Go(func() { c.copyLogs("stderr") })
	result := c.await()
	copying.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := c.engine.remove(ctx, c.name); err != nil && result.message == "" {
		result.message = err.Error()
	}
	_ = os.Remove(c.dir.pidFile(c.task.Name)) // a stale one is harmless: it names a process that is gone
	return result
}

// await returns the end of the container, however often the engine is restarted in between.
func (c *container) await() exit {
	ctx := context.Background() // as long as it runs
	for {
		_ = c.engine.wait(ctx, c.name)
		state, err := c.engine.inspect(ctx, c.name)
		switch {
		case errors.Is(err, errNoSuch):
			return exit{code: -1, message: "somebody has removed the container"}
		case err != nil || state.Running:
			time.Sleep(time.Second) // the engine is away; it does not call back
		case state.OOMKilled:
			return exit{code: state.ExitCode, oom: true, message: "OOM Killed"}
		default:
			return exit{code: state.ExitCode}
		}
	}
}

// dockerEnv is what the environment of a container has otherwise: its folders, and its ports as they are inside.
func (e *taskEnv) dockerEnv(alloc *api.Allocation) {
	maps.Copy(e.own, map[string]string{
		"NOMAD_ALLOC_DIR": inAlloc, "NOMAD_TASK_DIR": inLocal, "NOMAD_SECRETS_DIR": inSecrets,
	})
	for _, p := range ports(alloc) {
		if p.To > 0 {
			e.own["NOMAD_PORT_"+envName(p.Label)] = strconv.Itoa(p.To)
			e.own["NOMAD_ALLOC_PORT_"+envName(p.Label)] = strconv.Itoa(p.To)
		}
	}
}

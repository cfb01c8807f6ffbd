package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weirhq/weir/internal/proc"
)

// realNomad is a Nomad cluster that runs from a binary: one server, and clients that share this machine. Only the first
// client knows Consul, for two Nomad clients must not share one Consul agent.
type realNomad struct {
	binary, dir, rpc string
	target           *target
}

const serverConfig = `
name = "server"
data_dir = %q
bind_addr = "127.0.0.1"
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
ports {
  http = %s
  rpc  = %s
  serf = %s
}
consul {
  address = %q
}
acl {
  enabled = %t
}
server {
  enabled          = true
  bootstrap_expect = 1
}
`

const clientConfig = `
name = %q
data_dir = %q
bind_addr = "127.0.0.1"
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
ports {
  http = %s
  rpc  = %s
  serf = %s
}
consul {
  address = %q
}
acl {
  enabled = %t
}
client {
  enabled           = true
  network_interface = "lo"
  servers           = ["127.0.0.1:%s"]
  min_dynamic_port  = %d
  max_dynamic_port  = %d
}
plugin "raw_exec" {
  config {
    enabled = true
  }
}
`

func startReal(binary string, cfg clusterConfig) (*cluster, error) {
	dir, err := os.MkdirTemp("", "weir-contract-nomad-")
	if err != nil {
		return nil, err
	}
	atEnd(func() error { return removeMounted(dir) })
	ports := freePorts(3)
	r := &realNomad{binary: binary, dir: dir, rpc: ports[1]}
	acl := cfg.token != ""
	conf := fmt.Sprintf(serverConfig, dir+"/server", ports[0], ports[1], ports[2], cfg.consulAddr, acl)
	if _, err := r.agent("server", conf); err != nil {
		return nil, err
	}
	if r.target, err = newTarget("http://127.0.0.1:"+ports[0], cfg.token, cfg.consulAddr); err != nil {
		return nil, err
	}
	if err := await("the server leads", func() bool { l, err := r.target.nomad.Status().Leader(); return err == nil && l != "" }); err != nil {
		return nil, err
	}
	if acl {
		if _, _, err := r.target.nomad.ACLTokens().BootstrapOpts(cfg.token, nil); err != nil {
			return nil, fmt.Errorf("bootstrap ACLs: %w", err)
		}
	}
	c := &cluster{target: r.target, nodes: map[string]*nodeProcess{}}
	for i := range cfg.nodes {
		start, err := r.client(i, cfg.consulAddr, acl)
		if err != nil {
			return nil, err
		}
		if err := c.addNode(nodeName(i), start); err != nil {
			return nil, err
		}
	}
	return c, await("the nodes are ready", func() bool { return c.ready() == cfg.nodes })
}

// client returns what starts the i-th client.
func (r *realNomad) client(i int, consulAddr string, acl bool) (func() (*exec.Cmd, error), error) {
	if i > 0 {
		consulAddr = "127.0.0.1:1" // none
	}
	name, ports, low := nodeName(i), freePorts(3), 20000+i*5000
	conf := fmt.Sprintf(clientConfig, name, filepath.Join(r.dir, name), ports[0], ports[1], ports[2], consulAddr, acl, r.rpc, low, low+4999)
	return func() (*exec.Cmd, error) { return r.agent(name, conf) }, nil
}

// agent starts one process of the cluster.
func (r *realNomad) agent(name, conf string) (*exec.Cmd, error) {
	path := filepath.Join(r.dir, name+".hcl")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(r.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(r.binary, "agent", "-config="+path)
	proc.Tie(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start nomad: %w", err)
	}
	atEnd(func() error {
		tasks, err := descendants(cmd.Process.Pid)
		_ = cmd.Process.Kill() // it may be lost already
		_ = cmd.Wait()
		exe, _ := os.Executable()
		reap(tasks, exe, r.binary)
		return err
	})
	return cmd, nil
}

// removeMounted removes a directory in which Nomad has left mounts of secrets.
func removeMounted(dir string) error {
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "secrets" || entry.Name() == "private") {
			_ = syscall.Unmount(path, 0)
		}
		return nil
	}
	return errors.Join(filepath.WalkDir(dir, walk), os.RemoveAll(dir))
}

// await polls a condition for a minute.
func await(what string, holds func() bool) error {
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("await that %s: not within a minute", what)
		}
	}
	return nil
}

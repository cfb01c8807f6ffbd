//go:build linux

package multihost

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/proc"
)

// host is a machine of the test: a network namespace with one address.
type host struct{ name, addr string }

// The hosts. The load and the tests themselves run on ops.
var (
	nomadHost   = host{"nomad", "10.77.0.1"}
	consulHosts = []host{{"c1", "10.77.0.11"}, {"c2", "10.77.0.12"}, {"c3", "10.77.0.13"}}
	nodes       = []host{{"n1", "10.77.0.21"}, {"n2", "10.77.0.22"}, {"n3", "10.77.0.23"}}
	ingresses   = []host{{"i1", "10.77.0.31"}, {"i2", "10.77.0.32"}}
	deployers   = []host{{"d1", "10.77.0.41"}, {"d2", "10.77.0.42"}}
	ops         = host{"ops", "10.77.0.51"}
)

// members are the hosts with a Consul client agent.
func members() []host {
	var out []host
	for _, group := range [][]host{nodes, ingresses, deployers, {ops}} {
		out = append(out, group...)
	}
	return out
}

func allHosts() []host {
	return append(append([]host{nomadHost}, consulHosts...), members()...)
}

// do runs f on a thread that is in the namespace. What f starts is in it too; goroutines of f are not.
func (n network) do(h host, f func() error) error {
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("remember the namespace: %w", err)
	}
	defer home.Close()
	there, err := os.Open(filepath.Join("/var/run/netns", n.namespace(h.name)))
	if err != nil {
		return fmt.Errorf("find host %s: %w", h.name, err)
	}
	defer there.Close()
	runtime.LockOSThread()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter host %s: %w", h.name, err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked and so ends with its goroutine: nothing else runs in the wrong place.
		return fmt.Errorf("leave host %s: %w", h.name, back)
	}
	runtime.UnlockOSThread()
	return err
}

// spawn starts a part on a host, in a process group of its own and with a log in the run's folder. It dies with this
// process.
func (n network) spawn(h host, name string, stop syscall.Signal, path string, args ...string) (*parts.Running, error) {
	log, err := os.OpenFile(filepath.Join(n.logs(), h.name+"-"+name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer log.Close()
	var running *parts.Running
	err = n.do(h, func() (err error) {
		running, err = parts.Start(parts.Child{
			Name: name + " on " + h.name, Path: path, Args: args, Log: log, Tied: true,
			StopSignal: stop, StopTimeout: 40 * time.Second,
		})
		return err
	})
	return running, err
}

// launch starts a command on a host likewise.
func (n network) launch(h host, cmd *exec.Cmd) error {
	return n.do(h, func() error {
		proc.Tie(cmd)
		return proc.Start(cmd)
	})
}

// cut pulls the cable of a host.
func (n network) cut(h host) error {
	_, err := ip("-n", n.namespace(switchboard), "link", "set", h.name, "down")
	return err
}

// forget makes a host unable to reach the Consul servers; all else it still reaches.
func (n network) forget(h host) error {
	for _, c := range consulHosts {
		if _, err := ip("-n", n.namespace(h.name), "route", "replace", "blackhole", c.addr+"/32"); err != nil {
			return err
		}
	}
	return nil
}

// heal undoes cut and forget.
func (n network) heal(h host) error {
	if _, err := ip("-n", n.namespace(switchboard), "link", "set", h.name, "up"); err != nil {
		return err
	}
	_, err := ip("-n", n.namespace(h.name), "route", "flush", "type", "blackhole")
	return err
}

// logs is where the logs are: in WEIR_MULTIHOST_LOGS, where they stay, or else in the run's folder.
func (n network) logs() string {
	if dir := os.Getenv("WEIR_MULTIHOST_LOGS"); dir != "" {
		return dir
	}
	return n.folder()
}

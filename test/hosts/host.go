//go:build linux

package hosts

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

// Host is a machine of a test: a network namespace with one address.
type Host struct{ Name, Addr string }

// do runs f on a thread that is in the namespace. What f starts is in it too; goroutines of f are not.
func (n Network) do(h Host, f func() error) error {
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("remember the namespace: %w", err)
	}
	defer home.Close()
	there, err := os.Open(filepath.Join("/var/run/netns", n.namespace(h.Name)))
	if err != nil {
		return fmt.Errorf("find host %s: %w", h.Name, err)
	}
	defer there.Close()
	runtime.LockOSThread()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter host %s: %w", h.Name, err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked and so ends with its goroutine: nothing else runs in the wrong place.
		return fmt.Errorf("leave host %s: %w", h.Name, back)
	}
	runtime.UnlockOSThread()
	return err
}

// Spawn starts a part on a host, in a process group of its own and with a log in the run's folder. It dies with this
// process.
func (n Network) Spawn(h Host, name string, stop syscall.Signal, path string, args ...string) (*parts.Running, error) {
	log, err := os.OpenFile(filepath.Join(n.Logs(), h.Name+"-"+name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer log.Close()
	var running *parts.Running
	err = n.do(h, func() (err error) {
		running, err = parts.Start(parts.Child{
			Name: name + " on " + h.Name, Path: path, Args: args, Log: log, Tied: true,
			StopSignal: stop, StopTimeout: 40 * time.Second,
		})
		return err
	})
	return running, err
}

// Launch starts a command on a host likewise.
func (n Network) Launch(h Host, cmd *exec.Cmd) error {
	return n.do(h, func() error {
		proc.Tie(cmd)
		return proc.Start(cmd)
	})
}

// Cut pulls the cable of a host.
func (n Network) Cut(h Host) error {
	_, err := ip("-n", n.namespace(switchboard), "link", "set", h.Name, "down")
	return err
}

// Forget makes a host unable to reach others; all else it still reaches.
func (n Network) Forget(h Host, others ...Host) error {
	for _, o := range others {
		if _, err := ip("-n", n.namespace(h.Name), "route", "replace", "blackhole", o.Addr+"/32"); err != nil {
			return err
		}
	}
	return nil
}

// Heal undoes Cut and Forget.
func (n Network) Heal(h Host) error {
	if _, err := ip("-n", n.namespace(switchboard), "link", "set", h.Name, "up"); err != nil {
		return err
	}
	_, err := ip("-n", n.namespace(h.Name), "route", "flush", "type", "blackhole")
	return err
}

// Logs is where the logs are: in WEIR_MULTIHOST_LOGS, where they stay, or else in the run's folder.
func (n Network) Logs() string {
	if dir := os.Getenv("WEIR_MULTIHOST_LOGS"); dir != "" {
		return dir
	}
	return n.Folder()
}

// Data is a folder of a part on a host.
func (n Network) Data(h Host, part string) string { return filepath.Join(n.Folder(), h.Name, part) }

// Write writes a configuration file on a host and returns its path.
func (n Network) Write(h Host, name, text string) (string, error) {
	dir := n.Data(h, "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("configure %s: %w", h.Name, err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("configure %s: %w", h.Name, err)
	}
	return path, nil
}

// Bin is the path of a program.
func (n Network) Bin(name string) string { return filepath.Join(n.Folder(), "bin", name) }

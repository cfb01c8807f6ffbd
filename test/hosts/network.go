//go:build linux

package hosts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prefix begins the names of all that is made here: namespaces weir-mh-<pid>-<host> and the folder weir-mh-<pid>, where
// pid is that of the process that makes and removes them.
const prefix = "weir-mh-"

// switchboard is the namespace of the bridge. Nothing runs in it, and no rule of the machine's own firewall reaches it.
const switchboard = "sw"

// Network is the hosts of one run.
type Network struct{ pid int }

func (n Network) namespace(host string) string { return prefix + strconv.Itoa(n.pid) + "-" + host }

// Folder is where a run keeps its state and logs.
func (n Network) Folder() string { return filepath.Join(os.TempDir(), prefix+strconv.Itoa(n.pid)) }

// ip runs iproute2 and returns what it prints.
func ip(args ...string) (string, error) {
	out, err := exec.Command("ip", args...).CombinedOutput() //nolint:noctx // it ends by itself
	if err != nil {
		return "", fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// all runs iproute2 several times, until the first error.
func all(commands ...[]string) error {
	for _, args := range commands {
		if _, err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// make makes the bridge and a host for each name, with a cable from its eth0 to the bridge.
func (n Network) make(hosts []Host) error {
	sw := n.namespace(switchboard)
	err := all([]string{"netns", "add", sw},
		[]string{"-n", sw, "link", "add", "br0", "type", "bridge"}, []string{"-n", sw, "link", "set", "br0", "up"})
	if err != nil {
		return fmt.Errorf("make the switch: %w", err)
	}
	for _, h := range hosts {
		ns := n.namespace(h.Name)
		err := all([]string{"netns", "add", ns},
			[]string{"-n", sw, "link", "add", h.Name, "type", "veth", "peer", "name", "eth0", "netns", ns},
			[]string{"-n", sw, "link", "set", h.Name, "master", "br0", "up"},
			[]string{"-n", ns, "addr", "add", h.Addr + "/24", "dev", "eth0"},
			[]string{"-n", ns, "link", "set", "lo", "up"}, []string{"-n", ns, "link", "set", "eth0", "up"})
		if err != nil {
			return fmt.Errorf("make host %s: %w", h.Name, err)
		}
	}
	return nil
}

// remove ends every process in the namespaces of the run and removes them, and the run's folder. It returns the
// processes that it had to end.
func (n Network) remove() (left []string, err error) {
	list, err := ip("netns", "list")
	if err != nil {
		return nil, err
	}
	var errs []error
	for line := range strings.SplitSeq(list, "\n") {
		name, _, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(name, n.namespace("")) {
			continue
		}
		killed, err := empty(name)
		left = append(left, killed...)
		if err == nil {
			_, err = ip("netns", "del", name)
		}
		errs = append(errs, err)
	}
	return left, errors.Join(append(errs, n.removeFolder())...)
}

// removeFolder removes the run's folder, with what Nomad's clients have mounted in it.
func (n Network) removeFolder() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("look for mounts in %s: %w", n.Folder(), err)
	}
	for line := range strings.SplitSeq(string(mounts), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], n.Folder()+"/") {
			if err := syscall.Unmount(fields[1], syscall.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", fields[1], err)
			}
		}
	}
	return os.RemoveAll(n.Folder())
}

// empty kills the processes in a namespace, by their numbers, until there is none.
func empty(namespace string) (killed []string, err error) {
	for range 200 {
		out, err := ip("netns", "pids", namespace)
		if err != nil {
			return killed, err
		}
		pids := strings.Fields(out)
		if len(pids) == 0 {
			return killed, nil
		}
		for _, text := range pids {
			pid, err := strconv.Atoi(text)
			if err != nil || pid <= 1 {
				return killed, fmt.Errorf("list the processes in %s: %q is no process number", namespace, text)
			}
			line, _ := os.ReadFile(filepath.Join("/proc", text, "cmdline")) // it may have ended
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed = append(killed, text+" "+strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		time.Sleep(10 * time.Millisecond) // the kernel sends no event to those who are not the parent
	}
	return killed, fmt.Errorf("namespace %s has processes that do not end", namespace)
}

// claim makes the run's folder and locks it. The lock ends with this process, however that ends: so the next run knows
// what is left over.
func (n Network) claim() (*os.File, error) {
	if err := os.MkdirAll(n.Folder(), 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of the run: %w", err)
	}
	return lock(n.Folder())
}

func lock(folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the folder of a run: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", folder, err), file.Close())
	}
	return file, nil
}

// sweep removes what killed runs have left: those whose folder nobody locks.
func sweep() error {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return fmt.Errorf("look for what earlier runs left: %w", err)
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(folder), prefix))
		if err != nil {
			continue // not ours
		}
		held, err := lock(folder)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue // it runs
		}
		if err != nil {
			return err
		}
		_, err = Network{pid}.remove()
		if err := errors.Join(err, held.Close()); err != nil {
			return fmt.Errorf("remove what run %d left: %w", pid, err)
		}
	}
	return nil
}

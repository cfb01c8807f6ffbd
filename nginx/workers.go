package nginx

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// worker is a worker process, told from a later one with the same number by its start time.
type worker struct {
	pid   int
	start string
}

// workers returns the worker processes of the master, read from /proc.
func workers(master int) ([]worker, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the workers of nginx: %w", err)
	}
	var found []worker
	for _, dir := range dirs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil {
			continue
		}
		if parent, start, ok := procStat(pid); ok && parent == master {
			found = append(found, worker{pid, start})
		}
	}
	return found, nil
}

// procStat reads the parent and the start time of a process: fields 4 and 22 of /proc/<pid>/stat (proc(5)). A zombie
// counts as gone.
func procStat(pid int) (parent int, start string, ok bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, "", false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" {
		return 0, "", false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return parent, string(fields[19]), err == nil
}

// gone reports whether the worker has ended.
func (w worker) gone() bool {
	_, start, ok := procStat(w.pid)
	return !ok || start != w.start
}

// retired reports whether the worker takes no new connection: it has ended, or its title says that it is shutting down,
// which nginx sets right before it closes its listening sockets.
func (w worker) retired() bool {
	return w.gone() || strings.Contains(title(w.pid), "is shutting down")
}

// title returns the command line of a process, with its words parted by spaces.
func title(pid int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// alive reports whether a process with this number runs.
func alive(pid int) bool {
	_, _, ok := procStat(pid)
	return ok && syscall.Kill(pid, 0) == nil
}

// orphans returns the workers that a killed master has left: they still hold the listening socket.
func orphans(master int) []int {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil {
			continue
		}
		group, err := syscall.Getpgid(pid)
		if err == nil && group == master && pid != master && strings.HasPrefix(title(pid), "nginx: ") {
			found = append(found, pid)
		}
	}
	return found
}

//go:build linux

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is one of this machine.
type process struct {
	pid, parent int
	line        string // its command line
}

func (p process) names(words string) bool { return strings.Contains(p.line, words) }

// processes lists those that match.
func processes(match func(process) bool) []process {
	var out []process
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		status, err2 := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil || err2 != nil || len(cmdline) == 0 { // it has ended
			continue
		}
		p := process{line: strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))}
		p.pid, _ = strconv.Atoi(filepath.Base(dir)) // a number by the pattern
		_, rest, _ := strings.Cut(string(status), "\nPPid:")
		_, _ = fmt.Sscan(rest, &p.parent)
		if p.pid != os.Getpid() && match(p) {
			out = append(out, p)
		}
	}
	return out
}

// tasks returns the inference processes of a release; of every release for "".
func (s *system) tasks(release string) []int {
	var out []int
	servers := func(p process) bool {
		return strings.HasPrefix(p.line, s.net.Bin("inference")) || strings.HasPrefix(p.line, s.net.Bin("faulty"))
	}
	for _, p := range processes(servers) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err == nil && strings.Contains(string(env), "\x00MODEL_RELEASE="+release) {
			out = append(out, p.pid)
		}
	}
	return out
}

// part finds one process of the ingress by words in its command line, which has this run's folder in it too; 0 if there
// is none.
func (s *system) part(words string) int {
	found := processes(func(p process) bool { return p.names(words) && p.names(s.net.Folder()) })
	if len(found) == 0 {
		return 0
	}
	return found[0].pid
}

// usage is what a process holds.
type usage struct {
	PID     int `json:"pid"`
	RSS     int `json:"rss_kib"`
	Threads int `json:"threads"`
	Files   int `json:"files"`
}

func usageOf(pid int) usage {
	u := usage{PID: pid}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &u.RSS)
		}
		if rest, ok := strings.CutPrefix(line, "Threads:"); ok {
			_, _ = fmt.Sscan(rest, &u.Threads)
		}
	}
	files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.Files = len(files)
	return u
}

// usage is what the parts that live long hold now.
func (s *system) usage() map[string]usage {
	return map[string]usage{
		"daemon":          usageOf(s.daemon.Process.Pid),
		"applier":         usageOf(s.part("--external-nginx")),
		"consul-template": usageOf(s.part("consul-template.hcl")),
		"nginx":           usageOf(s.part("nginx: master process")),
		"Nomad's node":    usageOf(s.agents.Agent(node).PID()),
		"the test itself": usageOf(os.Getpid()),
	}
}

// folderSize is how many bytes the run keeps on disk.
func (s *system) folderSize() (total int64) {
	_ = filepath.WalkDir(s.net.Folder(), func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it has gone
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}

package proc

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// KillMarked kills every process that was started with all of the given "KEY=value" pairs in its environment, whatever
// group or session it has moved to: the part of a control group that needs no privilege. This process is spared.
func KillMarked(pairs ...string) {
	for range 3 { // what was forked during one pass is found by the next
		if !killMarkedOnce(pairs) {
			return
		}
	}
}

func killMarkedOnce(pairs []string) (found bool) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is well-formed; elsewhere than on Linux there are none
	for _, path := range paths {
		env, err := os.ReadFile(path)
		if err != nil || !hasAll(env, pairs) { // gone, or somebody else's
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && pid > 1 && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
			found = true
		}
	}
	return found
}

func hasAll(env []byte, pairs []string) bool {
	if len(pairs) == 0 {
		return false
	}
	env = append([]byte{0}, env...)
	for _, pair := range pairs {
		if !bytes.Contains(env, []byte("\x00"+pair+"\x00")) {
			return false
		}
	}
	return true
}

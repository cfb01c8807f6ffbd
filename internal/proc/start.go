// Package proc starts, signals and remembers processes as groups: a part of Weir or a task of the embedded agent is its
// leader together with everything that it started.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
)

// restored are the signals that a parent may ignore (nohup, a shell's background job) and that a child must hear.
var restored = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE}

var starting sync.Mutex

// Start starts cmd as the leader of a process group of its own, with the default action for every signal.
//
// An ignored signal stays ignored across fork and exec, a caught one falls back to its default: so the ones that this
// process ignores are caught for the moment of the fork.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	starting.Lock()
	defer starting.Unlock()
	defer catchIgnored()()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return nil
}

// catchIgnored catches what is ignored and returns what undoes it.
func catchIgnored() func() {
	var ignored []os.Signal
	for _, sig := range restored {
		if signal.Ignored(sig) {
			ignored = append(ignored, sig)
		}
	}
	if len(ignored) == 0 {
		return func() {}
	}
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, ignored...)
	return func() {
		signal.Stop(dropped)
		signal.Ignore(ignored...)
	}
}

// SignalGroup sends sig to the process group that pid leads. A group that is gone is no error.
func SignalGroup(pid int, sig syscall.Signal) error {
	if pid <= 1 {
		return fmt.Errorf("signal process group %d: not a group that was started here", pid)
	}
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process group %d with %s: %w", pid, sig, err)
	}
	return nil
}

package client

import (
	"os"
	"syscall"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// recover takes over the process that the task's record names. If it has ended, or the record is lost to a power cut,
// what is left of the task ends too.
func (d rawExec) recover(task *api.Task, dir allocDir, env *taskEnv) handle {
	g := d.newGroup(task, dir, env)
	if running, err := proc.Load(g.pidFile); err == nil && len(running) == 1 {
		g.pid = running[0].PID
		process, err := os.FindProcess(g.pid)
		if err == nil && running[0].Alive() { // after it is held, so that it is this one
			return &adopted{id: running[0], process: process, group: g}
		}
	}
	g.pid = 0 // its number may be somebody else's by now
	g.cleanUp(exit{})
	return nil
}

// adopted is a task that an earlier agent has started: not our child.
type adopted struct {
	id      proc.Process
	process *os.Process
	group
}

func (a *adopted) signal(sig syscall.Signal) error { return a.process.Signal(sig) }

func (a *adopted) wait() exit {
	defer a.process.Release() //nolint:errcheck // never fails
	return a.cleanUp(awaitEnd(a.id, a.process))
}

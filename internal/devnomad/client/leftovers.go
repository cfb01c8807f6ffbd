package client

import (
	"os"
	"path/filepath"

	"github.com/weirhq/weir/internal/proc"
)

// Process is a process of a task, named so that a reused process number is not taken for it.
type Process = proc.Process

// Leftovers returns the task processes that still run and that a client with this data folder has started: those that a
// killed client left behind. End them with Process.Kill.
func Leftovers(dataDir string) ([]Process, error) {
	return proc.Load(filepath.Join(dataDir, "alloc", "*", "*.pid"))
}

// ownsDead reports whether a Consul service of an allocation is a leftover of ours: the allocation has ended, or it has a
// folder here and neither this client nor a process of an earlier one runs it.
func (c *Client) ownsDead(allocID string) bool {
	if a, err := c.alloc(allocID); err == nil {
		select {
		case <-a.done: // an earlier client may have been killed before it told Consul
			return true
		default:
			return false
		}
	}
	dir, err := newAllocDir(c.cfg.DataDir, allocID)
	if err != nil {
		return false
	}
	if _, err := os.Stat(dir.root); err != nil {
		return false
	}
	running, err := proc.Load(filepath.Join(dir.root, "*.pid"))
	return err == nil && len(running) == 0
}

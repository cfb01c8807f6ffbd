//go:build !linux

package client

import (
	"os"
	"time"

	"github.com/weirhq/weir/internal/proc"
)

// awaitEnd returns when a process that need not be our child has ended.
func awaitEnd(id proc.Process, _ *os.Process) exit {
	for id.Alive() {
		time.Sleep(20 * time.Millisecond)
	}
	return exit{code: -1, message: "ended, but only its parent could know the exit code"}
}

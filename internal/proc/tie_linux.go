package proc

import (
	"os/exec"
	"syscall"
)

// Tie makes the kernel kill what Start will start when this process ends, however that happens. What it starts in turn
// is not tied.
func Tie(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// The signal follows the thread that forks; the Go runtime ends no threads but those that a goroutine has locked.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

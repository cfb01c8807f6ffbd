//go:build !linux

package proc

import "os/exec"

// Tie does nothing: only Linux can tie a process to its parent.
func Tie(*exec.Cmd) {}

package client

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirhq/weir/internal/proc"
)

// unseen is the end of an adopted task on a kernel that does not tell the exit code to others than the parent.
var unseen = exit{code: -1, message: "ended, but only its parent could know the exit code"}

// awaitEnd returns when a process that need not be our child has ended: its pidfd becomes readable then.
func awaitEnd(id proc.Process, process *os.Process) exit {
	pidfd := -1
	err := process.WithHandle(func(handle uintptr) {
		pidfd, _ = unix.FcntlInt(handle, unix.F_DUPFD_CLOEXEC, 0) // -1 on error
	})
	if err != nil || pidfd < 0 || unix.SetNonblock(pidfd, true) != nil {
		return pollEnd(id) // before Linux 5.4
	}
	file := os.NewFile(uintptr(pidfd), "pidfd")
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return pollEnd(id)
	}
	if err := raw.Read(func(uintptr) bool { return !id.Alive() }); err != nil {
		return pollEnd(id)
	}
	return exitBy(raw, id.PID)
}

// exitBy finds out the exit code of a process that has ended: it is a zombie still, or its new parent has reaped it, and
// Linux tells the code from 6.15 on.
func exitBy(raw syscall.RawConn, pid int) exit {
	if status, found := zombieStatus(pid); found {
		return exitOf(status)
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	var err error
	_ = raw.Control(func(fd uintptr) { err = unix.IoctlPidfdInfo(int(fd), &info) }) // fails only when closed
	if err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		return exitOf(syscall.WaitStatus(info.Exit_code)) //nolint:gosec // a wait status
	}
	return unseen
}

// zombieStatus reads field 52 of /proc/<pid>/stat (proc(5)), which is there from the end of a process to its reaping.
func zombieStatus(pid int) (syscall.WaitStatus, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 50 || string(fields[0]) != "Z" {
		return 0, false
	}
	status, err := strconv.ParseUint(string(fields[49]), 10, 32)
	return syscall.WaitStatus(status), err == nil
}

func pollEnd(id proc.Process) exit {
	for id.Alive() {
		time.Sleep(20 * time.Millisecond)
	}
	return unseen
}

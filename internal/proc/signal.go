package proc

import (
	"fmt"
	"strings"
	"syscall"
)

// ParseSignal reads a signal as Nomad writes it: "SIGINT", "sigint" or "INT".
func ParseSignal(name string) (syscall.Signal, error) {
	key := strings.ToUpper(name)
	if !strings.HasPrefix(key, "SIG") {
		key = "SIG" + key
	}
	sig, known := signals[key]
	if !known {
		return 0, fmt.Errorf("read signal %q: not known; use a name such as SIGINT, SIGTERM, SIGHUP or SIGUSR1", name)
	}
	return sig, nil
}

var signals = map[string]syscall.Signal{
	"SIGABRT":  syscall.SIGABRT,
	"SIGALRM":  syscall.SIGALRM,
	"SIGCONT":  syscall.SIGCONT,
	"SIGHUP":   syscall.SIGHUP,
	"SIGINT":   syscall.SIGINT,
	"SIGKILL":  syscall.SIGKILL,
	"SIGPIPE":  syscall.SIGPIPE,
	"SIGQUIT":  syscall.SIGQUIT,
	"SIGSTOP":  syscall.SIGSTOP,
	"SIGTERM":  syscall.SIGTERM,
	"SIGTSTP":  syscall.SIGTSTP,
	"SIGUSR1":  syscall.SIGUSR1,
	"SIGUSR2":  syscall.SIGUSR2,
	"SIGWINCH": syscall.SIGWINCH,
}

package proc_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirhq/weir/internal/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a shell script and ends its group with the test.
func start(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	proc.Tie(cmd)
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = proc.SignalGroup(cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return cmd
}

func TestStartedProcessHearsSignalsThatWeIgnore(t *testing.T) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGTERM)
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP, syscall.SIGTERM) })
	var out bytes.Buffer
	cmd := exec.Command("/bin/grep", "SigIgn", "/proc/self/status")
	cmd.Stdout = &out
	if err := proc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	// The mask has signal n in bit n-1. Those above 31 are the C library's: timeout(1) leaves one of them ignored.
	mask, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(out.String(), "SigIgn:")), 16, 64)
	if err != nil || mask&(1<<31-1) != 0 {
		t.Errorf("the child ignores %q (%v)", out.String(), err)
	}
	if !signal.Ignored(syscall.SIGHUP) || !signal.Ignored(syscall.SIGTERM) {
		t.Error("we don't ignore them any more")
	}
}

func TestProcessIsKnownByNumberAndStart(t *testing.T) {
	cmd := start(t, "sleep 60")
	p, err := proc.Identify("sleeper", cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	other := p
	other.Start++
	if !p.Alive() || other.Alive() {
		t.Errorf("alive: %v, and one that started later by the same number: %v", p.Alive(), other.Alive())
	}
	if err := other.Kill(t.Context(), syscall.SIGKILL, time.Second); err != nil || !p.Alive() {
		t.Errorf("killing the other: %v, alive: %v", err, p.Alive())
	}
}

func TestKillEndsAGroupThatDoesNotListen(t *testing.T) {
	cmd := start(t, "trap '' TERM; sleep 60 & wait; wait")
	p, err := proc.Identify("deaf", cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(t.Context(), syscall.SIGTERM, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("still alive")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := p.Kill(ctx, syscall.SIGTERM, time.Second); err != nil {
		t.Errorf("killing what is gone: %v", err)
	}
}

func TestRecordsAreReadBackWhileTheirProcessLives(t *testing.T) {
	dir := t.TempDir()
	p, err := proc.Identify("sleeper", start(t, "sleep 60").Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	dead := proc.Process{Name: "dead", PID: p.PID, Start: 1}
	for name, each := range map[string]proc.Process{"a.pid": p, "b.pid": dead} {
		if err := each.Save(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := proc.Load(filepath.Join(dir, "*.pid"))
	if err != nil || len(alive) != 1 || alive[0] != p {
		t.Errorf("loaded %v, %v, want %v", alive, err, p)
	}
	if err := os.WriteFile(filepath.Join(dir, "c.pid"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := proc.Load(filepath.Join(dir, "*.pid")); err == nil {
		t.Error("a broken record is no error")
	}
}

func TestParseSignal(t *testing.T) {
	for name, want := range map[string]syscall.Signal{
		"SIGINT": syscall.SIGINT, "sigterm": syscall.SIGTERM, "HUP": syscall.SIGHUP, "SIGFOO": 0, "": 0,
	} {
		got, err := proc.ParseSignal(name)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q is %v, %v, want %v", name, got, err, want)
		}
	}
}

func TestSignalGroupRefusesEverybody(t *testing.T) {
	for _, pid := range []int{-1, 0, 1} {
		if err := proc.SignalGroup(pid, syscall.Signal(0)); err == nil {
			t.Errorf("group %d is signalled", pid)
		}
	}
}

func TestKillMarkedFindsWhatHasLeftItsGroup(t *testing.T) {
	mark := "WEIR_TEST_MARK=" + t.TempDir()
	group := func(env ...string) proc.Process {
		cmd := exec.Command("/bin/sleep", "60")
		cmd.Env = env
		proc.Tie(cmd)
		if err := proc.Start(cmd); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		p, err := proc.Identify("sleeper", cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	marked, other := group("A=1", mark, "Z=1"), group("A=1", mark+"0")
	proc.KillMarked(mark, "A=1")
	for marked.Alive() {
		time.Sleep(time.Millisecond) // SIGKILL has been sent
	}
	if !other.Alive() {
		t.Error("another process is killed")
	}
	if proc.KillMarked(); !other.Alive() {
		t.Error("no marks mean every process")
	}
}

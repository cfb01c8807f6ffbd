package parts_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/proc"
)

// shell is a child that runs a script.
func shell(script string) parts.Child {
	return parts.Child{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Tied: true, StopTimeout: 100 * time.Millisecond,
	}
}

func TestSuperviseRestartsUntilItsContextEnds(t *testing.T) {
	c := shell("exit 3")
	c.Restart, c.BackoffMin = true, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	starts := 0
	c.OnStart = func(*parts.Running) {
		if starts++; starts == 3 {
			cancel()
		}
	}
	if err := parts.Supervise(ctx, c); err != nil || starts != 3 {
		t.Errorf("ended with %v after %d starts, want 3", err, starts)
	}
}

func TestSuperviseTellsHowAChildEnded(t *testing.T) {
	err := parts.Supervise(t.Context(), shell("exit 3"))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error is %v, want exit status 3", err)
	}
	if err := parts.Supervise(t.Context(), shell("exit 0")); err != nil {
		t.Error(err)
	}
	missing := parts.Child{Name: "missing", Path: "/no/such/program", Restart: true}
	if err := parts.Supervise(t.Context(), missing); err == nil {
		t.Error("a program that does not exist is started")
	}
}

func TestStopKillsAGroupThatDoesNotListen(t *testing.T) {
	dir := t.TempDir()
	state, out := filepath.Join(dir, "child.pid"), filepath.Join(dir, "out")
	log, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := shell("trap '' TERM; sleep 60 & echo $!; wait; sleep 60")
	c.Log, c.StateFile = log, state
	r, err := parts.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	if alive, err := proc.Load(state); err != nil || len(alive) != 1 || alive[0].PID != r.PID() {
		t.Errorf("recorded %v, %v", alive, err)
	}
	sleeper, err := strconv.Atoi(firstLine(t, out))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for p, err := proc.Identify("sleeper", sleeper); err == nil && p.Alive(); {
		time.Sleep(time.Millisecond) // SIGKILL has been sent; init tells us nothing of its end
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("the record is still there: %v", err)
	}
	if err := r.Stop(); err != nil {
		t.Errorf("stopping again: %v", err)
	}
}

func TestStopUsesTheChildsSignal(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	log, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := shell("trap 'exit 7' INT; echo ready; while :; do sleep 0.01; done")
	c.StopSignal, c.StopTimeout, c.Log = syscall.SIGINT, 5*time.Second, log
	r, err := parts.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	firstLine(t, out)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("ended with %v, want exit status 7", err)
	}
}

// firstLine waits for the first line of a file.
func firstLine(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if line, _, found := strings.Cut(string(text), "\n"); found {
			return line
		}
	}
	t.Fatalf("%s stays empty", path)
	return ""
}

package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/weirhq/weir/internal/proc"
)

// Child is a program to run in a process group of its own.
type Child struct {
	Name string   // for messages
	Path string   // the binary
	Args []string // without the program's name
	Env  []string // added to this process's environment
	Dir  string   // working directory; "" for this process's

	Log io.Writer // standard output and error; nil for nowhere. An *os.File is handed over, so output survives us

	StopSignal  syscall.Signal // asks it to end; default SIGTERM. consul-template wants SIGINT
	StopTimeout time.Duration  // how long it may take to end before SIGKILL; default 5 s
	Tied        bool           // ends when this process ends, however that does; only on Linux
	StateFile   string         // if set, holds a proc.Process while the child runs, for those who come after a crash

	// What follows is for Supervise only.

	Restart    bool          // start it again when it ends by itself
	BackoffMin time.Duration // pause before the first restart, doubled each time; default 100 ms
	BackoffMax time.Duration // longest pause; default 5 s. A run longer than this starts over at BackoffMin
	OnStart    func(*Running)
	Logger     *slog.Logger // told of each end and restart; nil for nobody
}

func (c Child) withDefaults() Child {
	if c.StopSignal == 0 {
		c.StopSignal = syscall.SIGTERM
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = 5 * time.Second
	}
	if c.BackoffMin == 0 {
		c.BackoffMin = 100 * time.Millisecond
	}
	if c.BackoffMax == 0 {
		c.BackoffMax = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Running is a child that has been started.
type Running struct {
	child Child
	cmd   *exec.Cmd
	done  chan struct{}
	err   error // how it ended; read after done
}

// Start starts the child. The caller stops it with Stop.
func Start(c Child) (*Running, error) {
	c = c.withDefaults()
	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // Stop ends it, with its own signal
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	cmd.WaitDelay = time.Second // for output of what the child started and left behind
	if c.Tied {
		proc.Tie(cmd)
	}
	if err := proc.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	r := &Running{child: c, cmd: cmd, done: make(chan struct{})}
	go r.wait()
	if err := r.record(); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func (r *Running) wait() {
	r.err = r.cmd.Wait()
	_ = proc.SignalGroup(r.PID(), syscall.SIGKILL) // what it left behind; there may be nothing
	if r.child.StateFile != "" {
		_ = os.Remove(r.child.StateFile) // a stale record is harmless: it names a process that is gone
	}
	close(r.done)
}

func (r *Running) record() error {
	if r.child.StateFile == "" {
		return nil
	}
	id, err := proc.Identify(r.child.Name, r.PID())
	if err != nil {
		return nil //nolint:nilerr // it has ended already; Done and Err tell
	}
	return id.Save(r.child.StateFile)
}

// PID returns the process number, which is also that of its group.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Done is closed when the child has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err says how the child ended, once Done is closed: nil for exit code 0.
func (r *Running) Err() error {
	<-r.done
	return r.err
}

// Signal sends sig to the child alone, not to its group: what nginx and consul-template expect of a reload.
func (r *Running) Signal(sig syscall.Signal) error {
	if err := r.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", r.child.Name, err)
	}
	return nil
}

// Stop asks the child to end, kills its group after the stop timeout and returns when it is gone.
func (r *Running) Stop() error {
	select {
	case <-r.done:
		return nil
	default:
	}
	if err := r.Signal(r.child.StopSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.child.StopTimeout)
	defer cancel()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	if err := proc.SignalGroup(r.PID(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", r.child.Name, err)
	}
	<-r.done
	return nil
}

//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// status --watch is a live tree on a terminal, plain lines elsewhere, and a line of JSON each time with -o json.
func TestStatusWatch(t *testing.T) {
	s := startBeside(t)
	s.must(ship("v1.0.0", quick...)...)
	plain := s.watch(nil, "status", model, "--watch")
	lines := s.watch(nil, "status", model, "--watch", "-o", "json")
	ours, theirs := terminal(t)
	tree := s.watch(theirs, "status", model, "--watch")
	tree.copyFrom(ours)
	s.must(ship("v1.1.0", append(quick, "--judge", "health")...)...)
	second := s.releaseOf("v1.1.0")
	for name, w := range map[string]*watched{"plain": plain, "json": lines, "terminal": tree} {
		s.until(20*time.Second, "the end of the rollout in the "+name+" watch", func() bool {
			last := w.last(name == "terminal")
			return strings.Contains(last, `"stable":{"release":"`+second) && strings.Contains(last, `"rollout":null`) ||
				strings.Contains(last, second+"  100 %") && !strings.Contains(last, "rollout")
		})
		if err := w.interrupt(); err != nil {
			t.Errorf("%s: %v, want that Ctrl-C ends it well", name, err)
		}
	}
	if text := plain.text(); strings.Contains(text, "\x1b") || !strings.Contains(text, "Baking") || strings.Count(text, "\n"+model+"\n") < 3 {
		t.Errorf("without a terminal, want plain lines with each state:\n%q", text)
	}
	if text := tree.text(); strings.Count(text, "\x1b[H\x1b[2J") < 3 || !strings.Contains(text, "└─ "+second) {
		t.Errorf("on a terminal, want a tree that is painted anew in its place:\n%q", text)
	}
	for line := range strings.Lines(lines.text()) {
		s.fields("status --watch", []byte(line))
	}
}

// watched is a command that goes on showing something.
type watched struct {
	cmd *exec.Cmd

	mu  sync.Mutex
	out bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.ReplaceAll(w.out.String(), "\r\n", "\n")
}

// last is what was shown last: after the last repaint, or the last line; of plain text, the last two states of a model
// that has one instance line each.
func (w *watched) last(repainted bool) string {
	text := strings.TrimSpace(w.text())
	if repainted {
		return text[strings.LastIndex(text, "\x1b[2J")+1:]
	}
	if i := strings.LastIndex(text, "\n"+model+"\n"); i >= 0 {
		return text[i:]
	}
	return text[strings.LastIndex(text, "\n")+1:]
}

// watch starts a command, on a terminal if one is given.
func (s *system) watch(tty *os.File, args ...string) *watched {
	s.t.Helper()
	w := &watched{cmd: s.command(args...)}
	w.cmd.Stdout, w.cmd.Stderr = w, s.t.Output()
	if tty != nil {
		w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = tty, tty, tty
	}
	if err := w.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = w.cmd.Process.Kill() // it has ended, unless the test failed
		_ = w.cmd.Wait()
	})
	return w
}

func (w *watched) copyFrom(f *os.File) {
	go func() { _, _ = io.Copy(w, f) }() // ends with the terminal
}

func (w *watched) interrupt() error {
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return w.cmd.Wait()
}

// terminal opens a pseudo-terminal.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	return ours, theirs
}

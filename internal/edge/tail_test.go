package edge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// log is a log file as nginx and a rotating ingress treat it.
type log struct {
	t    *testing.T
	path string
	file *os.File // that nginx has open
}

func newLog(t *testing.T) *log {
	t.Helper()
	l := &log{t: t, path: filepath.Join(t.TempDir(), "access.log")}
	l.reopen()
	t.Cleanup(func() { _ = l.file.Close() })
	return l
}

func (l *log) reopen() {
	l.t.Helper()
	if l.file != nil {
		_ = l.file.Close()
	}
	var err error
	if l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) write(text string) {
	l.t.Helper()
	if _, err := l.file.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) rename() {
	l.t.Helper()
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) tail() *Tail {
	l.t.Helper()
	tail, err := OpenTail(l.path, l.path+".state")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = tail.Close() })
	return tail
}

func (l *log) wants(tail *Tail, want string) {
	l.t.Helper()
	var got []string
	for more := true; more; {
		lines, again, err := tail.Read()
		if err != nil {
			l.t.Fatal(err)
		}
		for _, line := range lines {
			got = append(got, string(line))
		}
		more = again
	}
	if text := strings.Join(got, " "); text != want {
		l.t.Errorf("read %.100q, want %.100q", text, want)
	}
}

func TestTailReadsEachLineOnce(t *testing.T) {
	l := newLog(t)
	l.write("before\n")
	tail := l.tail()
	l.wants(tail, "") // what was there before the first start was nobody's to count
	l.write("a\nb\nhal")
	l.wants(tail, "a b")
	l.write("f\n")
	l.wants(tail, "half")

	l.rename()
	l.write("late 1\n") // nginx has not opened a new one yet
	l.reopen()
	l.write("new 1\n")
	l.wants(tail, "late 1 new 1")

	old := l.file // a worker that opens the new log later
	l.file = nil
	l.rename()
	l.reopen()
	l.write("new 2\n")
	if _, err := old.WriteString("late 2\n"); err != nil {
		t.Fatal(err)
	}
	l.wants(tail, "late 2 new 2")
	l.rename() // the one that the late worker has open is gone from the folder
	l.reopen()
	if _, err := old.WriteString("later 2\n"); err != nil {
		t.Fatal(err)
	}
	_ = old.Close()
	l.wants(tail, "later 2")
	tail.drop(time.Now().Add(time.Hour))
	if len(tail.files) != 1 {
		t.Errorf("%d files stay open", len(tail.files))
	}
}

func TestTailGoesOnWhereTheLastOneEnded(t *testing.T) {
	l := newLog(t)
	tail := l.tail()
	l.write("a\n")
	l.wants(tail, "a")
	l.write("b\n")
	if err := tail.Close(); err != nil { // as in a crash: nothing is saved here
		t.Fatal(err)
	}
	l.rename()
	l.write("c\n")
	l.reopen()
	l.write("d\n")
	tail = l.tail()
	l.wants(tail, "b c d")
	if err := os.Truncate(l.path, 0); err != nil {
		t.Fatal(err)
	}
	l.wants(tail, "")
	l.write("e\n")
	l.wants(tail, "e")
	if err := os.WriteFile(l.path+".state", []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.write("f\n")
	l.wants(l.tail(), "") // it can't be told what was counted
}

func TestTailOfALongLog(t *testing.T) {
	l := newLog(t)
	tail := l.tail()
	line := strings.Repeat("x", 1000)
	l.write(strings.Repeat(line+"\n", 3000))
	l.wants(tail, strings.TrimSuffix(strings.Repeat(line+" ", 3000), " "))
}

func TestTailWithoutRoomForItsState(t *testing.T) {
	l := newLog(t)
	tail := l.tail()
	if err := os.Mkdir(l.path+".state.new", 0o700); err != nil { // writing it fails, as root too
		t.Fatal(err)
	}
	l.write("a\n")
	lines, _, err := tail.Read()
	if err == nil || len(lines) != 1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

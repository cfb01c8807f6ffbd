package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"
)

// Tail reads the lines of a log that is renamed to <path>.1 when it is large. How far it has read is kept in a file, so
// that the next process goes on there. It is not safe for concurrent use.
type Tail struct {
	path, statePath string
	files           []*following // in the order of their age; the last is at path
	saved           []position
}

// position is how far a file was read. A file is known by device and inode.
type position struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"` // behind the last whole line that was read
}

// following is a file that is being read.
type following struct {
	position
	file *os.File
	grew time.Time
}

const (
	chunk    = 1 << 20          // bytes that are read at once, and more than a line can have
	lingers  = 30 * time.Second // a renamed file that has not grown for so long gets no more lines
	mostOpen = 8                // renamed files that are still read
)

// OpenTail goes on where an earlier Tail with the same state ended. Without a state it begins behind what there is: those
// lines were somebody else's.
func OpenTail(path, statePath string) (*Tail, error) {
	t := &Tail{path: path, statePath: statePath}
	text, err := os.ReadFile(statePath)
	first := errors.Is(err, fs.ErrNotExist)
	if err != nil && !first {
		return nil, fmt.Errorf("read how far the log was read: %w", err)
	}
	if !first && json.Unmarshal(text, &t.saved) != nil {
		first = true // it can't be told what was counted: nothing is counted twice
	}
	for _, p := range t.saved {
		if err := t.resume(p); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	if err := t.follow(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if first && len(t.files) > 0 {
		f := t.files[len(t.files)-1]
		if f.Offset, err = f.file.Seek(0, io.SeekEnd); err != nil {
			return nil, errors.Join(fmt.Errorf("find the end of the log: %w", err), t.Close())
		}
	}
	return t, nil
}

// resume opens the file of a position, if it is still there.
func (t *Tail) resume(p position) error {
	for _, path := range []string{t.path, t.path + ".1"} {
		f, err := open(path)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if f.Device == p.Device && f.Inode == p.Inode {
			f.Offset = p.Offset
			t.files = append(t.files, f)
			return nil
		}
		_ = f.file.Close() // it was only looked at
	}
	return nil
}

// open opens a file; nil where there is none.
func open(path string) (*following, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // absence is a value here
	}
	if err != nil {
		return nil, fmt.Errorf("read nginx's log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read nginx's log: %w", err), file.Close())
	}
	f := &following{file: file, grew: time.Now()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		f.Device, f.Inode = st.Dev, st.Ino
	}
	return f, nil
}

// follow takes up the file that is at path now.
func (t *Tail) follow() error {
	f, err := open(t.path)
	if f == nil || err != nil {
		return err
	}
	for _, known := range t.files {
		if known.Device == f.Device && known.Inode == f.Inode {
			return f.file.Close()
		}
	}
	t.files = append(t.files, f)
	return nil
}

// Read returns whole lines that were written since the last Read, and whether there are more. How far it has read is
// saved before it returns: a process that ends then loses these lines, and none is ever counted twice. Where that can't
// be saved, the lines come with the error, and the next process begins behind what there is then.
func (t *Tail) Read() (lines [][]byte, more bool, err error) {
	if err := t.follow(); err != nil {
		return nil, false, err
	}
	for _, f := range t.files {
		text, full, err := f.read()
		if err != nil {
			return nil, false, err
		}
		for line := range bytes.Lines(text) {
			lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
		}
		more = more || full
	}
	t.drop(time.Now())
	return lines, more, t.save()
}

func (f *following) read() (text []byte, full bool, err error) {
	info, err := f.file.Stat()
	if err != nil {
		return nil, false, fmt.Errorf("read nginx's log: %w", err)
	}
	if info.Size() < f.Offset {
		f.Offset = 0 // emptied by somebody
	}
	if info.Size() == f.Offset {
		return nil, false, nil
	}
	buf := make([]byte, min(chunk, info.Size()-f.Offset))
	n, err := f.file.ReadAt(buf, f.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("read nginx's log: %w", err)
	}
	end := bytes.LastIndexByte(buf[:n], '\n') + 1
	if end == 0 && n == chunk {
		end = n // no line is that long
	}
	if end > 0 {
		f.grew = time.Now()
	}
	f.Offset += int64(end)
	return buf[:end], n == chunk, nil
}

// drop leaves renamed files that get no more lines.
func (t *Tail) drop(now time.Time) {
	for len(t.files) > 1 && (now.Sub(t.files[0].grew) > lingers || len(t.files) > mostOpen) {
		_ = t.files[0].file.Close() // it was only read
		t.files = t.files[1:]
	}
}

func (t *Tail) save() error {
	now := make([]position, len(t.files))
	for i, f := range t.files {
		now[i] = f.position
	}
	if slices.Equal(now, t.saved) {
		return nil
	}
	text, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("save how far the log was read: %w", err)
	}
	err = os.WriteFile(t.statePath+".new", text, 0o600)
	if err == nil {
		err = os.Rename(t.statePath+".new", t.statePath)
	}
	if err != nil {
		_ = os.Remove(t.statePath) // what it says is not true any more; it may not be there
		return fmt.Errorf("save how far the log was read: %w", err)
	}
	t.saved = now
	return nil
}

// Close ends the reading.
func (t *Tail) Close() error {
	var errs []error
	for _, f := range t.files {
		errs = append(errs, f.file.Close())
	}
	t.files = nil
	return errors.Join(errs...)
}

package applier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"syscall"
	"time"
)

// lock makes sure that one ingress at a time uses the state folder. The lock ends with the process.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the ingress's state folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: another ingress uses this state folder; stop it, or give this one a "+
			"folder of its own: %w", path, err), file.Close())
	}
	return file, nil
}

// loadKnown reads the last known good. A file that can't be read is told and not fatal: Consul knows the rest.
func loadKnown(path string, log *slog.Logger) known {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return known{}
	}
	var k known
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		log.Error("last known good can't be read, starting without it", "path", path, "err", err)
		return known{}
	}
	return k
}

// save writes the last known good as a whole or not at all.
func (k known) save(path string) error {
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the last known good: %w", err)
	}
	return replaceFile(path, text)
}

func replaceFile(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("save the ingress's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save the ingress's state: %w", err)
	}
	return nil
}

// fresh remembers when Consul's data were last proved fresh, over restarts, as the time of a file.
type fresh struct {
	path string
	at   time.Time
}

func loadFresh(path string) *fresh {
	f := &fresh{path: path}
	if info, err := os.Stat(path); err == nil {
		f.at = info.ModTime()
	}
	return f
}

func (f *fresh) touch(now time.Time) error {
	f.at = now
	err := os.Chtimes(f.path, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(f.path, nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember that Consul is fresh: %w", err)
	}
	return nil
}

// equal reports whether both remember the same.
func (k known) equal(other known) bool {
	return maps.EqualFunc(k.Models, other.Models, func(a, b knownModel) bool { return reflect.DeepEqual(a, b) })
}

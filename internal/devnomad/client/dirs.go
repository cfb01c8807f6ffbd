package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// allocDir is the folder of one allocation, laid out as Nomad does:
//
//	<data>/alloc/<id>/alloc/{data,logs,tmp}         shared by its tasks
//	<data>/alloc/<id>/<task>/{local,secrets,tmp}
//	<data>/alloc/<id>/<task>.pid                    the process that runs, see Leftovers
type allocDir struct{ root string }

// safeName keeps IDs and task names from leaving the folder.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

var errUnsafeName = errors.New("the name may hold letters, digits, _ . and - only, and must not be \"alloc\"")

func newAllocDir(dataDir, allocID string) (allocDir, error) {
	if !safeName.MatchString(allocID) {
		return allocDir{}, fmt.Errorf("make the folder of allocation %q: %w", allocID, errUnsafeName)
	}
	return allocDir{root: filepath.Join(dataDir, "alloc", allocID)}, nil
}

func (d allocDir) shared() string             { return filepath.Join(d.root, "alloc") }
func (d allocDir) logs() string               { return filepath.Join(d.root, "alloc", "logs") }
func (d allocDir) tmp() string                { return filepath.Join(d.root, "alloc", "tmp") }
func (d allocDir) task(name string) string    { return filepath.Join(d.root, name) }
func (d allocDir) local(name string) string   { return filepath.Join(d.root, name, "local") }
func (d allocDir) secrets(name string) string { return filepath.Join(d.root, name, "secrets") }
func (d allocDir) pidFile(name string) string { return filepath.Join(d.root, name+".pid") }

// make makes the folders of the allocation and of one task.
func (d allocDir) make(task string) error {
	if !safeName.MatchString(task) || task == "alloc" {
		return fmt.Errorf("make the folder of task %q: %w", task, errUnsafeName)
	}
	for _, sub := range []string{"data", "logs", "tmp"} {
		if err := os.MkdirAll(filepath.Join(d.shared(), sub), 0o755); err != nil {
			return fmt.Errorf("make the allocation folder: %w", err)
		}
	}
	for sub, mode := range map[string]os.FileMode{"local": 0o755, "secrets": 0o700, "tmp": 0o755} {
		if err := os.MkdirAll(filepath.Join(d.task(task), sub), mode); err != nil {
			return fmt.Errorf("make the folder of task %q: %w", task, err)
		}
	}
	return nil
}

// inherit moves what a sticky disk keeps from the predecessor's folder, if that was here: alloc/data and each task's local.
func (a *alloc) inherit() error {
	disk := a.group.EphemeralDisk
	if disk == nil || !or(disk.Sticky, false) || a.spec.PreviousAllocation == "" {
		return nil
	}
	from, err := newAllocDir(a.client.cfg.DataDir, a.spec.PreviousAllocation)
	if err != nil {
		return err
	}
	moves := map[string]string{filepath.Join(from.shared(), "data"): filepath.Join(a.dir.shared(), "data")}
	for name := range a.tasks {
		moves[from.local(name)] = a.dir.local(name)
	}
	for old, now := range moves {
		err := os.MkdirAll(filepath.Dir(now), 0o755)
		if err == nil {
			err = os.Rename(old, now)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take over the disk of allocation %s: %w", a.spec.PreviousAllocation, err)
		}
	}
	return nil
}

// open lets every user of a container into the folders that it has, and nobody on this machine into the allocation.
func (d allocDir) open(task string) error {
	err := os.Chmod(d.root, 0o710)
	for _, dir := range []string{
		d.shared(), filepath.Join(d.shared(), "data"), d.tmp(), d.local(task), d.secrets(task),
	} {
		err = errors.Join(err, os.Chmod(dir, 0o777)) //nolint:gosec // as Nomad does; the root above is closed
	}
	if err != nil {
		return fmt.Errorf("open the folders of task %q: %w", task, err)
	}
	return nil
}

func (d allocDir) remove() error {
	if err := os.RemoveAll(d.root); err != nil {
		return fmt.Errorf("remove the allocation folder: %w", err)
	}
	return nil
}

// inTask resolves a path of a jobspec, which is relative to the task's folder and must stay inside it.
func (d allocDir) inTask(task, path string) (string, error) {
	clean := filepath.Clean(path)
	if filepath.IsAbs(clean) {
		for _, dir := range [][2]string{
			{d.local(task), d.local(task)},
			{d.secrets(task), d.secrets(task)},
			{d.shared(), d.shared()},
			{inLocal, d.local(task)},
			{inSecrets, d.secrets(task)},
			{inAlloc, d.shared()}, // as a container sees them
		} {
			if rel, err := filepath.Rel(dir[0], clean); err == nil && filepath.IsLocal(rel) {
				return filepath.Join(dir[1], rel), nil
			}
		}
		return "", fmt.Errorf("path %q leaves the task's folder; use one under local/ or secrets/", path)
	}
	if !filepath.IsLocal(clean) {
		return "", fmt.Errorf("path %q leaves the task's folder; use one under local/ or secrets/", path)
	}
	return filepath.Join(d.task(task), clean), nil
}

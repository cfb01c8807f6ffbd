package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// A task writes its output straight into alloc/logs/<task>.<stdout|stderr>.<n>, so that it lives on when the agent is
// killed. The newest file has the highest number; the task keeps the file, not the name, so rotation gives the file
// that the task holds the next name and copies what is in it to the old one.

// rotateEvery is how often the size of the log files is looked at.
const rotateEvery = time.Second

// openLogs opens the log files of a task for its process and returns what closes them here.
func openLogs(cmd *exec.Cmd, task *api.Task, dir allocDir) (func(), error) {
	if unlogged(task.LogConfig) {
		return func() {}, nil
	}
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for typ, to := range map[string]*io.Writer{"stdout": &cmd.Stdout, "stderr": &cmd.Stderr} {
		path, err := newestLog(dir, task.Name, typ)
		if errors.Is(err, fs.ErrNotExist) {
			path, err = filepath.Join(dir.logs(), task.Name+"."+typ+".0"), nil
		}
		if err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("open the log of task %q: %w", task.Name, err)
		}
		files = append(files, file)
		*to = file
	}
	return closeAll, nil
}

// unlogged reports whether a task's output goes nowhere.
func unlogged(cfg *api.LogConfig) bool {
	return cfg != nil && (or(cfg.Disabled, false) || !or(cfg.Enabled, true))
}

// listLogs returns the log files of a task, oldest first.
func listLogs(dir allocDir, task, typ string) ([]string, error) {
	prefix := task + "." + typ + "."
	entries, err := os.ReadDir(dir.logs())
	if err != nil {
		return nil, fmt.Errorf("list the logs of task %q: %w", task, err)
	}
	var numbers []int
	for _, entry := range entries {
		if digits, found := strings.CutPrefix(entry.Name(), prefix); found {
			if n, err := strconv.Atoi(digits); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	paths := make([]string, len(numbers))
	for i, n := range numbers {
		paths[i] = filepath.Join(dir.logs(), prefix+strconv.Itoa(n))
	}
	return paths, nil
}

func newestLog(dir allocDir, task, typ string) (string, error) {
	paths, err := listLogs(dir, task, typ)
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("find the %s log of task %q: %w", typ, task, fs.ErrNotExist)
	}
	return paths[len(paths)-1], nil
}

// Folder returns the folder of an allocation, which an earlier client on the data folder may have made.
func (c *Client) Folder(allocID string) (string, error) {
	dir, err := newAllocDir(c.cfg.DataDir, allocID)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir.root); err != nil {
		return "", fmt.Errorf("find allocation %s: %w", allocID, ErrUnknownAlloc)
	}
	return dir.root, nil
}

// LogFiles returns every log file that is left of a task, oldest first; typ is "stdout" or "stderr".
func (c *Client) LogFiles(allocID, task, typ string) ([]string, error) {
	if typ != "stdout" && typ != "stderr" {
		return nil, fmt.Errorf("find the log of task %q: type is %q, not stdout or stderr", task, typ)
	}
	root, err := c.Folder(allocID)
	if err != nil {
		return nil, fmt.Errorf("find the log: %w", err)
	}
	paths, err := listLogs(allocDir{root}, task, typ)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return paths, err
}

// rotateLogs keeps the log files within their logs block until ctx ends.
func (c *Client) rotateLogs(ctx context.Context) {
	tick := time.NewTicker(rotateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, a := range c.all() {
			for _, t := range a.tasks {
				t.rotateLogs()
			}
		}
	}
}

func (t *task) rotateLogs() {
	if t.current() == nil {
		return
	}
	for _, typ := range []string{"stdout", "stderr"} {
		err := rotate(t.alloc.dir, t.spec.Name, typ, t.logLimits())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.alloc.client.log.Warn("log not rotated", "alloc", t.alloc.id, "task", t.spec.Name, "err", err)
		}
	}
}

type logLimits struct {
	files int
	bytes int64
}

func (t *task) logLimits() logLimits {
	limits := logLimits{files: 10, bytes: 10 << 20}
	if cfg := t.spec.LogConfig; cfg != nil {
		limits.files = max(1, or(cfg.MaxFiles, limits.files))
		limits.bytes = int64(max(1, or(cfg.MaxFileSizeMB, 10))) << 20
	}
	return limits
}

// rotate starts a new log file if the newest has reached its size, and removes the oldest over the limit.
func rotate(dir allocDir, task, typ string, limits logLimits) error {
	path, err := newestLog(dir, task, typ)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() < limits.bytes {
		return err
	}
	dot := strings.LastIndexByte(path, '.')
	n, err := strconv.Atoi(path[dot+1:])
	if err != nil {
		return fmt.Errorf("rotate log %s: %w", path, err)
	}
	next := path[:dot+1] + strconv.Itoa(n+1)
	if err := os.Rename(path, next); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	if err := moveContent(next, path); err != nil {
		return fmt.Errorf("rotate log %s: %w", path, err)
	}
	paths, err := listLogs(dir, task, typ)
	for i := 0; err == nil && i < len(paths)-limits.files; i++ {
		err = os.Remove(paths[i])
	}
	return err
}

// moveContent copies a file that somebody appends to and empties it. What is written between the last read and the
// truncation is lost, as with every log that is rotated under its writer.
func moveContent(from, to string) error {
	src, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		return errors.Join(err, dst.Close())
	}
	return errors.Join(src.Truncate(0), dst.Close())
}

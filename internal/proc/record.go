package proc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Process names a process for longer than its number lives: a PID is reused, a PID with its start time is not.
type Process struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot, as /proc/<pid>/stat has it
}

// Identify returns the Process that runs as pid now.
func Identify(name string, pid int) (Process, error) {
	start, err := startTime(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{Name: name, PID: pid, Start: start}, nil
}

// startTime reads field 22 of /proc/<pid>/stat (proc(5)). The command name before it may hold spaces and brackets.
// A zombie counts as gone.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" {
		return 0, fmt.Errorf("read the start time of process %d: %w", pid, os.ErrProcessDone)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// Alive reports whether exactly this process still runs.
func (p Process) Alive() bool {
	start, err := startTime(p.PID)
	return err == nil && start == p.Start
}

// Kill sends sig to the process group, waits up to grace for its leader to end, then kills the group.
func (p Process) Kill(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	if !p.Alive() {
		return nil
	}
	if err := SignalGroup(p.PID, sig); err != nil {
		return err
	}
	if !p.ended(ctx, grace) {
		if err := SignalGroup(p.PID, syscall.SIGKILL); err != nil {
			return err
		}
		if !p.ended(context.WithoutCancel(ctx), 5*time.Second) {
			return fmt.Errorf("kill %s (process %d): still running 5 s after SIGKILL", p.Name, p.PID)
		}
	}
	// What the leader left behind in its group.
	return SignalGroup(p.PID, syscall.SIGKILL)
}

// ended waits for the end of a process that is not our child, of which the system sends no event to the unprivileged.
func (p Process) ended(ctx context.Context, grace time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.Alive() {
		select {
		case <-ctx.Done():
			return !p.Alive()
		case <-tick.C:
		}
	}
	return true
}

// Save writes the process to path, as a whole or not at all.
func (p Process) Save(path string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode process %s: %w", p.Name, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("record process %s: %w", p.Name, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("record process %s: %w", p.Name, err)
	}
	return nil
}

// Load reads the processes recorded in the files that match pattern (filepath.Glob) and returns those that still run.
func Load(pattern string) ([]Process, error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("look for process records %s: %w", pattern, err)
	}
	var alive []Process
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read process record: %w", err)
		}
		var p Process
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, fmt.Errorf("read process record %s: %w", path, err)
		}
		if p.Alive() {
			alive = append(alive, p)
		}
	}
	return alive, nil
}

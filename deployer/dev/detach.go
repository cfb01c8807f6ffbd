package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Detach starts `deployer dev` in the background and returns when the system is up.
func Detach(ctx context.Context, cfg Config, args []string) (Addresses, error) {
	var a Addresses
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return a, fmt.Errorf("make the state folder: %w", err)
	}
	logPath := cfg.path("dev.log")
	log, err := os.Create(logPath)
	if err != nil {
		return a, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return a, fmt.Errorf("make a pipe: %w", err)
	}
	defer read.Close()
	// It outlives this process: that is what it is for.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), cfg.Deployer, append([]string{"dev", "--dir", cfg.Dir, "--ready-fd", "3"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = write.Close() // the child's copy counts
	if err != nil {
		return a, fmt.Errorf("start %s: %w", cfg.Deployer, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := json.NewDecoder(read).Decode(&a); err != nil {
		said, _ := os.ReadFile(logPath)
		return a, fmt.Errorf("start the system: it ended before it was up; %s says:\n%s", logPath, said)
	}
	return a, nil
}

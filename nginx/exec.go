package nginx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// Exec waits until the ingress that works in the same folder has written a configuration, and then becomes nginx: it does
// not return unless that fails or ctx ends first. It is for a supervisor, such as Nomad, that runs nginx beside the
// ingress: then neither ends with the other.
func Exec(ctx context.Context, binary, dir string, log *slog.Logger) error {
	s := &Server{set: Settings{Binary: binary, Dir: dir}, log: log}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make nginx's folder: %w", err)
	}
	if err := awaitFile(ctx, s.path("nginx.conf")); err != nil {
		return fmt.Errorf("wait for nginx's configuration: %w", err)
	}
	s.killOrphans()
	if _, err := limitFiles(MaxFile); err != nil {
		return err
	}
	return fmt.Errorf("start %s: %w", binary, syscall.Exec(binary, append([]string{binary}, s.arguments()...), os.Environ()))
}

// awaitFile returns when there is a file of this name in a folder that exists.
func awaitFile(ctx context.Context, path string) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-watcher.Events:
		case err := <-watcher.Errors:
			return err
		}
	}
}

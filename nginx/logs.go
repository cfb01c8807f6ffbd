package nginx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// RotateLogs renames each log in the folder that is larger than limit bytes to <name>.1, replacing the one before, and
// lets nginx open new ones.
func (s *Server) RotateLogs(limit int64) error {
	paths, err := filepath.Glob(s.path("logs", "*.log"))
	if err != nil {
		return fmt.Errorf("look for nginx's logs: %w", err)
	}
	moved := false
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Size() <= limit {
			continue
		}
		if err := os.Rename(path, path+".1"); err != nil {
			return fmt.Errorf("rotate nginx's log: %w", err)
		}
		moved = true
	}
	if !moved {
		return nil
	}
	master, err := s.master()
	if err != nil {
		return nil //nolint:nilerr // it opens new logs when it starts
	}
	if err := syscall.Kill(master, syscall.SIGUSR1); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("let nginx open new logs: %w", err)
	}
	return nil
}

package nginx

import (
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/weirhq/weir/internal/parts"
)

// MaxFile is the size in bytes past which nginx writes to no file: the bound of its logs while the ingress, which rotates
// them long before, does not run. Bodies that nginx buffers on disk are bounded by it, too.
const MaxFile = 256 << 20

// limitFiles bounds the files that processes started from now on write (RLIMIT_FSIZE, setrlimit(2)). A write past the
// bound fails with EFBIG instead of ending the process: nginx goes on serving, and tries its log again later.
func limitFiles(size int64) (restore func() error, err error) {
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return nil, fmt.Errorf("read the limit of file sizes: %w", err)
	}
	limited := was
	limited.Cur = min(was.Max, uint64(max(size, 0))) //nolint:gosec // not negative
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		return nil, fmt.Errorf("limit the size of files: %w", err)
	}
	return func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was) }, nil
}

// startLimited starts a child whose files are bounded. Meanwhile, so are those of this process.
func (s *Server) startLimited(c parts.Child) (*parts.Running, error) {
	size := s.set.MaxFile
	if size == 0 {
		size = MaxFile
	}
	restore, err := limitFiles(size)
	if err != nil {
		return nil, err
	}
	r, err := parts.Start(c)
	return r, errors.Join(err, restore())
}

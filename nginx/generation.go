package nginx

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A generation is one written configuration: "<number>-<digest of its content>". The number grows with each, so that no
// name comes twice and a drain flag never meets workers that start later.

// digest names the content of a configuration without its generation.
func (s *Server) digest(site Site) (string, error) {
	text, err := render(s.set, site, "", s.keepaliveMin)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), nil
}

func (s *Server) confPath(generation string) string { return s.path("conf", generation+".conf") }

// current returns the generation that nginx.conf names, "" for none.
func (s *Server) current() string {
	target, err := os.Readlink(s.path("nginx.conf"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(target), ".conf")
}

// Serves reports whether nginx.conf already has the content of site.
func (s *Server) Serves(site Site) (bool, error) {
	sum, err := s.digest(site)
	if err != nil {
		return false, err
	}
	_, have, _ := strings.Cut(s.current(), "-")
	return have == sum, nil
}

// stage writes the configuration of site as a new generation and checks it with `nginx -t`.
func (s *Server) stage(ctx context.Context, site Site) (string, error) {
	sum, err := s.digest(site)
	if err != nil {
		return "", err
	}
	number, err := s.nextNumber()
	if err != nil {
		return "", err
	}
	generation := fmt.Sprintf("%08d-%s", number, sum)
	text, err := render(s.set, site, generation, s.keepaliveMin)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(s.confPath(generation), text, 0o644); err != nil {
		return "", fmt.Errorf("write nginx's configuration: %w", err)
	}
	if err := s.test(ctx, s.confPath(generation)); err != nil {
		refused := s.path("conf", "refused.conf")
		return "", errors.Join(fmt.Errorf("check nginx's configuration, kept as %s: %w", refused, err),
			os.Rename(s.confPath(generation), refused))
	}
	return generation, s.saveSite(generation, site)
}

// nextNumber is one more than the highest generation in the folder.
func (s *Server) nextNumber() (uint64, error) {
	names, err := s.generations()
	if err != nil {
		return 0, err
	}
	var highest uint64
	for _, name := range append(names, s.current()) {
		text, _, _ := strings.Cut(name, "-")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			highest = max(highest, n)
		}
	}
	return highest + 1, nil
}

// generations lists what is in the folder, oldest first.
func (s *Server) generations() ([]string, error) {
	paths, err := filepath.Glob(s.path("conf", "*-*.conf"))
	if err != nil {
		return nil, fmt.Errorf("list nginx's configurations: %w", err)
	}
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(path), ".conf")
	}
	slices.Sort(paths)
	return paths, nil
}

// test runs `nginx -t`.
func (s *Server) test(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.set.Binary, "-t", "-q", "-p", s.set.Dir,
		"-e", s.path("logs", "error.log"), "-c", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("nginx -t: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// point makes nginx.conf name the generation, in one step.
func (s *Server) point(generation string) error {
	tmp := s.path("nginx.conf.new")
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("switch nginx's configuration: %w", err)
	}
	if err := os.Symlink(filepath.Join("conf", generation+".conf"), tmp); err != nil {
		return fmt.Errorf("switch nginx's configuration: %w", err)
	}
	if err := os.Rename(tmp, s.path("nginx.conf")); err != nil {
		return fmt.Errorf("switch nginx's configuration: %w", err)
	}
	return nil
}

// kept is how many configurations stay in the folder, to look back at.
const kept = 10

// prune removes old configurations.
func (s *Server) prune() {
	names, err := s.generations()
	if err != nil {
		return
	}
	for _, name := range names[:max(0, len(names)-kept)] {
		if name != s.current() {
			_, _ = os.Remove(s.confPath(name)), os.Remove(s.sitePath(name)) // tried again next time
		}
	}
}

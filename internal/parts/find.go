package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNotFound is wrapped by what Find returns when a part is nowhere and can't be built.
var ErrNotFound = errors.New("not found")

// Options says how Find may look.
type Options struct {
	Progress io.Writer // where notes and the progress of a build go; nil for nowhere
	CacheDir string    // default: CacheDir()
	Source   string    // root of a checkout of Weir; default: Source()
	NoBuild  bool      // only look, don't build
}

// Find returns the path of a part's binary. It takes, in this order: the one that the part's environment variable
// names, the one on PATH if it is not too old, the cached one, and one that it builds into the cache from the pinned
// version. With none of these the error wraps ErrNotFound and says what to do.
func Find(ctx context.Context, p Part, opts Options) (string, error) {
	if opts.Progress == nil {
		opts.Progress = io.Discard
	}
	if path := os.Getenv(p.Env); path != "" {
		return p.named(ctx, path)
	}
	if path := p.onPath(ctx, opts.Progress); path != "" {
		return path, nil
	}
	if p.module == "" {
		return "", fmt.Errorf("find %s: %w on PATH nor in %s; %s", p.Name, ErrNotFound, p.Env, p.install)
	}
	dir, err := cacheDir(opts)
	if err != nil {
		return "", err
	}
	cached := filepath.Join(dir, p.Name+"-"+p.Version)
	if runnable(cached) {
		return cached, nil
	}
	if opts.NoBuild {
		return "", fmt.Errorf("find %s: %w in %s, on PATH nor at %s", p.Name, ErrNotFound, p.Env, cached)
	}
	return cached, p.build(ctx, cached, opts)
}

// named takes the binary that the user names: any version, but it must be one.
func (p Part) named(ctx context.Context, path string) (string, error) {
	if _, err := p.versionOf(ctx, path); err != nil {
		return "", fmt.Errorf("find %s by %s=%s: %w", p.Name, p.Env, path, err)
	}
	return filepath.Abs(path)
}

// onPath returns the binary on PATH, or "" if there is none that will do, and says why.
func (p Part) onPath(ctx context.Context, notes io.Writer) string {
	for _, name := range append([]string{p.Name}, p.alsoAt...) {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		v, err := p.versionOf(ctx, path)
		switch {
		case err != nil:
			fmt.Fprintf(notes, "%s: not used: %v\n", p.Name, err)
		case v.before(p.oldest):
			fmt.Fprintf(notes, "%s: %s is version %s, Weir needs %s or newer: not used\n", p.Name, path, v, p.oldest)
		case p.closed != version{} && !v.before(p.closed):
			fmt.Fprintf(notes, "%s: %s is version %s, which is not open source (the last such is %s): used as you have it\n",
				p.Name, path, v, p.closedBefore)
			return path
		default:
			return path
		}
	}
	return ""
}

// CacheDir is where built parts are kept: $XDG_CACHE_HOME/weir, or ~/.cache/weir.
func CacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder: %w; set XDG_CACHE_HOME", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "weir"), nil
}

func cacheDir(opts Options) (string, error) {
	if opts.CacheDir != "" {
		return opts.CacheDir, nil
	}
	return CacheDir()
}

func runnable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

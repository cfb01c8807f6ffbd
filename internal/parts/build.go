package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// build makes the binary at path from the nested module. Of two processes that want it at the same time one builds.
func (p Part) build(ctx context.Context, path string, opts Options) error {
	source, err := p.source(path, opts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	unlock, err := lock(ctx, path+".lock", func() {
		fmt.Fprintf(opts.Progress, "%s: another process builds it, waiting\n", p.Name)
	})
	if err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	defer unlock()
	if runnable(path) {
		return nil
	}
	return p.compile(ctx, source, path, opts.Progress)
}

// source returns the folder of the nested module.
func (p Part) source(path string, opts Options) (string, error) {
	root := opts.Source
	if root == "" {
		found, err := Source()
		if err != nil {
			return "", fmt.Errorf("find %s: %w in %s, on PATH nor at %s, and it can't be built: no checkout of Weir here; run: "+
				"git clone https://%s && cd weir/%s && go build -o %s %s",
				p.Name, ErrNotFound, p.Env, path, modulePath, p.module, path, p.pkg)
		}
		root = found
	}
	return filepath.Join(root, p.module), nil
}

// compile counts what is to be built, builds it beside path and moves it there when it is whole.
func (p Part) compile(ctx context.Context, source, path string, progress io.Writer) error {
	start := time.Now()
	fmt.Fprintf(progress, "%s %s: building once from source (kept as %s)\n", p.Name, p.Version, path)
	total, err := p.countStale(ctx, source, progress)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	bar := &counter{out: progress, total: total, label: p.Name + " " + p.Version + ": compiled"}
	if _, err := runGo(ctx, source, bar, "build", "-v", "-o", tmp, p.pkg); err != nil {
		return errors.Join(fmt.Errorf("build %s in %s: %w", p.Name, source, err), ignoreMissing(os.Remove(tmp)))
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	fmt.Fprintf(progress, "%s %s: built in %s\n", p.Name, p.Version, time.Since(start).Round(time.Second))
	return nil
}

// countStale fetches the modules and returns how many packages the build will compile.
func (p Part) countStale(ctx context.Context, source string, progress io.Writer) (int, error) {
	bar := &counter{out: progress, label: p.Name + " " + p.Version + ": fetched modules", prefix: "go: downloading "}
	out, err := runGo(ctx, source, bar, "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", p.pkg)
	if err != nil {
		return 0, fmt.Errorf("list the packages of %s in %s: %w", p.Name, source, err)
	}
	return len(strings.Fields(string(out))), nil
}

// runGo runs the go command in dir; its standard error goes to bar, and its end into the error.
func runGo(ctx context.Context, dir string, bar *counter, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, bar
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%w; install Go 1.26 or newer", err)
		}
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, bar.last())
	}
	return out.Bytes(), nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

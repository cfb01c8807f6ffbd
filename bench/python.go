package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed python
var python embed.FS

func (p *plan) script(name string) string { return filepath.Join(p.work, "python", name) }

// models is the folder of the models, keyed by the script that makes them.
func (p *plan) models(name string) string { return filepath.Join(p.cache, "models-"+p.key(), name) }

func (p *plan) key() string {
	return digest(p.script("make_models.py"), p.script("requirements-libraries.txt"))
}

func digest(paths ...string) string {
	h := sha256.New()
	for _, path := range paths {
		b, _ := os.ReadFile(path) // it was written by this process
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// prepare makes the environments and, in the first run, the models.
func prepare(ctx context.Context, p *plan, r *results) error {
	for _, program := range []string{"python3", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not there: install it (wrk: apt install wrk); `make bench-go` does without", program)
		}
	}
	r.failed = map[string]error{}
	for _, name := range []string{"libraries", "fastapi", "mlserver", "bentoml"} {
		if err := p.venv(ctx, name); err != nil {
			if name == "libraries" || ctx.Err() != nil {
				return err
			}
			r.failed[name] = err // it is left out, and the results say so
		}
	}
	if _, err := os.Stat(p.models("done")); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "  training the models, once: a few minutes")
	if err := command(ctx, p.python("libraries"), p.script("make_models.py"), p.models("")); err != nil {
		return err
	}
	return os.WriteFile(p.models("done"), nil, 0o600)
}

// folder is the environment of that name, keyed by its requirements.
func (p *plan) folder(name string) string {
	return filepath.Join(p.cache, name+"-"+digest(p.script("requirements-"+name+".txt")))
}

func (p *plan) program(venv, name string) string { return filepath.Join(p.folder(venv), "bin", name) }

func (p *plan) python(venv string) string { return p.program(venv, "python") }

// venv makes an environment if it isn't there.
func (p *plan) venv(ctx context.Context, name string) error {
	done := filepath.Join(p.folder(name), "done")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "  installing %s from PyPI, once\n", name)
	err := errors.Join(os.RemoveAll(p.folder(name)), os.MkdirAll(p.cache, 0o755))
	if err == nil {
		err = command(ctx, "python3", "-m", "venv", p.folder(name))
	}
	if err == nil {
		err = command(ctx, p.python(name), "-m", "pip", "install", "-q", "--disable-pip-version-check",
			"-r", p.script("requirements-"+name+".txt"))
	}
	if err != nil {
		return fmt.Errorf("install %s: %w", name, err)
	}
	return os.WriteFile(done, nil, 0o600)
}

// command runs a program to its end; an error has the last of what it said.
func command(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}

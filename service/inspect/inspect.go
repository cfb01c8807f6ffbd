// Package inspect says what is in a model file, whether this server can serve it, and what is suspicious about it.
// Nothing of the file is run, and no request is served.
package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit codes.
const (
	ExitServes     = 0 // the model can be served
	ExitError      = 1 // it can't, or the file can't be read
	ExitUsage      = 2
	ExitSuspicious = 5 // the file holds what no training writes
)

const usage = `Usage: inference inspect [-o text|json] FILE

Says what is in a model file: its estimators, the library that wrote it, its format and digest, what it takes and
gives, and whether this server can serve it. Nothing of the file is run.

Exit codes: 0 the model can be served, 1 it can't (the reason names the class or parameter), 2 usage, 5 suspicious: the
file names functions that Python would run, or holds what no training writes. Don't load such a file with Python.
`

// Run inspects the file that args name and returns the exit code.
func Run(args []string, out, errs io.Writer) int {
	format, path, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return ExitServes
	case err != nil:
		fmt.Fprintf(errs, "inference: inspect: %v; see inference inspect -h\n", err)
		return ExitUsage
	}
	data, err := read(path)
	if err != nil {
		fmt.Fprintln(errs, "inference:", err)
		return ExitError
	}
	sum := sha256.Sum256(data)
	r := newReport(data)
	r.File, r.Digest = path, "sha256:"+hex.EncodeToString(sum[:])
	if format == "json" {
		err = r.writeJSON(out)
	} else {
		err = r.writeText(out)
	}
	if err != nil {
		fmt.Fprintln(errs, "inference: write the report:", err)
		return ExitError
	}
	return r.exitCode()
}

// parse reads the arguments; flags may stand in front of the file or behind it.
func parse(args []string) (format, path string, err error) {
	fs := flag.NewFlagSet("inspect", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&format, "o", "text", "")
	fs.StringVar(&format, "output", "text", "")
	var paths []string
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return "", "", err
		}
		if args = fs.Args(); len(args) > 0 {
			paths, args = append(paths, args[0]), args[1:]
		}
	}
	if len(paths) != 1 {
		return "", "", fmt.Errorf("want one file, not %d", len(paths))
	}
	if format != "text" && format != "json" {
		return "", "", fmt.Errorf("output %q: want text or json", format)
	}
	return format, paths[0], nil
}

// maxFile is the largest file that is read: what the server reads too.
const maxFile = 2 << 30

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("read model %s: want a file of at most %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	return data, nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (a *app) inspect() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "inspect MODEL_FILE",
		Short: "Say what is in a model file, whether it can be served, and what is suspicious about it",
		Long: `Says what is in a model file: its estimators, the library that wrote it, its format and digest, what it takes and
gives, and whether the inference server can serve it. Nothing of the file is run. The inference server itself is asked:
it is looked for beside this program, in bin and on PATH.

Exit codes: 0 the model can be served, 1 it can't (the reason names the class or parameter), 2 usage, 5 suspicious: the
file names functions that Python would run, or holds what no training writes. Don't load such a file with Python.`,
		Example: "  deployer inspect model.pkl\n  deployer inspect model.joblib -o json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			path, err := findServer(server)
			if err != nil {
				return err
			}
			return a.askServer(cmd.Context(), path, given[0])
		},
	}
	cmd.Flags().StringVar(&server, "inference", "", "the inference server's program")
	return cmd
}

// askServer runs `inference inspect` and passes on what it says and its exit code.
func (a *app) askServer(ctx context.Context, server, file string) error {
	cmd := exec.CommandContext(ctx, server, "inspect", "-o", a.format, "--", file)
	cmd.Stdout, cmd.Stderr = a.out, a.errs
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() > 0 {
		return &codeError{code: ended.ExitCode()}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", server, err)
	}
	return nil
}

// findServer returns the path of the inference server's program.
func findServer(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	places := []string{filepath.Join("bin", "inference")}
	if self, err := os.Executable(); err == nil {
		places = append([]string{filepath.Join(filepath.Dir(self), "inference")}, places...)
	}
	for _, path := range places {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return filepath.Abs(path)
		}
	}
	path, err := exec.LookPath("inference")
	if err != nil {
		return "", errors.New("find the inference server: it is not beside this program, not in bin and not on PATH: " +
			"build it with `make build`, or name it with --inference")
	}
	return path, nil
}

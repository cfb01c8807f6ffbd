// Package cli is the command line of the deployer.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// Exit codes.
const (
	exitDone       = 0
	exitError      = 1
	exitUsage      = 2
	exitRolledBack = 3
	exitHeld       = 4
)

// codeError carries an exit code with what there is to say, if that has not been said.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return fmt.Sprint(e.err) }
func (e *codeError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &codeError{exitUsage, fmt.Errorf(format, args...)}
}

// app is what the commands share.
type app struct {
	out, errs            io.Writer
	signals              <-chan os.Signal
	nomadAddr, consulURL string
	server               string // URL of a daemon; "": none
	place                place
	format               string // text or json
	verbose              bool
}

// Main runs the command line and returns the exit code. The first signal ends what can be ended in good order, the
// second one ends the program as it is.
func Main(ctx context.Context, args []string, signals <-chan os.Signal, out, errs io.Writer) int {
	a := &app{out: out, errs: errs, signals: signals}
	root := a.root() //nolint:contextcheck // each command gets the context when it runs
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	coded, ok := errors.AsType[*codeError](err)
	if !ok {
		coded = &codeError{exitError, err}
	}
	if coded.err != nil {
		fmt.Fprintf(errs, "deployer: %v\n", err)
	}
	return coded.code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "deployer",
		Short: "Roll out versions of ML models on Nomad and Consul, step by step, and take bad ones back",
		Long: `deployer brings a new version of a model up beside the old one, moves the traffic to it step by step through
nginx, promotes it, and takes it back by itself when it turns bad.

Nomad and Consul are found by their usual environment: NOMAD_ADDR, NOMAD_TOKEN, CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN.

Exit codes: 0 done, 1 error, 2 usage, 3 rolled back, 4 held for an operator, 5 suspicious model file.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &codeError{exitUsage, err} })
	f := root.PersistentFlags()
	f.StringVar(&a.nomadAddr, "nomad-addr", "", "Nomad's address (default: NOMAD_ADDR, else http://127.0.0.1:4646)")
	f.StringVar(&a.consulURL, "consul-addr", "",
		"Consul's address (default: CONSUL_HTTP_ADDR, else http://127.0.0.1:8500)")
	a.place.register(f)
	f.StringVar(&a.server, "server", "", "URL of a 'deployer serve' that takes promote, pause, resume, gate, abort, revert and\n"+
		"weights, with WEIR_TOKEN (default: WEIR_SERVER, else Consul takes them)")
	f.StringVarP(&a.format, "output", "o", "text", "text or json")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log what is done, on standard error")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.format != "text" && a.format != "json" {
			return usage("output %q: want text or json", a.format)
		}
		return nil
	}
	root.AddCommand(a.deploy(), a.plan(), a.lint(), a.status(), a.promote(), a.pause(), a.resume(), a.gate(), a.abort(),
		a.retry(), a.revert(), a.undo(), a.weights(), a.history(), a.explain(), a.inspect(), a.guard(), a.serve(), a.token(), a.ingress(), a.dev(),
		a.version())
	return root
}

// args wraps cobra's check of the arguments, so that it ends with the exit code of wrong usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := check(cmd, given); err != nil {
			return usage("%w\n\n%s", err, cmd.UsageString())
		}
		return nil
	}
}

func (a *app) log() *slog.Logger {
	level := slog.LevelError
	if a.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(a.errs, &slog.HandlerOptions{Level: level}))
}

// clients returns the clients of a Consul and a Nomad that were seen to answer.
func (a *app) clients(ctx context.Context) (*nomad.Client, *consul.Client, error) {
	c, err := a.consul(ctx)
	if err != nil {
		return nil, nil, err
	}
	n, err := a.nomad()
	if err != nil {
		return nil, nil, err
	}
	return n, c, n.Check(ctx)
}

// untilSignal returns a context that ends with the first signal.
func (a *app) untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-a.signals:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

func (a *app) nomad() (*nomad.Client, error) { return nomad.NewIn(a.nomadAddr, a.place.nomad()) }

func (a *app) consul(ctx context.Context) (*consul.Client, error) {
	c, err := consul.NewIn(a.consulURL, a.place.consul())
	if err != nil {
		return nil, err
	}
	return c, c.Check(ctx)
}

// whoami names the person at the keyboard for the record.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + guard.Who()
	}
	return guard.Who()
}

// ended turns the end of a rollout into the command's result.
func ended(rec rollout.Record, err error) error {
	switch {
	case err != nil:
		return err
	case rec.Phase == rollout.RolledBack:
		return &codeError{exitRolledBack, fmt.Errorf("%s was taken back: %s", rec.Release, rec.Reason)}
	}
	return nil
}

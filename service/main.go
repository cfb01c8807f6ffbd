// Command inference serves the predictions of one scikit-learn model over HTTP. Run it with -h for its settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/inspect"
	"github.com/weirhq/weir/service/server"
	"github.com/weirhq/weir/service/telemetry"
)

// Exit codes: 0 after a clean stop, 1 if the model or the server fails, 2 for wrong settings.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:]))
}

// What the first argument can ask for in place of a server: the health of a running one with the same settings, or what
// is in a model file.
const (
	healthcheckArg = "healthcheck"
	inspectArg     = "inspect"
)

// commands is the end of the help.
const commands = `
Beside the server:
  inference inspect FILE         say what is in a model file; see inference inspect -h
  inference healthcheck [flags]  ask the running server with these settings for its health
`

func run(ctx context.Context, args []string) int {
	if len(args) > 0 && args[0] == inspectArg {
		return inspect.Run(args[1:], os.Stdout, os.Stderr)
	}
	check := len(args) > 0 && args[0] == healthcheckArg
	if check {
		args = args[1:]
	}
	cfg, err := config.Parse("inference", args, os.Getenv, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(commands)
		return 0
	}
	if err != nil {
		return fail(err, 2)
	}
	if check {
		return healthcheck(ctx, cfg.ListenAddr)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	tracing, err := telemetry.Start(ctx, os.Getenv, log, cfg.ModelName, cfg.ModelRelease)
	if err != nil {
		return fail(err, 2)
	}
	if err := serve(ctx, server.Options{Config: cfg, Logger: log, Tracing: tracing}); err != nil {
		return fail(err, 1)
	}
	return 0
}

// headroom is how much garbage may come together before it is collected, on top of what the collector allows by itself:
// most models are so small that it would run some dozen times a second under load.
const headroom = 16 << 20

// serve runs the server until ctx ends, and then sends the last traces.
func serve(ctx context.Context, opts server.Options) error {
	ballast := make([]byte, headroom) // it is never written to, so it takes no memory: the collector only counts it
	defer runtime.KeepAlive(ballast)
	s, err := server.New(ctx, opts)
	if err != nil {
		return err
	}
	err = s.Run(ctx)
	if opts.Tracing == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if e := opts.Tracing.Stop(ctx); e != nil {
		opts.Logger.Warn("traces are lost", "err", e)
	}
	return err
}

func fail(err error, code int) int {
	fmt.Fprintln(os.Stderr, "inference:", err)
	return code
}

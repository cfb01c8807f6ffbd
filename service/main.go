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
	"syscall"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/server"
)

// Exit codes: 0 after a clean stop, 1 if the model or the server fails, 2 for wrong settings.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:]))
}

// healthcheckArg as the first argument asks a running server with the same settings for its health, and ends.
const healthcheckArg = "healthcheck"

func run(ctx context.Context, args []string) int {
	check := len(args) > 0 && args[0] == healthcheckArg
	if check {
		args = args[1:]
	}
	cfg, err := config.Parse("inference", args, os.Getenv, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err, 2)
	}
	if check {
		return healthcheck(ctx, cfg.ListenAddr)
	}
	s, err := server.New(ctx, server.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return fail(err, 1)
	}
	if err := s.Run(ctx); err != nil {
		return fail(err, 1)
	}
	return 0
}

func fail(err error, code int) int {
	fmt.Fprintln(os.Stderr, "inference:", err)
	return code
}

// Command faulty is the inference server with a fault in it. It is a part of the demo and of the end-to-end tests, to
// show that a bad release is taken back. It is never shipped: no image and no job of a real model contains it.
//
// It takes all settings of the inference server, and:
//
//	--fault-after  FAULT_AFTER  number of answered predictions after which the fault shows (default 0: at once)
//	--fault-kind   FAULT_KIND   what shows: unhealthy, errors, slow, wrong, crash, reset or none (default none)
//	--fault-share  FAULT_SHARE  part of the predictions that show errors, slowness, wrong answers or resets (default 1)
//	--fault-delay  FAULT_DELAY  how long a slow answer waits (default 500ms)
//	--fault-body   FAULT_BODY   the request that a wrong answer answers (default: a row of iris)
//
// The kinds: "unhealthy" answers /health with 503, and predictions as before; "errors" answers predictions with 500;
// "slow" answers them late; "wrong" answers them as if they were another request; "crash" ends the process with exit
// code 3; "reset" closes their connections without an answer, and neither counts them nor is unhealthy. While it runs, POST /fault?kind=errors&share=0.2 changes what shows.
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	var f fault
	cfg, err := config.Parse("faulty", args, os.Getenv, os.Stdout, f.settings()...)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err, 2)
	}
	f.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	f.log.Warn("this is the faulty test server", "kind", f.now.kind, "after", f.now.after)
	s, err := server.New(ctx, server.Options{Config: cfg, Logger: f.log, Wrap: f.wrap, Computing: f.computing})
	if err != nil {
		return fail(err, 1)
	}
	if err := s.Run(ctx); err != nil {
		return fail(err, 1)
	}
	return 0
}

func fail(err error, code int) int {
	fmt.Fprintln(os.Stderr, "faulty:", err)
	return code
}

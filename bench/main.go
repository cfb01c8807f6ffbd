// Command bench measures Weir's inference server beside what else serves such models, on this machine, and writes the
// results to bench/README.md. `make bench` runs it.
//
// It needs python3, wrk, and for the first run the network: FastAPI, MLServer, BentoML and the libraries come from PyPI
// into virtual environments of their own below the user's cache. Everything listens on free ports of 127.0.0.1, and
// whatever is started is ended.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// plan says what to run and for how long.
type plan struct {
	cache     string // virtual environments and models
	work      string // scripts and logs of this run
	inference string // program of the server
	leaves    string // program of bench/leaves
	out       string
	rounds    int
	http      time.Duration // each measurement over HTTP
	calls     time.Duration // each measurement within a process
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "runner": // Weir's predictions, as leaves/main.go and python/runner.py
			return runRunner(args[1:])
		case "load":
			return runLoad(args[1])
		case "bare":
			return runBare(args[1], args[2])
		}
	}
	p, err := parse(args)
	if err != nil {
		return err
	}
	defer os.RemoveAll(p.work)
	start := time.Now()
	var r results
	for _, step := range []struct {
		what string
		run  func(context.Context, *plan, *results) error
	}{
		{"environments and models", prepare},
		{"requests over HTTP", measureHTTP},
		{"calls within a process", measureCalls},
		{"loading a large model", measureLoads},
		{"growth", measureGrowth},
	} {
		fmt.Fprintln(os.Stderr, "bench:", step.what)
		if err := step.run(ctx, p, &r); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	r.took = time.Since(start)
	return r.write(ctx, p)
}

func parse(args []string) (*plan, error) {
	p := &plan{}
	fs := flag.NewFlagSet("bench", flag.ExitOnError)
	fs.StringVar(&p.inference, "inference", "bin/inference", "program of the server")
	fs.StringVar(&p.leaves, "leaves", "bin/bench-leaves", "program of bench/leaves")
	fs.StringVar(&p.out, "out", "bench/README.md", "file for the results")
	fs.IntVar(&p.rounds, "rounds", 5, "rounds; what is reported are medians over them")
	fs.DurationVar(&p.http, "http", 2*time.Second, "length of a measurement over HTTP")
	fs.DurationVar(&p.calls, "calls", 300*time.Millisecond, "length of a measurement within a process")
	_ = fs.Parse(args) // it exits
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache: %w", err)
	}
	p.cache = filepath.Join(cache, "weir", "bench")
	for _, path := range []*string{&p.inference, &p.leaves} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
		if _, err := os.Stat(*path); err != nil {
			return nil, fmt.Errorf("%w: `make bench` builds it", err)
		}
	}
	if p.work, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, fmt.Errorf("make a folder for this run: %w", err)
	}
	return p, os.CopyFS(p.work, python)
}

// Command deployer rolls out versions of machine-learning models on Nomad and Consul.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/weirhq/weir/deployer/cli"
)

func main() {
	// The second signal must be able to end a program that is taking a rollout back after the first: so the signals
	// are counted in cli, and this context only tells of the first.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(cli.Main(context.Background(), os.Args[1:], signals, os.Stdout, os.Stderr))
}

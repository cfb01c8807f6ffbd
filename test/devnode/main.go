// Command devnode runs one part of an embedded Nomad of several machines, for tests that give each machine a network
// namespace of its own:
//
//	devnode server --addr 10.77.0.1:4646 --data DIR
//	devnode client --server 10.77.0.1:4646 --address 10.77.0.2 --name n1 --consul 127.0.0.1:8500 --data DIR
//
// It ends on SIGINT or SIGTERM. A client stops its tasks then; one that is killed leaves them, and takes them over when
// it is started anew with the same folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/weirhq/weir/internal/devnomad"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "devnode:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	log := slog.New(slog.NewTextHandler(out, nil))
	switch {
	case len(args) > 0 && args[0] == "server":
		return runServer(ctx, args[1:], log)
	case len(args) > 0 && args[0] == "client":
		return runClient(ctx, args[1:], log)
	}
	return errors.New("say what to run: devnode server|client; -h after that shows the flags")
}

func runServer(ctx context.Context, args []string, log *slog.Logger) error {
	cfg := devnomad.Config{Logger: log}
	flags := flag.NewFlagSet("devnode server", flag.ContinueOnError)
	flags.StringVar(&cfg.Addr, "addr", "127.0.0.1:4646", "host:port to listen on")
	flags.StringVar(&cfg.DataDir, "data", "", "folder for its state")
	flags.StringVar(&cfg.NodeName, "name", "server", "name of the server")
	flags.StringVar(&cfg.Token, "token", "", "deny requests without this token")
	flags.StringVar(&cfg.ConsulAddr, "consul", "", "host:port of Consul, for its own nodes")
	taskFlags(flags, &cfg.Limits, &cfg.DockerPull)
	flags.IntVar(&cfg.Clients, "clients", -1, "how many nodes run in this process; -1 for none")
	flags.DurationVar(&cfg.HeartbeatTTL, "heartbeat", 0,
		"how often nodes must be heard of (default 10s); they are down after two to three times that")
	if err := parse(flags, args, &cfg.DataDir); err != nil {
		return err
	}
	agent, err := devnomad.New(cfg) //nolint:contextcheck // it lives until Run ends
	if err != nil {
		return err
	}
	log.Info("listening", "addr", agent.Addr())
	return agent.Run(ctx)
}

func runClient(ctx context.Context, args []string, log *slog.Logger) error {
	cfg := devnomad.NodeConfig{Logger: log}
	flags := flag.NewFlagSet("devnode client", flag.ContinueOnError)
	flags.StringVar(&cfg.Server, "server", "127.0.0.1:4646", "host:port of the server")
	flags.StringVar(&cfg.Token, "token", "", "token of the server")
	flags.StringVar(&cfg.Name, "name", "", "name of the node")
	flags.StringVar(&cfg.Address, "address", "127.0.0.1", "IP address that ports and services have")
	flags.StringVar(&cfg.HTTPAddr, "http", "", "host:port of the node's own HTTP API (default a free port on its address)")
	flags.StringVar(&cfg.ConsulAddr, "consul", "", "host:port of the node's Consul agent")
	flags.StringVar(&cfg.DataDir, "data", "", "folder for tasks and their logs")
	taskFlags(flags, &cfg.Limits, &cfg.DockerPull)
	flags.StringVar(&cfg.Datacenter, "dc", "dc1", "datacenter")
	flags.StringVar(&cfg.NodeClass, "class", "", "node class")
	flags.DurationVar(&cfg.HeartbeatTTL, "heartbeat", 0, "as the server has it (default 10s)")
	if err := parse(flags, args, &cfg.DataDir); err != nil {
		return err
	}
	if cfg.Name == "" {
		return errors.New("give the node a name with --name")
	}
	return devnomad.RunNode(ctx, cfg)
}

// taskFlags are those of whatever runs tasks.
func taskFlags(flags *flag.FlagSet, limits, pull *bool) {
	root := os.Geteuid() == 0
	flags.BoolVar(limits, "limits", root, "hold raw_exec tasks to their resources by control groups; takes root")
	flags.BoolVar(pull, "docker-pull", false, "let docker tasks pull images that are missing on this machine")
}

func parse(flags *flag.FlagSet, args []string, dataDir *string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if *dataDir == "" {
		return errors.New("name a folder with --data")
	}
	return nil
}

package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"
)

// ConsulConfig says how to run a Consul for development: one server, data in memory, on loopback only.
type ConsulConfig struct {
	Path      string   // the binary; "" to Find it
	HTTPPort  int      // 0 for a free one
	Node      string   // node name; default "weir"
	LogFile   string   // appended to; "" for nowhere
	StateFile string   // see Child
	Tied      bool     // see Child
	Args      []string // further arguments, such as -hcl
	Options   Options  // for Find
}

// ConsulServer is a running Consul.
type ConsulServer struct {
	Addr    string // host:port of its HTTP API
	running *Running
	log     *os.File
}

// consulTries is how often a start on free ports is tried: another process may take one of them first.
const consulTries = 3

// StartConsul starts a Consul and returns when it has a leader and knows itself, so that reads and writes work at once.
// ctx bounds the start only; the caller ends the Consul with Stop.
func StartConsul(ctx context.Context, cfg ConsulConfig) (*ConsulServer, error) {
	if cfg.Path == "" {
		path, err := Find(ctx, Consul, cfg.Options)
		if err != nil {
			return nil, err
		}
		cfg.Path = path
	}
	if cfg.Node == "" {
		cfg.Node = "weir"
	}
	var err error
	for range consulTries {
		var c *ConsulServer
		if c, err = startConsul(ctx, cfg); err == nil {
			return c, nil
		}
		if cfg.HTTPPort != 0 || ctx.Err() != nil || !errors.Is(err, errEnded) {
			return nil, err
		}
	}
	return nil, err
}

var errEnded = errors.New("it ended at once")

func startConsul(ctx context.Context, cfg ConsulConfig) (*ConsulServer, error) {
	args, httpPort, err := consulArgs(cfg)
	if err != nil {
		return nil, err
	}
	c := &ConsulServer{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(httpPort))}
	var log io.Writer
	if cfg.LogFile != "" {
		if c.log, err = os.OpenFile(cfg.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return nil, fmt.Errorf("open Consul's log: %w", err)
		}
		log = c.log
	}
	c.running, err = Start(Child{
		Name: "consul", Path: cfg.Path, Args: args, Log: log, StateFile: cfg.StateFile, Tied: cfg.Tied,
		StopSignal: syscall.SIGTERM,
		Env:        []string{"CONSUL_HTTP_ADDR=", "CONSUL_HTTP_TOKEN="},
	})
	if err != nil {
		return nil, errors.Join(err, c.closeLog())
	}
	if err := c.ready(ctx, cfg.Node); err != nil {
		return nil, errors.Join(fmt.Errorf("start Consul on %s: %w%s", c.Addr, err, logTail(cfg.LogFile)), c.Stop())
	}
	return c, nil
}

// consulArgs returns the command line and the HTTP port in it.
func consulArgs(cfg ConsulConfig) ([]string, int, error) {
	ports := [4]int{cfg.HTTPPort}
	for i, port := range ports {
		if port != 0 {
			continue
		}
		free, err := FreePort()
		if err != nil {
			return nil, 0, err
		}
		ports[i] = free
	}
	flag := func(name string, port int) string { return fmt.Sprintf("-%s=%d", name, port) }
	args := []string{
		"agent", "-dev", "-node=" + cfg.Node, "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=info",
		flag("http-port", ports[0]), flag("server-port", ports[1]),
		flag("serf-lan-port", ports[2]), flag("serf-wan-port", ports[3]),
		"-dns-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1", "-https-port=-1", "-hcl=disable_update_check=true",
	}
	return append(args, cfg.Args...), ports[0], nil
}

// ready waits until the HTTP API answers and then, by a blocking query, until the node is in the catalog: which takes a
// leader.
func (c *ConsulServer) ready(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	go func() {
		select {
		case <-c.running.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := c.awaitNode(ctx, node)
	select {
	case <-c.running.Done():
		return errors.Join(errEnded, c.running.Err())
	default:
		return err
	}
}

func (c *ConsulServer) awaitNode(ctx context.Context, node string) error {
	client, err := api.NewClient(&api.Config{Address: c.Addr})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	var index uint64
	for {
		opts := (&api.QueryOptions{RequireConsistent: true, WaitIndex: index, WaitTime: 5 * time.Second}).WithContext(ctx)
		found, meta, err := client.Catalog().Node(node, opts)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("wait for a leader: %w", context.Cause(ctx))
		case err != nil: // nothing listens yet, or no leader: neither is told to those who wait
			index = 0
			sleep(ctx, 20*time.Millisecond)
		case found != nil && found.Node != nil:
			return nil
		default:
			index = max(meta.LastIndex, 1)
		}
	}
}

// Client returns a client of this Consul.
func (c *ConsulServer) Client() (*api.Client, error) {
	client, err := api.NewClient(&api.Config{Address: c.Addr})
	if err != nil {
		return nil, fmt.Errorf("make a Consul client for %s: %w", c.Addr, err)
	}
	return client, nil
}

// PID returns its process number.
func (c *ConsulServer) PID() int { return c.running.PID() }

// Done is closed when it has ended.
func (c *ConsulServer) Done() <-chan struct{} { return c.running.Done() }

// Stop ends it: with SIGTERM, and after 5 s with SIGKILL.
func (c *ConsulServer) Stop() error { return errors.Join(c.running.Stop(), c.closeLog()) }

func (c *ConsulServer) closeLog() error {
	if c.log == nil {
		return nil
	}
	log := c.log
	c.log = nil
	return log.Close()
}

// logTail returns the last lines of a log for an error message.
func logTail(path string) string {
	if path == "" {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	return fmt.Sprintf("; the last lines of %s:\n%s", filepath.Base(path), strings.Join(lines, "\n"))
}

package contract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad"
)

// target is a Nomad to be tested.
type target struct {
	addr     string // http://host:port
	embedded bool
	nomad    *api.Client
	consul   *consulapi.Client // nil where no Consul was found
}

var (
	sharedOnce sync.Once
	shared     *target
	sharedErr  error
	cleanups   []func() error
)

// theTarget returns the one target of this test run, and starts it at first.
func theTarget(t *testing.T) *target {
	t.Helper()
	sharedOnce.Do(func() { shared, sharedErr = startTarget() })
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return shared
}

func stopShared() {
	for _, clean := range slices.Backward(cleanups) {
		if err := clean(); err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
		}
	}
}

func startTarget() (*target, error) {
	tg := &target{addr: os.Getenv("NOMAD_ADDR")}
	consulAddr := os.Getenv("CONSUL_HTTP_ADDR")
	if tg.addr == "" || consulAddr == "" {
		var err error
		if consulAddr, err = startConsul(); err != nil {
			return nil, err
		}
	}
	if tg.addr == "" {
		tg.embedded = true
		var err error
		if tg.addr, err = startEmbedded(consulAddr); err != nil {
			return nil, err
		}
	}
	var err error
	if tg.consul, err = consulapi.NewClient(&consulapi.Config{Address: consulAddr}); err != nil {
		return nil, err
	}
	tg.nomad, err = api.NewClient(&api.Config{Address: tg.addr})
	return tg, err
}

func startEmbedded(consulAddr string) (string, error) {
	dir, err := os.MkdirTemp("", "weir-contract-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() error { return os.RemoveAll(dir) })
	level := slog.LevelError
	if os.Getenv("CONTRACT_DEBUG") != "" {
		level = slog.LevelDebug
	}
	agent, err := devnomad.New(devnomad.Config{
		Addr: "127.0.0.1:0", ConsulAddr: consulAddr, DataDir: dir, TieTasks: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	cleanups = append(cleanups, func() error { cancel(); return <-done })
	return "http://" + agent.Addr(), nil
}

// consulBinary finds Consul: $WEIR_CONSUL, PATH, or Weir's own build.
func consulBinary() (string, error) {
	if path := os.Getenv("WEIR_CONSUL"); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("consul"); err == nil {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(cache, "weir", "consul-1.*"))
	if err != nil || len(found) == 0 {
		return "", errors.New("find Consul: none in $WEIR_CONSUL, on PATH or in Weir's cache; run `make tools` first")
	}
	return found[0], nil
}

func startConsul() (string, error) {
	binary, err := consulBinary()
	if err != nil {
		return "", err
	}
	ports := freePorts(5)
	dir, err := os.MkdirTemp("", "weir-contract-consul-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() error { return os.RemoveAll(dir) })
	cmd := exec.Command(binary, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-grpc-port=-1", "-dns-port=-1",
		"-grpc-tls-port=-1", "-http-port="+ports[0], "-server-port="+ports[1], "-serf-lan-port="+ports[2],
		"-serf-wan-port="+ports[3], "-log-level=error")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start consul: %w", err)
	}
	cleanups = append(cleanups, func() error {
		if err := cmd.Process.Kill(); err != nil {
			return err
		}
		_ = cmd.Wait() // killed
		return nil
	})
	addr := "127.0.0.1:" + ports[0]
	return addr, awaitConsul(addr)
}

func awaitConsul(addr string) error {
	client, err := consulapi.NewClient(&consulapi.Config{Address: addr})
	if err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if nodes, _, err := client.Catalog().Nodes(nil); err == nil && len(nodes) > 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("await consul on %s: no leader within 30s", addr)
}

func freePorts(n int) []string {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer l.Close()
		out = append(out, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return out
}

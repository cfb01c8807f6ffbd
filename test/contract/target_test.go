package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	consulapi "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/devnomad"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/proc"
)

// target is a Nomad to be tested.
type target struct {
	addr   string // http://host:port
	token  string // "" without ACLs
	nomad  *api.Client
	consul *consulapi.Client
}

var (
	sharedOnce sync.Once
	shared     *target
	sharedErr  error

	cleanupMu sync.Mutex
	cleanups  []func() error
)

// atEnd has something done when all tests have run, the last first.
func atEnd(clean func() error) {
	cleanupMu.Lock()
	defer cleanupMu.Unlock()
	cleanups = append(cleanups, clean)
}

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

// startTarget finds the Nomad to be tested: the one at NOMAD_ADDR (with NOMAD_TOKEN, where it has ACLs), else one that is
// started from the binary in CONTRACT_NOMAD, else the embedded agent.
func startTarget() (*target, error) {
	if addr := os.Getenv("NOMAD_ADDR"); addr != "" {
		consulAddr := os.Getenv("CONSUL_HTTP_ADDR")
		if consulAddr == "" {
			return nil, errors.New("find Consul: CONSUL_HTTP_ADDR is not set; name the agent that the Nomad at NOMAD_ADDR uses")
		}
		return newTarget(addr, os.Getenv("NOMAD_TOKEN"), consulAddr)
	}
	consulAddr, err := startConsul()
	if err != nil {
		return nil, err
	}
	c, err := startCluster(clusterConfig{consulAddr: consulAddr, nodes: 1})
	if err != nil {
		return nil, err
	}
	return c.target, nil
}

func newTarget(addr, token, consulAddr string) (*target, error) {
	tg := &target{addr: addr, token: token}
	var err error
	if tg.consul, err = consulapi.NewClient(&consulapi.Config{Address: consulAddr}); err != nil {
		return nil, err
	}
	tg.nomad, err = api.NewClient(&api.Config{Address: addr, SecretID: token})
	return tg, err
}

// given reports whether the Nomad under test is somebody else's, so that the suite starts and kills nothing of it.
func given() bool { return os.Getenv("NOMAD_ADDR") != "" }

// realBinary is the Nomad that clusters are started from, "" for the embedded agent. Beside a Nomad that runs already it
// is the command line too, if it is of the same version.
func realBinary() string {
	if binary := os.Getenv("CONTRACT_NOMAD"); binary != "" || !given() {
		return binary
	}
	binary := commandLine()
	version, err := exec.Command(or(binary, "nomad"), "version").Output()
	if shared == nil || err != nil {
		return ""
	}
	self, err := shared.nomad.Agent().Self()
	if err != nil || !strings.HasPrefix(string(version), fmt.Sprintf("Nomad v%v\n", self.Config["Version"].(map[string]any)["Version"])) {
		return ""
	}
	return binary
}

// commandLine finds the nomad program: $WEIR_NOMAD, else on PATH; "" for none.
func commandLine() string {
	if binary := os.Getenv("WEIR_NOMAD"); binary != "" {
		return binary
	}
	binary, _ := exec.LookPath("nomad")
	return binary
}

func startEmbedded(cfg clusterConfig) (*cluster, error) {
	dir, err := os.MkdirTemp("", "weir-contract-")
	if err != nil {
		return nil, err
	}
	atEnd(func() error { return os.RemoveAll(dir) })
	level := slog.LevelError
	if os.Getenv("CONTRACT_DEBUG") != "" {
		level = slog.LevelDebug
	}
	clients := 1
	if cfg.nodes > 1 {
		clients = -1
	}
	agent, err := devnomad.New(devnomad.Config{
		Addr: "127.0.0.1:0", ConsulAddr: cfg.consulAddr, DataDir: dir, TieTasks: true, Token: cfg.token, Clients: clients,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	atEnd(func() error { cancel(); return <-done })
	c := &cluster{nodes: map[string]*nodeProcess{}}
	if c.target, err = newTarget("http://"+agent.Addr(), cfg.token, cfg.consulAddr); err != nil || cfg.nodes < 2 {
		return c, err
	}
	for i := range cfg.nodes {
		node := devnomad.NodeConfig{Server: agent.Addr(), Token: cfg.token, Name: nodeName(i), DataDir: filepath.Join(dir, nodeName(i))}
		if i == 0 {
			node.ConsulAddr = cfg.consulAddr
		}
		if err := c.addNode(node.Name, func() (*exec.Cmd, error) { return startNode(node) }); err != nil {
			return nil, err
		}
	}
	return c, await("the nodes are ready", func() bool { return c.ready() == cfg.nodes })
}

// startNode starts a node of the embedded agent in a process of its own, so that it can be killed.
func startNode(cfg devnomad.NodeConfig) (*exec.Cmd, error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	proc.Tie(cmd)
	cmd.Env, cmd.Stderr = append(os.Environ(), nodeMode+"="+string(text)), os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node %s: %w", cfg.Name, err)
	}
	atEnd(func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err == nil {
			_ = cmd.Wait()
		}
		return nil
	})
	return cmd, nil
}

// serveNode is the node that startNode starts.
func serveNode() error {
	var cfg devnomad.NodeConfig
	if err := json.Unmarshal([]byte(os.Getenv(nodeMode)), &cfg); err != nil {
		return err
	}
	if err := os.Unsetenv(nodeMode); err != nil { // its tasks are none
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return devnomad.RunNode(ctx, cfg)
}

// startConsul starts a Consul that ends with the tests, even if they are killed.
func startConsul() (string, error) {
	c, err := parts.StartConsul(context.Background(), parts.ConsulConfig{Tied: true})
	if err != nil {
		return "", err
	}
	atEnd(c.Stop)
	return c.Addr, nil
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

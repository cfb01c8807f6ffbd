package devnomad

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/devnomad/client"
)

// NodeConfig says what a node in a process of its own is and where its server is.
type NodeConfig struct {
	Server     string // host:port of the agent that is its server
	Token      string // of the server, "" if it has none
	Name       string // of the node
	Address    string // IP address that its tasks' ports have and its services are registered with; default 127.0.0.1
	HTTPAddr   string // host:port of its own HTTP API, for logs and the like; default a free port on Address
	ConsulAddr string // host:port of its local Consul agent, "" for none
	DataDir    string
	Datacenter string // default "dc1"
	NodeClass  string
	Meta       map[string]string // for ${meta.…} and constraints
	Logger     *slog.Logger
	Keep       bool // leave tasks running when ctx ends; the next node with this DataDir goes on with them
	Limits     bool // as in Config
	DockerPull bool // as in Config
	TieTasks   bool // tasks die with this process even if it is killed: for tests

	HeartbeatTTL time.Duration // as the server has it; default 10s
}

// RunNode runs a node until ctx ends; then it stops its tasks unless they are to be kept. While its server does not
// answer, its tasks run on, and it reconnects. Its server takes it for dead meanwhile, as Nomad's would, and replaces its allocations elsewhere; when
// it comes back, those that were replaced are stopped.
func RunNode(ctx context.Context, cfg NodeConfig) error {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Address = cmp.Or(cfg.Address, loopback)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cmp.Or(cfg.HTTPAddr, net.JoinHostPort(cfg.Address, "0")))
	if err != nil {
		return fmt.Errorf("listen for the node's HTTP API: %w", err)
	}
	node := newNode(cfg.Name, listener.Addr().String(), cfg.Address) //nolint:contextcheck // bounded by itself
	node.Datacenter, node.NodeClass = cmp.Or(cfg.Datacenter, node.Datacenter), cfg.NodeClass
	maps.Copy(node.Meta, cfg.Meta)
	if err := keepID(node, cfg.DataDir); err != nil {
		return errors.Join(err, listener.Close())
	}
	c, err := newClient(node, client.Config{ //nolint:contextcheck // it lives until it is closed
		DataDir: cfg.DataDir, ConsulAddr: cfg.ConsulAddr, Logger: cfg.Logger, Limits: cfg.Limits,
		DockerPull: cfg.DockerPull, TieTasks: cfg.TieTasks,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return runNode(ctx, cfg, node, c, listener)
}

// runNode runs a node's two sides: what it does for its server, and the part of the API that is about its allocations,
// answered from what it knows of them.
func runNode(ctx context.Context, cfg NodeConfig, node *api.Node, c *client.Client, listener net.Listener) error {
	here := newAgent(Config{Logger: cfg.Logger, NodeName: node.Name, Token: cfg.Token})
	here.client, here.listener = c, listener
	up := newUplink(cfg.Server, cfg.Token)
	defer up.http.CloseIdleConnections()
	agent := newNodeAgent(node, up, c, beatsFor(cmp.Or(cfg.HeartbeatTTL, defaultTTL)), cfg.Logger)
	agent.known, agent.keep = here.remember, cfg.Keep
	server := &http.Server{Handler: here.nodeHandler(cfg.Server), ReadHeaderTimeout: 10 * time.Second}
	group, failed := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(server, listener) })
	group.Go(func() error {
		err := agent.run(failed)
		close(here.stopping)
		return errors.Join(err, server.Close())
	})
	return group.Wait()
}

// nodeHandler answers what is about this node's allocations; everything else the server does, as in Nomad.
func (a *Agent) nodeHandler(server string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/client/", a.handler())
	mux.Handle("/v1/agent/health", a.handler())
	mux.Handle("/", proxyTo(server))
	return mux
}

// remember keeps the allocations of an assignment where the handlers look for them.
func (a *Agent) remember(d assignment) {
	a.store.read(func() {
		for _, alloc := range slices.Concat(d.Allocs, d.Ended) {
			a.store.setAlloc(alloc)
		}
		for _, id := range d.Gone {
			if alloc := a.store.allocs[id]; alloc != nil {
				a.store.dropAlloc(alloc)
			}
		}
	})
}

// uplink is a nodeServer on another machine.
type uplink struct {
	base, token string
	http        *http.Client
}

// callTimeout bounds a call to a server, beside what it may wait for news.
const callTimeout = 5 * time.Second

func newUplink(server, token string) *uplink {
	dialer := &net.Dialer{Timeout: callTimeout / 2}
	return &uplink{
		base: "http://" + server + "/v1/weir", token: token,
		http: &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Minute}},
	}
}

func (u *uplink) register(ctx context.Context, n *api.Node) error {
	return u.call(ctx, http.MethodPut, "/nodes", callTimeout, n, nil)
}

func (u *uplink) beat(ctx context.Context, nodeID string) error {
	return u.call(ctx, http.MethodPut, "/node/"+nodeID+"/heartbeat", callTimeout, struct{}{}, nil)
}

func (u *uplink) pull(ctx context.Context, nodeID, epoch string, after uint64) (out assignment, err error) {
	q := url.Values{"epoch": {epoch}, "index": {strconv.FormatUint(after, 10)}}
	err = u.call(ctx, http.MethodGet, "/node/"+nodeID+"/assignments?"+q.Encode(), pullWait+callTimeout, nil, &out)
	return out, err
}

func (u *uplink) push(ctx context.Context, nodeID string, updates []allocUpdate) error {
	return u.call(ctx, http.MethodPut, "/node/"+nodeID+"/updates", callTimeout, updates, nil)
}

func (u *uplink) call(ctx context.Context, method, path string, timeout time.Duration, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode the call %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	req.Header.Set("X-Nomad-Token", u.token)
	res, err := u.http.Do(req)
	if err != nil {
		return fmt.Errorf("call the server: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("read the server's answer to %s: %w", path, err)
	case res.StatusCode == http.StatusNotFound:
		return errNoNode
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("call the server: %s %s: status %d: %s", method, path, res.StatusCode, answer)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the server's answer to %s: %w", path, err)
	}
	return nil
}

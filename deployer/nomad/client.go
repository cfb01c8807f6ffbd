// Package nomad is the deployer's view of a Nomad cluster: the job of a model, its deployments and its allocations.
package nomad

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Keys of the job meta that jobs/inference.nomad.hcl writes.
const (
	MetaRelease = "weir_release"
	MetaAttempt = "weir_attempt"
	MetaVersion = "weir_model_version"
	MetaDigest  = "weir_digest"
	MetaColor   = "weir_color"
)

// Client talks to one Nomad cluster.
type Client struct {
	api     *api.Client
	streams streams
	pulse   pulse
	places  places
}

// Bounds of the connections to Nomad, which refuses the 101st from one address by default. Calls beyond them wait.
const (
	maxConns = 64
	maxIdle  = 16
)

// New returns a client for the Nomad that the usual environment names (NOMAD_ADDR, NOMAD_TOKEN, NOMAD_NAMESPACE, …).
// A non-empty addr wins over the environment.
func New(addr string) (*Client, error) { return NewIn(addr, Place{}) }

// NewIn is New for a place: each of its calls names the place's namespace and region.
func NewIn(addr string, p Place) (*Client, error) {
	cfg := api.DefaultConfig()
	if addr != "" {
		cfg.Address = addr
	}
	cfg.Namespace, cfg.Region = cmp.Or(p.Namespace, cfg.Namespace), cmp.Or(p.Region, cfg.Region)
	if err := bound(cfg); err != nil {
		return nil, fmt.Errorf("configure the Nomad client: %w", err)
	}
	c, err := api.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure the Nomad client: %w", err)
	}
	return &Client{api: c, places: places{addr: addr, own: p}}, nil
}

// bound bounds the connections of a client. Those to a socket have no limit on the other side.
func bound(cfg *api.Config) error {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok || strings.HasPrefix(cfg.Address, "unix:") {
		return nil
	}
	transport = transport.Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxConns, maxIdle
	cfg.HttpClient = &http.Client{Transport: transport}
	return api.ConfigureTLS(cfg.HttpClient, cfg.TLSConfig)
}

// Check returns an error that says what to do unless Nomad answers and has a leader.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var leader string
	_, err := c.api.Raw().Query("/v1/status/leader", &leader, read(ctx))
	if err != nil {
		return fmt.Errorf("reach Nomad: %w; set NOMAD_ADDR, or start the parts with `deployer dev`", err)
	}
	if leader == "" {
		return errors.New("reach Nomad: it answers but has no leader; look at `nomad server members`")
	}
	return nil
}

// pulse is when Nomad last answered.
type pulse struct {
	mu   sync.Mutex
	last time.Time // when the last call that was answered began
	next time.Time // before that, a call that failed is not made again
}

// Fresh is for how long one answer proves that Nomad can be reached.
const Fresh = time.Second

// Answers says whether a Nomad with a leader has just answered, or does now. However many ask, Nomad is asked once.
func (c *Client) Answers(ctx context.Context) bool {
	c.pulse.mu.Lock()
	defer c.pulse.mu.Unlock()
	began := time.Now()
	if began.Sub(c.pulse.last) < Fresh {
		return true
	}
	if began.Before(c.pulse.next) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, Fresh)
	defer cancel()
	if err := c.Check(ctx); err != nil {
		c.pulse.next = time.Now().Add(Fresh / 2)
		return false
	}
	c.pulse.last = began
	return true
}

func read(ctx context.Context) *api.QueryOptions  { return (&api.QueryOptions{}).WithContext(ctx) }
func write(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }

func notFound(err error) bool {
	var resp api.UnexpectedResponseError
	return errors.As(err, &resp) && resp.StatusCode() == http.StatusNotFound
}

// Refused says whether Nomad took the request and said no, as against not being reached, and what it said.
func Refused(err error) (string, bool) {
	var resp api.UnexpectedResponseError
	if !errors.As(err, &resp) || resp.StatusCode() == 0 || busy(resp) {
		return "", false
	}
	return strings.Join(strings.Fields(resp.Body()), " "), true
}

// busy says whether the answer is that of servers which can't answer just now: Nomad says most things with a 500.
func busy(resp api.UnexpectedResponseError) bool {
	switch resp.StatusCode() {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return slices.ContainsFunc([]string{
		"No cluster leader", "leadership", "Not ready to serve", "no servers", "EOF", "i/o timeout",
		"connection refused", "connection reset", "deadline exceeded",
	}, func(s string) bool { return strings.Contains(resp.Body(), s) })
}

// Validate returns Nomad's objections to a job.
func (c *Client) Validate(ctx context.Context, job *api.Job) error {
	res, _, err := c.api.Jobs().Validate(job, write(ctx))
	if err != nil {
		return fmt.Errorf("validate job %q: %w", *job.ID, err)
	}
	if len(res.ValidationErrors) > 0 {
		return fmt.Errorf("validate job %q: %s", *job.ID, strings.Join(res.ValidationErrors, "; "))
	}
	return nil
}

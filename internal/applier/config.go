package applier

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/nginx"
)

// Config says how an ingress runs. Node, StateDir, Listen, ConsulAddr, Nginx and ConsulTemplate are required; every
// other field has the default that its comment names.
type Config struct {
	Node       string // name of this ingress, unique among all: its key is weir/ingress/<node>
	StateDir   string // absolute folder of its own: configuration, last known good, logs. Kept over restarts
	Listen     string // host:port of nginx, e.g. "127.0.0.1:8086"; the host is an IP address, or empty for all addresses
	ConsulAddr string // host:port of Consul's HTTP API

	Nginx          string // path of nginx
	ConsulTemplate string // path of consul-template

	DefaultModel  string         // the model at "/"; "" for the alphabetically first one that is known
	ExternalNginx bool           // nginx is run by someone else, as `nginx -c <StateDir>/nginx/nginx.conf`
	User          string         // user of nginx's workers where nginx runs as root; default: root stays root
	Workers       int            // nginx worker processes; default: one per core
	AccessLog     string         // path of nginx's access log, or "off": no counts; default <StateDir>/nginx/logs/access.log
	LogMax        int64          // a log in StateDir that grows past so many bytes becomes <name>.1; default 64 MiB
	FileMax       int64          // bytes past which nginx writes to no file, whoever runs or not; default nginx.MaxFile
	Metrics       string         // host:port where the counts are served, or "off"; default "127.0.0.1:0": any free port
	MaxBody       string         // largest request body in nginx's notation; default "8m"
	Trusted       []netip.Prefix // whose X-Weir-Release header is honoured; default: loopback. Empty, not nil: nobody's

	StaleAfter      time.Duration // without fresh Consul data for this long canaries get nothing; default 15s
	BeatEvery       time.Duration // how often freshness is proved; default 3s
	DrainWindow     time.Duration // clients are moved off their connections for this long before a reload; default 200ms
	Debounce        time.Duration // changes of endpoints are gathered for this long; default 100ms
	ReloadGap       time.Duration // least time between two reloads for endpoints; default 1s. Weights never wait for it
	ForgetAfter     time.Duration // a model without record and instances is forgotten after this long; default 10m
	ConnectTimeout  time.Duration // to connect to an instance; default 300ms
	RequestTimeout  time.Duration // an instance may be silent for this long in a request; default 10s
	RetryTimeout    time.Duration // a request may be passed on until this age; default three times RequestTimeout
	QuitTimeout     time.Duration // at its own end, nginx may finish requests for this long; default 25s
	ShutdownTimeout time.Duration // old workers may finish requests for this long after a reload; default RetryTimeout + 5s

	Logger   *slog.Logger          `json:"-"` // default: discards
	OnServed func(traffic.Ingress) `json:"-"` // told of what nginx has been seen to serve, from one goroutine; may be nil
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.StaleAfter, traffic.StaleAfter)
	set(&c.BeatEvery, 3*time.Second)
	set(&c.DrainWindow, 200*time.Millisecond)
	set(&c.Debounce, 100*time.Millisecond)
	set(&c.ReloadGap, time.Second)
	set(&c.ForgetAfter, 10*time.Minute)
	set(&c.ConnectTimeout, 300*time.Millisecond)
	set(&c.RequestTimeout, 10*time.Second)
	set(&c.RetryTimeout, 3*c.RequestTimeout)
	set(&c.ShutdownTimeout, c.RetryTimeout+5*time.Second)
	set(&c.QuitTimeout, 25*time.Second)
	if c.LogMax == 0 {
		c.LogMax = 64 << 20
	}
	if c.Metrics == "" {
		c.Metrics = "127.0.0.1:0"
	}
	if c.MaxBody == "" {
		c.MaxBody = "8m"
	}
	if c.User == "" && os.Geteuid() == 0 {
		c.User = "root"
	}
	if c.Trusted == nil {
		c.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// check refuses what can't work. The nginx package checks its own part.
func (c Config) check() error {
	if !nodeName.MatchString(c.Node) {
		return fmt.Errorf("ingress node %q: want a name of letters, digits and ._-", c.Node)
	}
	if !filepath.IsAbs(c.StateDir) {
		return fmt.Errorf("ingress state folder %q: want an absolute path", c.StateDir)
	}
	if c.ConsulAddr == "" {
		return fmt.Errorf("ingress: no Consul address; want host:port, e.g. 127.0.0.1:8500")
	}
	if c.DefaultModel != "" {
		if err := traffic.CheckModel(c.DefaultModel); err != nil {
			return fmt.Errorf("default model of the ingress: %w", err)
		}
	}
	if at, err := netip.ParseAddrPort(c.Metrics); c.Metrics != "off" && (err != nil || at.Addr().IsUnspecified()) {
		return fmt.Errorf("metrics address %q of the ingress: want off, or the IP address and port by which the deployer "+
			"reaches it, such as 127.0.0.1:9180", c.Metrics)
	}
	for name, d := range map[string]time.Duration{
		"stale-after": c.StaleAfter, "beat": c.BeatEvery, "drain window": c.DrainWindow, "debounce": c.Debounce,
		"reload gap": c.ReloadGap, "forget-after": c.ForgetAfter,
	} {
		if d < 0 {
			return fmt.Errorf("ingress: %s is %s; want a positive duration", name, d)
		}
	}
	if c.StaleAfter < 2*c.BeatEvery {
		return fmt.Errorf("ingress: stale-after %s is less than two beats of %s: one lost beat would stop every canary",
			c.StaleAfter, c.BeatEvery)
	}
	if c.RetryTimeout <= c.RequestTimeout {
		return fmt.Errorf("ingress: retry timeout %s is not above the request timeout %s: the requests that an instance "+
			"on a lost node was to answer would fail instead of going to another", c.RetryTimeout, c.RequestTimeout)
	}
	return nil
}

func (c Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.StateDir}, elem...)...)
}

func (c Config) nginxSettings() nginx.Settings {
	return nginx.Settings{
		Binary: c.Nginx, Dir: c.path("nginx"), Listen: c.Listen, User: c.User, Workers: c.Workers,
		AccessLog: c.AccessLog, MaxBody: c.MaxBody, MaxFile: c.FileMax, Trusted: c.Trusted,
		ConnectTimeout: c.ConnectTimeout, RequestTimeout: c.RequestTimeout, RetryTimeout: c.RetryTimeout,
		ShutdownTimeout: c.ShutdownTimeout, DrainWindow: c.DrainWindow,
	}
}

// Package config reads the settings of the inference server: flags first, then the environment, then defaults.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config are the settings of one server.
type Config struct {
	ModelName    string
	ModelVersion string
	ModelPath    string
	ModelDigest  string // "" or "sha256:" and 64 hex digits
	ModelRelease string
	ModelColor   string // "", "blue" or "green"
	ListenAddr   string
	MaxBody      int // bytes
	MaxRows      int
	DrainQuiet   time.Duration
	DrainTimeout time.Duration

	MaxConcurrency int
	MaxQueue       int
	QueueTimeout   time.Duration
	MaxBuffered    int // bytes
	ReadTimeout    time.Duration
	WriteTimeout   time.Duration
	ScoreEvery     int
	RingSize       int
	RingFrom       string // networks, with commas between them
	PprofAddr      string
	LogRequests    bool
}

// ErrUsage marks settings that are missing or wrong.
var ErrUsage = errors.New("bad settings")

// Setting is one flag and the environment variable that stands in for it.
type Setting struct {
	Flag, Env, Default, Usage string
	Set                       func(string) error
}

// settings lists everything that can be set.
func (c *Config) settings() []Setting {
	return []Setting{
		{"model-name", "MODEL_NAME", "model", "name of the model, a label of the metrics", name(&c.ModelName)},
		{
			"model-version", "MODEL_VERSION", "",
			"version that answers carry, such as v1.0.0 (required)", name(&c.ModelVersion),
		},
		{
			"model-path", "MODEL_PATH", "model.pkl",
			"file of the model: pickle.dump or joblib.dump of an estimator", text(&c.ModelPath),
		},
		{
			"model-digest", "MODEL_DIGEST", "",
			"SHA-256 that the file must have: 64 hex digits, 'sha256:' before them or not", digest(&c.ModelDigest),
		},
		{
			"model-release", "MODEL_RELEASE", "",
			"release that answers name in X-Model-Release (default: the version)", name(&c.ModelRelease),
		},
		{"model-color", "MODEL_COLOR", "", "blue or green: the side that this instance is on", color(&c.ModelColor)},
		{
			"listen-addr", "LISTEN_ADDR", "127.0.0.1:8080",
			"host:port to listen on; port 0 takes a free one", address(&c.ListenAddr),
		},
		{"max-body-bytes", "MAX_BODY_BYTES", "8388608", "largest request body", number(&c.MaxBody, 1<<30)},
		{"max-rows", "MAX_ROWS", "10000", "most rows in a request", number(&c.MaxRows, 1<<20)},
		{
			"drain-quiet", "DRAIN_QUIET", "250ms",
			"after SIGINT or SIGTERM: leave when no request has come for this long", duration(&c.DrainQuiet),
		},
		{
			"drain-timeout", "DRAIN_TIMEOUT", "8s",
			"after SIGINT or SIGTERM: leave at the latest then", duration(&c.DrainTimeout),
		},
		{
			"max-concurrency", "MAX_CONCURRENCY", "256",
			"most requests computed at the same time; others get 503", number(&c.MaxConcurrency, 1<<20),
		},
		{"max-queue", "MAX_QUEUE", "0", "most requests that wait for a place instead", count(&c.MaxQueue, 1<<20)},
		{"queue-timeout", "QUEUE_TIMEOUT", "100ms", "longest wait for a place", duration(&c.QueueTimeout)},
		{
			"max-buffered-bytes", "MAX_BUFFERED_BYTES", "67108864",
			"most memory for the bodies of running requests, those up to 64 KiB not counted", number(&c.MaxBuffered, 1<<40),
		},
		{"read-timeout", "READ_TIMEOUT", "30s", "time in which a request must have come", duration(&c.ReadTimeout)},
		{"write-timeout", "WRITE_TIMEOUT", "1m", "time in which a request must be answered", duration(&c.WriteTimeout)},
		{
			"score-every", "SCORE_EVERY", "8",
			"score one of this many requests that don't ask for probabilities; 0: none", count(&c.ScoreEvery, 1<<20),
		},
		{"ring-size", "RING_SIZE", "4096", "predictions that /weir/ring keeps", number(&c.RingSize, 1<<20)},
		{
			"ring-from", "RING_FROM", "127.0.0.0/8,::1/128",
			"networks that may read /weir/ring, with commas between them", networks(&c.RingFrom),
		},
		{"pprof-addr", "PPROF_ADDR", "", "loopback host:port for net/http/pprof; none if empty", loopback(&c.PprofAddr)},
		{"log-requests", "LOG_REQUESTS", "false", "log a line for each prediction request", yes(&c.LogRequests)},
	}
}

// Parse reads args (without the program's name) and the environment. Extra settings of another program can be added.
// It writes the help text to out and returns flag.ErrHelp if args ask for it.
func Parse(
	program string, args []string, getenv func(string) string, out io.Writer, extra ...Setting,
) (Config, error) {
	var c Config
	settings := append(c.settings(), extra...)
	fs := flag.NewFlagSet(program, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	given := map[string]string{}
	for _, s := range settings {
		fs.Func(s.Flag, s.Usage, func(v string) error {
			given[s.Flag] = v
			return nil
		})
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return c, errors.Join(flag.ErrHelp, help(out, program, settings))
	} else if err != nil {
		return c, fmt.Errorf("%w: %w; see %s -h", ErrUsage, err, program)
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("%w: the argument %q is not expected; see %s -h", ErrUsage, fs.Arg(0), program)
	}
	for _, s := range settings {
		if err := s.apply(given, getenv); err != nil {
			return c, err
		}
	}
	return c, c.complete()
}

func (s Setting) apply(given map[string]string, getenv func(string) string) error {
	value, source := s.Default, "default of --"+s.Flag
	if v := getenv(s.Env); v != "" {
		value, source = v, s.Env
	}
	if v, ok := given[s.Flag]; ok {
		value, source = v, "--"+s.Flag
	} else if value == "" {
		return nil
	}
	if err := s.Set(value); err != nil {
		return fmt.Errorf("%w: %s=%q: %w", ErrUsage, source, value, err)
	}
	return nil
}

func (c *Config) complete() error {
	if c.ModelVersion == "" {
		return fmt.Errorf("%w: the version of the model is not set: set MODEL_VERSION or --model-version, such as v1.0.0",
			ErrUsage)
	}
	if c.ModelRelease == "" {
		c.ModelRelease = c.ModelVersion
	}
	if c.DrainQuiet > c.DrainTimeout {
		return fmt.Errorf("%w: drain-quiet %s is longer than drain-timeout %s", ErrUsage, c.DrainQuiet, c.DrainTimeout)
	}
	return nil
}

func help(out io.Writer, program string, settings []Setting) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [flags]\n\nServes predictions of one scikit-learn model over HTTP: GET /health, "+
		"POST /predict, GET /metrics, /docs,\nand the Open Inference Protocol under /v2. "+
		"Each setting is a flag or, in its place, the environment variable behind it.\n\n", program)
	for _, s := range settings {
		fmt.Fprintf(&b, "  --%-16s %-16s %s", s.Flag, s.Env, s.Usage)
		if s.Default != "" {
			fmt.Fprintf(&b, " (default %s)", s.Default)
		}
		b.WriteByte('\n')
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write help: %w", err)
	}
	return nil
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+:/-]{0,127}$`)
	digestForm = regexp.MustCompile(`^(sha256:)?[0-9a-fA-F]{64}$`)
)

func name(to *string) func(string) error {
	return func(v string) error {
		if !nameForm.MatchString(v) {
			return errors.New("want up to 128 letters, digits and ._+:/-, with a letter or digit first")
		}
		*to = v
		return nil
	}
}

func text(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return errors.New("want a path")
		}
		*to = v
		return nil
	}
}

func digest(to *string) func(string) error {
	return func(v string) error {
		if v != "" && !digestForm.MatchString(v) {
			return errors.New("want 64 hex digits, with 'sha256:' before them or not")
		}
		if *to = ""; v != "" {
			*to = "sha256:" + strings.ToLower(strings.TrimPrefix(v, "sha256:"))
		}
		return nil
	}
}

func color(to *string) func(string) error {
	return func(v string) error {
		if v != "" && v != "blue" && v != "green" {
			return errors.New("want blue or green")
		}
		*to = v
		return nil
	}
}

func address(to *string) func(string) error {
	return func(v string) error {
		_, port, err := net.SplitHostPort(v)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return errors.New("want host:port with a port from 0 to 65535, such as 127.0.0.1:8080")
		}
		*to = v
		return nil
	}
}

func number(to *int, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("want a number from 1 to %d", most)
		}
		*to = n
		return nil
	}
}

func count(to *int, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > most {
			return fmt.Errorf("want a number from 0 to %d", most)
		}
		*to = n
		return nil
	}
}

func yes(to *bool) func(string) error {
	return func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("want true or false")
		}
		*to = b
		return nil
	}
}

func networks(to *string) func(string) error {
	return func(v string) error {
		for network := range strings.SplitSeq(v, ",") {
			if _, err := netip.ParsePrefix(network); err != nil {
				return errors.New("want networks such as 127.0.0.0/8,::1/128")
			}
		}
		*to = v
		return nil
	}
}

func loopback(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return nil
		}
		host, _, err := net.SplitHostPort(v)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return errors.New("want host:port with a loopback address, such as 127.0.0.1:6060")
		}
		return address(to)(v)
	}
}

func duration(to *time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > time.Hour {
			return errors.New("want a duration from 0s to 1h, such as 250ms")
		}
		*to = d
		return nil
	}
}

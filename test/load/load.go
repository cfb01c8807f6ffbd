// Package load is a closed-loop load generator for demos and tests: a few clients on keep-alive connections, each
// sending its next request when it has the answer to the last. It knows which release answered, and when.
package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/weirhq/weir/internal/traffic"
)

// Config says what to send.
type Config struct {
	URL     string        // of the predict endpoint; on loopback
	Body    string        // JSON
	Clients int           // connections, each with one request at a time; default 8
	Pause   time.Duration // think time of each client between two requests
	Timeout time.Duration // of one request; default 10 s

	// Network is where the target may be beside loopback: a network that the test itself has made, in a network
	// namespace. The zero value allows none.
	Network netip.Prefix
}

// check refuses a target that is not the test's own.
func (c Config) check(target string) error {
	ip, err := netip.ParseAddr(target)
	if target == "localhost" || err == nil && (ip.IsLoopback() || c.Network.Contains(ip)) {
		return nil
	}
	return fmt.Errorf("start the load: %s is neither on loopback nor in the test's own network", c.URL)
}

// Lost is a request without a good answer: no answer at all, or a status other than 200.
type Lost struct {
	At      time.Time
	What    string
	Release string
}

// Counts is what was answered in some time.
type Counts struct {
	Sent      int
	ByRelease map[string]int
	Lost      []Lost
}

// Share is the part of the answers, 0 to 1, that came from a release.
func (c Counts) Share(release string) float64 {
	total := 0
	for _, n := range c.ByRelease {
		total += n
	}
	if total == 0 {
		return 0
	}
	return float64(c.ByRelease[release]) / float64(total)
}

// Answered is the number of good answers.
func (c Counts) Answered() int {
	total := 0
	for _, n := range c.ByRelease {
		total += n
	}
	return total
}

// Sub is what was answered since an earlier count.
func (c Counts) Sub(before Counts) Counts {
	d := Counts{Sent: c.Sent - before.Sent, ByRelease: map[string]int{}, Lost: c.Lost[len(before.Lost):]}
	for release, n := range c.ByRelease {
		if n -= before.ByRelease[release]; n > 0 {
			d.ByRelease[release] = n
		}
	}
	return d
}

// Load is a running load.
type Load struct {
	cfg    Config
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	counts Counts
	last   map[string]time.Time // release → when its last answer was complete
}

// Start begins to send, until Stop or until ctx ends. The target must be on loopback or in the configured network.
func Start(ctx context.Context, cfg Config) (*Load, error) {
	if cfg.Clients == 0 {
		cfg.Clients = 8
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("start the load: %w", err)
	}
	if err := cfg.check(req.URL.Hostname()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{cfg: cfg, cancel: cancel, counts: Counts{ByRelease: map[string]int{}}, last: map[string]time.Time{}}
	for range cfg.Clients {
		l.done.Go(func() { l.client(ctx) })
	}
	return l, nil
}

// Stop ends the load: each client finishes the request that it has begun.
func (l *Load) Stop() Counts {
	l.cancel()
	l.done.Wait()
	return l.Counts()
}

// Counts returns a copy of what was answered so far.
func (l *Load) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Counts{Sent: l.counts.Sent, ByRelease: maps.Clone(l.counts.ByRelease), Lost: slices.Clone(l.counts.Lost)}
}

// Last is when the last answer of a release was complete; zero if it never answered.
func (l *Load) Last(release string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[release]
}

func (l *Load) client(ctx context.Context) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: l.cfg.Timeout}
	for ctx.Err() == nil {
		// The request outlives the end of the load: it has been sent, so its answer counts.
		release, err := l.request(context.WithoutCancel(ctx), c)
		l.note(release, err)
		if l.cfg.Pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(l.cfg.Pause):
			}
		}
	}
}

func (l *Load) request(ctx context.Context, c *http.Client) (release string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.cfg.URL, bytes.NewBufferString(l.cfg.Body))
	if err != nil {
		return "", err
	}
	// Without GetBody Go's client does not hide a lost request by sending it again.
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	release = res.Header.Get(traffic.HeaderRelease)
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return release, err
	}
	if res.StatusCode != http.StatusOK {
		return release, fmt.Errorf("status %d: %.200s", res.StatusCode, body)
	}
	return release, nil
}

func (l *Load) note(release string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Sent++
	if err != nil {
		l.counts.Lost = append(l.counts.Lost, Lost{At: time.Now(), What: err.Error(), Release: release})
		return
	}
	l.counts.ByRelease[release]++
	l.last[release] = time.Now()
}

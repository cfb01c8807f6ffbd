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
	Bodies  []string      // sent in turn by each client, in place of Body
	Clients int           // connections, each with one request at a time; default 8
	Pause   time.Duration // think time of each client between two requests
	Timeout time.Duration // of one request; default 10 s

	// Each, if set, is told of every request when it is over. The clients call it at the same time.
	Each func(Answer)

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

// Answer is one request that is over.
type Answer struct {
	Began, At time.Time     // when it was sent, and when it was over
	Pause     time.Duration // from the answer before, on the same connection, to At
	Request   string        // the body that was sent
	Release   string        // that answered; "" where none did
	Status    int           // 0 where there was no answer
	Body      []byte
	Err       error // why it counts as lost; nil for a good answer
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
	if len(cfg.Bodies) == 0 {
		cfg.Bodies = []string{cfg.Body}
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
	last := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		// The request outlives the end of the load: it has been sent, so its answer counts.
		a := l.request(context.WithoutCancel(ctx), c, l.cfg.Bodies[i%len(l.cfg.Bodies)])
		a.Pause, last = a.At.Sub(last), a.At
		l.note(a)
		if l.cfg.Pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(l.cfg.Pause):
			}
		}
	}
}

func (l *Load) request(ctx context.Context, c *http.Client, body string) (a Answer) {
	a = Answer{Began: time.Now(), Request: body}
	defer func() { a.At = time.Now() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.cfg.URL, bytes.NewBufferString(body))
	if err != nil {
		a.Err = err
		return a
	}
	// Without GetBody Go's client does not hide a lost request by sending it again.
	req.GetBody = nil
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		a.Err = err
		return a
	}
	defer res.Body.Close()
	a.Release, a.Status = res.Header.Get(traffic.HeaderRelease), res.StatusCode
	a.Body, a.Err = io.ReadAll(res.Body)
	if a.Err == nil && a.Status != http.StatusOK {
		a.Err = fmt.Errorf("status %d: %.200s", a.Status, a.Body)
	}
	return a
}

func (l *Load) note(a Answer) {
	if l.cfg.Each != nil {
		l.cfg.Each(a)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Sent++
	if a.Err != nil {
		l.counts.Lost = append(l.counts.Lost, Lost{At: a.At, What: a.Err.Error(), Release: a.Release})
		return
	}
	l.counts.ByRelease[a.Release]++
	l.last[a.Release] = a.At
}

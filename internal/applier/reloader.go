package applier

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/weirhq/weir/nginx"
)

// reloader makes nginx serve the newest wanted site: at once where weights differ, and where only endpoints do, after
// they have been gathered for a while and not more often than the gap allows. One goroutine runs it.
type reloader struct {
	server   *nginx.Server
	external bool
	debounce time.Duration
	gap      time.Duration
	log      *slog.Logger
	served   func(s nginx.Served, reloaded bool) // told of each site that nginx has been seen to serve

	mu        sync.Mutex
	want      nginx.Site
	changedAt time.Time // when want began to differ from what is served
	wake      chan struct{}

	live       *nginx.Site // nil: not known
	reloadedAt time.Time
	failed     nginx.Site // the last try that went wrong
	retryAt    time.Time  // zero: the last try went well
	pause      time.Duration
}

// watchEvery is how often the reloader looks whether nginx still runs: one that was adopted is nobody's child.
const watchEvery = time.Second

const (
	firstPause = 200 * time.Millisecond // after a try that went wrong
	maxPause   = 10 * time.Second
)

// Want hands over the site to serve.
func (r *reloader) Want(site nginx.Site) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reflect.DeepEqual(site, r.want) {
		return
	}
	if r.changedAt.IsZero() {
		r.changedAt = time.Now()
	}
	r.want = site
	notify(r.wake)
}

func (r *reloader) wanted() (nginx.Site, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want, r.changedAt
}

// run works until ctx ends. Nothing it meets is fatal: what is served goes on being served.
func (r *reloader) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		due := r.step(ctx)
		timer := time.NewTimer(due)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-r.server.Ended():
		case <-tick.C:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// step does what is due and returns when to look again.
func (r *reloader) step(ctx context.Context) time.Duration {
	want, changedAt := r.wanted()
	if r.live == nil {
		if s, ok := r.server.Adopt(ctx, want); ok {
			r.log.Info("nginx found running, adopted", "generation", s.Generation)
			r.done(s, false)
			return watchEvery
		}
	}
	running := r.server.Running()
	if r.live != nil && running && reflect.DeepEqual(*r.live, want) {
		r.settled()
		return watchEvery
	}
	if wait := time.Until(r.due(want, changedAt, running)); wait > 0 {
		return min(wait, watchEvery)
	}
	s, err := r.server.Apply(ctx, func() nginx.Site { want, _ := r.wanted(); return want }, r.external)
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		return r.fail(want, err)
	}
	r.reloadedAt = time.Now()
	r.done(s, true)
	return 0
}

// due is when want is to be applied.
func (r *reloader) due(want nginx.Site, changedAt time.Time, running bool) time.Time {
	if !r.retryAt.IsZero() && reflect.DeepEqual(want, r.failed) {
		return r.retryAt
	}
	if r.live == nil || !running || !sameWeights(*r.live, want) {
		return time.Time{}
	}
	due := changedAt.Add(r.debounce)
	if earliest := r.reloadedAt.Add(r.gap); due.Before(earliest) {
		due = earliest
	}
	return due
}

func (r *reloader) done(s nginx.Served, reloaded bool) {
	r.live, r.retryAt, r.pause = &s.Site, time.Time{}, 0
	r.settled()
	r.served(s, reloaded)
}

// settled forgets since when something is to be changed, if nothing is.
func (r *reloader) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reflect.DeepEqual(r.want, *r.live) {
		r.changedAt = time.Time{}
	}
}

func (r *reloader) fail(want nginx.Site, err error) time.Duration {
	r.pause = min(max(2*r.pause, firstPause), maxPause)
	r.failed, r.retryAt = want, time.Now().Add(r.pause)
	r.log.Error("traffic is not applied; what was served goes on", "err", err, "retry_in", r.pause)
	return r.pause
}

// sameWeights reports whether two sites differ in nothing but endpoints.
func sameWeights(a, b nginx.Site) bool {
	return weights(a) == weights(b)
}

// weights is what of a site comes from records and not from endpoints.
func weights(s nginx.Site) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %t\n", s.Default, s.Stale)
	for _, m := range s.Models {
		fmt.Fprintf(&text, "%s %s", m.Name, m.Epoch)
		for _, share := range m.Shares {
			fmt.Fprintf(&text, " %s=%d", share.Release, share.Percent)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// Package board is what people and programs see of the models: it follows Consul and the instances' metrics while
// somebody looks, once for all who look, and tells what has changed since a state they know.
package board

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/metrics"
)

// Times of the board.
const (
	pace    = 250 * time.Millisecond // the least time between two looks at the same thing
	confirm = 3 * time.Second        // how often Consul is asked whether it is there, while somebody looks
	linger  = 30 * time.Second       // how long it goes on after the last one has gone
)

// Board holds the state of all models. Make one with New and let it Run.
type Board struct {
	consul *consul.Client
	log    *slog.Logger
	boot   string // names this process's counting: a cursor of another one is worth nothing
	scrape *metrics.Scraper

	mu      sync.Mutex
	seq     uint64 // of the last change
	changed chan struct{}
	seen    overview
	ready   int // how many of the sources have been read since somebody looks
	models  map[string]versioned
	pages   map[string]*page
	lookers int
	wake    chan struct{} // somebody has come or gone
	health  Freshness
}

// versioned is a model's summary with the number of its last change. A model that is gone stays, without a summary.
type versioned struct {
	at      uint64
	summary *Summary
}

// Freshness says how old the state is.
type Freshness struct {
	Confirmed time.Time `json:"confirmed"`         // Consul was there; all earlier changes are in the state
	Trouble   string    `json:"trouble,omitempty"` // why it could not be asked since
}

// New returns a board of the models that a Consul knows.
func New(c *consul.Client, log *slog.Logger) *Board {
	return &Board{
		consul: c, log: log, boot: strconv.FormatInt(time.Now().UnixNano(), 36), scrape: metrics.NewScraper(0),
		changed: make(chan struct{}), models: map[string]versioned{}, pages: map[string]*page{},
		wake: make(chan struct{}, 1),
	}
}

// Run follows Consul whenever somebody looks, until the context ends.
func (b *Board) Run(ctx context.Context) {
	defer b.scrape.Close()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		if b.looked() {
			b.follow(ctx)
		}
	}
}

// Look says that somebody looks, until the returned function is called.
func (b *Board) Look() (leave func()) {
	b.mu.Lock()
	b.lookers++
	b.mu.Unlock()
	b.nudge()
	return sync.OnceFunc(func() {
		b.mu.Lock()
		b.lookers--
		b.mu.Unlock()
		b.nudge()
	})
}

func (b *Board) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Board) looked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lookers > 0
}

// follow watches until nobody has looked for a while.
func (b *Board) follow(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer func() {
		stop()
		watches.Wait()
		b.mu.Lock()
		b.ready, b.health = 0, Freshness{}
		b.mu.Unlock()
	}()
	for _, watch := range b.watches() {
		watches.Go(func() { watch(ctx) })
	}
	for ctx.Err() == nil {
		var alone <-chan time.Time
		if !b.looked() {
			t := time.NewTimer(linger)
			defer t.Stop()
			alone = t.C
		}
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-alone:
			if !b.looked() {
				return
			}
		}
	}
}

// watches are the loops that keep the state up to date.
func (b *Board) watches() []func(context.Context) {
	return []func(context.Context){
		func(ctx context.Context) {
			b.consul.WatchTraffic(ctx, taking(ctx, b, func(o *overview, k map[string]consul.Keys) { o.traffic = k }))
		},
		func(ctx context.Context) {
			b.consul.WatchHealth(ctx, taking(ctx, b, func(o *overview, h map[string]consul.Health) { o.health = h }))
		},
		func(ctx context.Context) {
			b.consul.WatchRecords(ctx, taking(ctx, b, func(o *overview, r map[string]consul.Stored) { o.records = r }))
		},
		func(ctx context.Context) { b.consul.WatchIngresses(ctx, func() { b.dirty(); rest(ctx, pace) }) },
		b.confirming, b.turning, b.sampling,
	}
}

// sources is how many watches must have answered once before the state is whole.
const sources = 3

// taking puts what a watch has seen into the state, and holds the watch back for a moment: what changes often is read
// at a bounded pace, the slower the longer it takes to read.
func taking[T any](ctx context.Context, b *Board, put func(*overview, T)) func(T) {
	first := true
	return func(seen T) {
		began := time.Now()
		b.mu.Lock()
		put(&b.seen, seen)
		if first {
			b.ready++
			first = false
		}
		if b.ready >= sources {
			b.publish()
		}
		b.mu.Unlock()
		b.dirty()
		rest(ctx, max(pace, 4*time.Since(began)))
	}
}

// publish compares the summaries with those that are known. The caller holds the lock.
func (b *Board) publish() {
	now := b.seen.summaries()
	for model, s := range now {
		if old := b.models[model]; old.summary == nil || !old.summary.equal(s) {
			b.seq++
			b.models[model] = versioned{b.seq, &s}
		}
	}
	for model, old := range b.models {
		if _, there := now[model]; !there && old.summary != nil {
			b.seq++
			b.models[model] = versioned{at: b.seq}
		}
	}
	b.tell()
}

// tell wakes everybody who waits. The caller holds the lock.
func (b *Board) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// confirming asks whether Consul is there, so that silence can be told from quiet.
func (b *Board) confirming(ctx context.Context) {
	for ctx.Err() == nil {
		asked := time.Now()
		err := b.consul.Check(ctx)
		if ctx.Err() != nil {
			return
		}
		b.mu.Lock()
		if err == nil {
			b.health = Freshness{Confirmed: asked}
		} else {
			b.health.Trouble = err.Error()
		}
		b.tell()
		b.mu.Unlock()
		rest(ctx, confirm)
	}
}

// Changes are the models that have changed since a state.
type Changes struct {
	Cursor    string     `json:"-"`    // names this state
	Full      bool       `json:"full"` // all models are in it: forget what was known
	Changed   []Summary  `json:"changed"`
	Removed   []string   `json:"removed"`
	Freshness *Freshness `json:"-"`
}

// Since returns what has changed since the state that a cursor names, sorted by name; everything for one that is not
// known. The channel is closed at the next change.
func (b *Board) Since(cursor string) (c Changes, next <-chan struct{}, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from, known := b.position(cursor)
	c = Changes{Cursor: b.cursor(b.seq), Full: !known, Changed: []Summary{}, Removed: []string{}, Freshness: new(b.health)}
	for _, model := range slices.Sorted(maps.Keys(b.models)) {
		v := b.models[model]
		switch {
		case v.at <= from:
		case v.summary != nil:
			c.Changed = append(c.Changed, *v.summary)
		case known:
			c.Removed = append(c.Removed, model)
		}
	}
	return c, b.changed, b.ready >= sources
}

// Fresh says how old the state is.
func (b *Board) Fresh() Freshness {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.health
}

func (b *Board) cursor(seq uint64) string { return b.boot + "-" + strconv.FormatUint(seq, 10) }

func (b *Board) position(cursor string) (uint64, bool) {
	boot, at, _ := strings.Cut(cursor, "-")
	n, err := strconv.ParseUint(at, 10, 64)
	if boot != b.boot || err != nil || n > b.seq {
		return 0, false
	}
	return n, true
}

// Models returns the summaries of all models, once they have been read.
func (b *Board) Models(ctx context.Context) (Changes, error) {
	defer b.Look()()
	for {
		c, next, whole := b.Since("")
		switch {
		case whole:
			return c, nil
		case c.Freshness.Trouble != "":
			return c, &UnreachableError{c.Freshness.Trouble}
		}
		select {
		case <-ctx.Done():
			return c, context.Cause(ctx)
		case <-next:
		}
	}
}

// UnreachableError says why Consul could not be read.
type UnreachableError struct{ What string }

func (e *UnreachableError) Error() string { return e.What }

// rest waits, unless the context ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

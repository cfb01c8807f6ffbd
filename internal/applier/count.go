package applier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/internal/edge"
	"github.com/weirhq/weir/nginx"
)

// counting reads nginx's log, counts what it tells, serves the numbers and keeps the logs within their bound. nginx waits
// for nothing of it.
type counting struct {
	counts *edge.Counts
	server *nginx.Server
	tail   *edge.Tail   // nil where there is no log
	on     net.Listener // nil where nothing is served
	addr   string       // to publish; "" where nothing is counted
	path   string       // of the log
	logMax int64
	log    *slog.Logger
	failed string // the last error of reading, told already
}

const (
	rotateEvery = time.Second           // how often the sizes of the logs are looked at
	gather      = 50 * time.Millisecond // what nginx writes within it is read at once
)

func newCounting(ctx context.Context, cfg Config, server *nginx.Server) (*counting, error) {
	c := &counting{
		counts: edge.New(cfg.Node, server.Site), server: server, path: server.AccessLog(), logMax: cfg.LogMax, log: cfg.Logger,
	}
	if cfg.Metrics == "off" {
		return c, nil
	}
	var err error
	if c.on, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Metrics); err != nil {
		return nil, fmt.Errorf("serve the ingress's metrics: %w", err)
	}
	if c.path == "" {
		return c, nil
	}
	c.addr = c.on.Addr().String()
	if c.tail, err = edge.OpenTail(c.path, cfg.path("counted.json")); err != nil {
		return nil, errors.Join(err, c.on.Close())
	}
	return c, nil
}

// close ends what run has not.
func (c *counting) close() error {
	var err error
	if c.on != nil {
		err = c.on.Close()
	}
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if c.tail != nil {
		err = errors.Join(err, c.tail.Close())
	}
	return err
}

// run counts until ctx ends. That the log can't be read is told, and no reason to end.
func (c *counting) run(ctx context.Context) error {
	c.read() // what was logged while no ingress ran: a reader must not take it for what happens now
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.follow(ctx) })
	if c.on != nil {
		group.Go(func() error { return edge.Serve(ctx, c.on, c.counts.Handler()) })
	}
	return group.Wait()
}

// follow reads whenever nginx has written, and rotates. It is the only one that renames the log, and reads between two
// renames, so that it misses no file.
func (c *counting) follow(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch nginx's log: %w", err)
	}
	defer watcher.Close()
	if c.tail != nil {
		if err := watcher.Add(filepath.Dir(c.path)); err != nil {
			return fmt.Errorf("watch nginx's log: %w", err)
		}
	}
	tick := time.NewTicker(rotateEvery)
	defer tick.Stop()
	var due <-chan time.Time // of the next read; nil while nothing was written
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watcher.Events:
			if due == nil {
				due = time.After(gather)
			}
			continue
		case <-due:
		case <-watcher.Errors: //nolint:errcheck // too many events: there is something to read
		case <-tick.C:
			if err := c.server.RotateLogs(c.logMax); err != nil {
				c.log.Warn("nginx's logs are not rotated", "err", err)
			}
		}
		due = nil
		c.read()
	}
}

// read counts all lines that there are.
func (c *counting) read() {
	for more := c.tail != nil; more; {
		lines, again, err := c.tail.Read()
		c.counts.Add(lines)
		more = again
		c.tell(err)
	}
}

// tell logs an error that is not the one before.
func (c *counting) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != c.failed {
		c.log.Warn("nginx's log is not read as it should", "err", err)
	}
	c.failed = text
}

package nginx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// confirmTimeout is how long nginx may take to serve a new configuration: reading it, and starting workers.
const confirmTimeout = 5 * time.Second

// Served is a configuration that nginx has been seen to serve.
type Served struct {
	Site       Site
	Generation string
	At         time.Time
}

// Apply makes nginx serve what pick returns and returns when a worker with it answers and no earlier worker takes new
// connections. Requests that earlier workers already hold are finished by them. pick is asked again at the end of the
// drain window, so that the newest weights never wait for a reload under way.
//
// Where nginx does not run it is started, or with external set waited for by whoever calls again.
//
// On an error the configuration that was served goes on.
func (s *Server) Apply(ctx context.Context, pick func() Site, external bool) (Served, error) {
	defer s.prune()
	master, err := s.master()
	if err != nil {
		return s.applyStopped(ctx, pick(), external)
	}
	old := s.current()
	if st, err := s.Status(ctx); err == nil {
		old = st.Generation
	}
	before, err := workers(master)
	if err != nil {
		return Served{}, err
	}
	site, generation, undrain, err := s.drainAndStage(ctx, old, pick)
	if err != nil {
		return Served{}, errors.Join(err, undrain())
	}
	if err := s.reload(ctx, master, generation, before); err != nil {
		return Served{}, errors.Join(err, undrain(), s.pointBack(old))
	}
	served := Served{site, generation, time.Now()}
	s.background.Go(func() { s.seeOff(before, undrain) })
	return served, nil
}

// Adopt reports whether the nginx that runs serves site already, and as which generation.
func (s *Server) Adopt(ctx context.Context, site Site) (Served, bool) {
	same, err := s.Serves(site)
	if err != nil || !same || !s.Running() {
		return Served{}, false
	}
	st, err := s.Status(ctx)
	if err != nil || st.Generation != s.current() {
		return Served{}, false
	}
	return Served{site, st.Generation, time.Now()}, true
}

// applyStopped writes the configuration and starts nginx.
func (s *Server) applyStopped(ctx context.Context, site Site, external bool) (Served, error) {
	if same, err := s.Serves(site); err == nil && same && external {
		return Served{}, fmt.Errorf("%w: start it with `nginx -c %s`", errNotRunning, s.path("nginx.conf"))
	}
	generation, err := s.stage(ctx, site)
	if err != nil {
		return Served{}, err
	}
	if err := s.point(generation); err != nil {
		return Served{}, err
	}
	if external {
		return Served{}, fmt.Errorf("%w: start it with `nginx -c %s`", errNotRunning, s.path("nginx.conf"))
	}
	if err := s.start(); err != nil {
		return Served{}, err
	}
	if err := s.confirm(ctx, generation, nil); err != nil {
		return Served{}, fmt.Errorf("start nginx: %w: %s", err, tail(s.path("logs", "stderr.log")))
	}
	return Served{site, generation, time.Now()}, nil
}

// drainAndStage asks the clients of the generation old to open new connections, writes the next configuration meanwhile
// and returns at the end of the drain window. undrain takes the request back.
func (s *Server) drainAndStage(ctx context.Context, old string, pick func() Site) (
	site Site, generation string, undrain func() error, err error,
) {
	undrain = func() error { return nil }
	window := time.NewTimer(0)
	if !s.keepaliveMin {
		flag := s.path("drain", old)
		undrain = func() error { return removeFlag(flag) }
		if err := os.WriteFile(flag, nil, 0o644); err != nil {
			return Site{}, "", undrain, fmt.Errorf("drain nginx: %w", err)
		}
		window = time.NewTimer(s.set.DrainWindow)
	}
	defer window.Stop()
	site = pick()
	if generation, err = s.stage(ctx, site); err != nil {
		return Site{}, "", undrain, err
	}
	select {
	case <-ctx.Done():
		return Site{}, "", undrain, fmt.Errorf("drain nginx: %w", ctx.Err())
	case <-window.C:
	}
	return s.restage(ctx, site, generation, undrain, pick)
}

// restage writes the configuration once more if there is something newer to serve.
func (s *Server) restage(ctx context.Context, site Site, generation string, undrain func() error, pick func() Site) (
	Site, string, func() error, error,
) {
	newer := pick()
	was, err := s.digest(site)
	if err != nil {
		return Site{}, "", undrain, err
	}
	is, err := s.digest(newer)
	if err != nil || is == was {
		return site, generation, undrain, err
	}
	newGeneration, err := s.stage(ctx, newer)
	return newer, newGeneration, undrain, err
}

// reload switches nginx.conf, tells the master and waits until the new workers serve and the workers before don't.
func (s *Server) reload(ctx context.Context, master int, generation string, before []worker) error {
	if err := s.point(generation); err != nil {
		return err
	}
	if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
		return fmt.Errorf("reload nginx: %w", err)
	}
	if err := s.confirm(ctx, generation, before); err != nil {
		return fmt.Errorf("reload nginx: %w; see %s", err, s.path("logs", "error.log"))
	}
	return nil
}

// confirm waits until nginx itself answers with the generation and the workers before take no new connection.
func (s *Server) confirm(ctx context.Context, generation string, before []worker) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	seen := false
	err := until(ctx, func() bool {
		for _, w := range before {
			if !w.retired() {
				return false
			}
		}
		st, err := s.Status(ctx)
		seen = err == nil && st.Generation == generation
		return seen
	})
	if err != nil {
		return fmt.Errorf("wait for generation %s: not served after %s: %w", generation, confirmTimeout, err)
	}
	return nil
}

// pointBack restores what nginx.conf named, so that a restart of nginx gets what was served last.
func (s *Server) pointBack(generation string) error {
	if _, err := os.Stat(s.confPath(generation)); err != nil {
		return nil //nolint:nilerr // the file is gone: the new configuration has passed nginx's check and may stay
	}
	return s.point(generation)
}

// seeOff waits until the workers have ended and removes their drain flag.
func (s *Server) seeOff(before []worker, undrain func() error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.set.ShutdownTimeout+confirmTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && !allGone(before) {
		<-tick.C
	}
	if err := undrain(); err != nil {
		s.log.Warn("drain flag stays", "err", err)
	}
}

func allGone(before []worker) bool {
	for _, w := range before {
		if !w.gone() {
			return false
		}
	}
	return true
}

func removeFlag(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the drain flag: %w", err)
	}
	return nil
}

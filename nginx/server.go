package nginx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weirhq/weir/internal/parts"
)

// Server is one nginx: its folder, its process and the configuration that it serves.
//
// In the folder: nginx.conf, a link to conf/<generation>.conf; nginx.pid; drain/<generation>, there while the workers of
// that generation move clients off their connections; logs; tmp.
type Server struct {
	set          Settings
	log          *slog.Logger
	status       string // host:port where this machine reaches nginx
	http         *http.Client
	keepaliveMin bool
	background   sync.WaitGroup
	ended        chan struct{} // told when a master that this process started has ended
}

// errNotRunning says that no nginx runs with this configuration.
var errNotRunning = errors.New("nginx is not running")

// Open makes the folder and learns what this nginx can do. It starts nothing.
func Open(ctx context.Context, set Settings, log *slog.Logger) (*Server, error) {
	if err := set.check(); err != nil {
		return nil, err
	}
	status, err := set.statusAddress()
	if err != nil {
		return nil, err
	}
	major, minor, patch, err := version(ctx, set.Binary)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"conf", "drain", "logs", "tmp"} {
		if err := os.MkdirAll(filepath.Join(set.Dir, dir), 0o755); err != nil {
			return nil, fmt.Errorf("make nginx's folder: %w", err)
		}
	}
	flags, err := filepath.Glob(filepath.Join(set.Dir, "drain", "*"))
	if err != nil {
		return nil, fmt.Errorf("look for drain flags: %w", err)
	}
	for _, flag := range flags { // of a predecessor that was killed: without it nobody would take them away
		if err := removeFlag(flag); err != nil {
			return nil, err
		}
	}
	return &Server{
		set: set, log: log, status: status,
		http: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		keepaliveMin: major*1_000_000+minor*1000+patch >= 1_027_004,
		ended:        make(chan struct{}, 1),
	}, nil
}

var versionLine = regexp.MustCompile(`nginx/(\d+)\.(\d+)\.(\d+)`)

// version runs `nginx -v`.
func version(ctx context.Context, binary string) (major, minor, patch int, err error) {
	out, err := exec.CommandContext(ctx, binary, "-v").CombinedOutput()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("ask %s for its version: %w; install nginx, or name it", binary, err)
	}
	found := versionLine.FindSubmatch(out)
	if found == nil {
		return 0, 0, 0, fmt.Errorf("ask %s for its version: it does not print that of an nginx: %.80q", binary, out)
	}
	var n [3]int
	for i := range n {
		if n[i], err = strconv.Atoi(string(found[i+1])); err != nil {
			return 0, 0, 0, fmt.Errorf("read the version of %s: %w", binary, err)
		}
	}
	return n[0], n[1], n[2], nil
}

func (s *Server) path(elem ...string) string {
	return filepath.Join(append([]string{s.set.Dir}, elem...)...)
}

// master returns the process number of the nginx that runs with our configuration.
func (s *Server) master() (int, error) {
	text, err := os.ReadFile(s.path("nginx.pid"))
	if err != nil {
		return 0, errNotRunning
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !alive(pid) {
		return 0, errNotRunning
	}
	if command := title(pid); !strings.Contains(command, "master process") || !strings.Contains(command, s.path("nginx.conf")) {
		return 0, errNotRunning // the number now belongs to another program
	}
	return pid, nil
}

// Running reports whether nginx runs with our configuration, whoever started it.
func (s *Server) Running() bool {
	_, err := s.master()
	return err == nil
}

// Ended is told when an nginx that Start started has ended. One that was found running is watched by Running only.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// start starts nginx with the configuration that nginx.conf names. It is a process group of its own and its output goes
// to a file, so that it outlives this process: whoever comes next adopts it and no request is lost.
func (s *Server) start() error {
	s.killOrphans()
	out, err := os.OpenFile(s.path("logs", "stderr.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start nginx: %w", err)
	}
	defer out.Close()
	r, err := s.startLimited(parts.Child{Name: "nginx", Path: s.set.Binary, Log: out, Args: s.arguments()})
	if err != nil {
		return err
	}
	s.background.Go(func() {
		<-r.Done()
		if err := r.Err(); err != nil {
			s.log.Error("nginx ended", "err", err, "output", tail(s.path("logs", "stderr.log")))
		}
		select {
		case s.ended <- struct{}{}:
		default:
		}
	})
	return nil
}

// arguments run nginx in the foreground with the configuration that nginx.conf names.
func (s *Server) arguments() []string {
	return []string{"-p", s.set.Dir, "-e", s.path("logs", "error.log"), "-c", s.path("nginx.conf"), "-g", "daemon off;"}
}

// killOrphans ends what a killed master has left behind.
func (s *Server) killOrphans() {
	text, err := os.ReadFile(s.path("nginx.pid"))
	if err != nil {
		return
	}
	master, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || master <= 1 || alive(master) {
		return
	}
	for _, pid := range orphans(master) {
		s.log.Warn("killing a worker that a dead nginx has left", "pid", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL) // if it has ended meanwhile, so much the better
	}
}

// Quit lets nginx finish its requests and ends it: with SIGQUIT, and after the timeout with SIGKILL.
func (s *Server) Quit(ctx context.Context, timeout time.Duration) error {
	defer s.background.Wait()
	pid, err := s.master()
	if err != nil {
		return nil //nolint:nilerr // it is not there, which is what is wanted
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("quit nginx: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = until(ctx, func() bool { return !alive(pid) })
	if err == nil {
		return nil
	}
	s.log.Warn("nginx did not finish in time, killing it")
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill nginx: %w", err)
	}
	return nil
}

// until looks again every 10 ms until done, which no event of the system announces.
func until(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// tail returns the end of a small log file.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text[max(0, len(text)-1000):]))
}

// Package browser tests the dashboard in a real Chromium, on the real parts: Consul, consul-template, nginx, and the
// programs of this repository. WEIR_SCREENSHOTS names a folder for pictures of what was seen.
package browser

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/test/load"
)

const model = "iris"

// bin holds the programs under test, built once; chromium is the browser's path, "" where there is none.
var bin, chromium string

func TestMain(m *testing.M) {
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		code = 1
	}
	os.Exit(code)
}

func prepare(m *testing.M) (int, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && chromium == "" {
			chromium = path
		}
	}
	if chromium == "" {
		const what = "there is no Chromium on PATH: apt-get install chromium"
		if os.Getenv("CI") != "" {
			return 1, fmt.Errorf("%s", what)
		}
		fmt.Fprintln(os.Stderr, "*** test/browser was NOT RUN:", what, "***")
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "weir-browser-bin-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	for _, name := range []string{"NOMAD_ADDR", "CONSUL_HTTP_ADDR", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN"} {
		if err := os.Unsetenv(name); err != nil {
			return 1, err
		}
	}
	for name, of := range map[string]string{"inference": "../../service", "deployer": "../../deployer"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), of)
		if out, err := build.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	if err := dev.Parts(context.Background(), os.Stderr); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// system is a running Weir with a dashboard, for one test.
type system struct {
	t      *testing.T
	addr   dev.Addresses
	consul *consul.Client
}

func start(t *testing.T) *system {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Dir: dir, Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Dashboard: "127.0.0.1:0",
			Deployer: filepath.Join(bin, "deployer"), Embedded: true, Progress: t.Output(), Tied: true,
			Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		}, func(a dev.Addresses) { ready <- a })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end the system: %v", err)
		}
	})
	select {
	case s.addr = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("start the system: %v", err)
	}
	if s.consul, err = consul.New(s.addr.Consul); err != nil {
		t.Fatal(err)
	}
	return s
}

// ship deploys a version of the test model, as a user would. It returns at once; wait tells the exit code.
func (s *system) ship(version string, more ...string) (wait func() int) {
	s.t.Helper()
	file, err := filepath.Abs("../testdata/iris-" + version + ".pkl")
	if err != nil {
		s.t.Fatal(err)
	}
	args := []string{"deploy", model, file, "--version", version, "--var", "command=" + filepath.Join(bin, "inference")}
	return s.deployer(append(args, more...)...)
}

// deployer runs the deployer. It returns at once; wait tells the exit code.
func (s *system) deployer(args ...string) (wait func() int) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "deployer"), args...)
	cmd.Env = append(os.Environ(), s.addr.Environ()...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its exit code is read below
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		s.t.Logf("deployer %v:\n%s", args, out.String())
	})
	return func() int {
		s.t.Helper()
		select {
		case <-ended:
		case <-time.After(2 * limit):
			s.t.Fatalf("deployer %v does not end", args)
		}
		return cmd.ProcessState.ExitCode()
	}
}

// load sends about 200 requests per second until the test ends.
func (s *system) load() {
	s.t.Helper()
	l, err := load.Start(s.t.Context(), load.Config{
		URL: s.addr.Ingress + "/predict", Clients: 4, Pause: 20 * time.Millisecond,
		Bodies: []string{`{"x":[5.1,3.5,1.4,0.2]}`, `{"x":[6.2,2.9,4.3,1.3]}`, `{"x":[7.1,3.0,5.9,2.1]}`},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Stop() })
}

// newest is the newest rollout as Consul has it.
func (s *system) newest() rollout.Record {
	s.t.Helper()
	rec, _, err := s.consul.Active(s.t.Context(), model)
	if err != nil {
		s.t.Fatal(err)
	}
	return rec.Record
}

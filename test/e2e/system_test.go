// Package e2e tests Weir as a whole on the real parts: Consul, consul-template, nginx, the programs of this repository,
// and a Nomad: the embedded agent, or `nomad agent -dev` of the binary that WEIR_NOMAD names.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/test/load"
)

const model = "iris"

// row is an iris flower.
const row = `{"x":[5.1,3.5,1.4,0.2]}`

// bin holds the programs under test, built once.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "weir-e2e-bin-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	// Each test starts its own cluster, whatever the environment points at.
	for _, name := range []string{"NOMAD_ADDR", "CONSUL_HTTP_ADDR", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN"} {
		if err := os.Unsetenv(name); err != nil {
			return 1, err
		}
	}
	build := exec.Command("go", "build", "-o", dir+"/", "../../service", "../../deployer", "../faulty")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	// go build names a program after its folder.
	if err := os.Rename(filepath.Join(dir, "service"), filepath.Join(dir, "inference")); err != nil {
		return 1, err
	}
	if err := dev.Parts(context.Background(), os.Stderr); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// system is a running Weir, for one test.
type system struct {
	t      *testing.T
	dir    string
	addr   dev.Addresses
	pause  time.Duration // think time of the load's clients
	consul *consul.Client
	nomad  *nomad.Client
}

// startBeside is start for a test that may run beside another one: its load leaves room for that.
func startBeside(t *testing.T) *system {
	t.Helper()
	t.Parallel()
	s := start(t)
	s.pause = 20 * time.Millisecond
	return s
}

// start runs a system and ends it with the test. Whatever of it is still there then fails the test.
func start(t *testing.T) *system {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, dir: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	var log bytes.Buffer
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Dir: s.dir, Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Deployer: filepath.Join(bin, "deployer"),
			Embedded: os.Getenv("WEIR_NOMAD") == "", Progress: t.Output(), Tied: true,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		}, func(a dev.Addresses) { ready <- a })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("end the system: %v", err)
		}
		if left := survivors(s.dir); len(left) > 0 {
			t.Errorf("processes survived: %v", left)
		}
		if t.Failed() {
			t.Logf("log of the system:\n%s", log.String())
			s.dumpLogs()
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
	if s.nomad, err = nomad.New(s.addr.Nomad); err != nil {
		t.Fatal(err)
	}
	return s
}

// survivors lists the processes that work in a folder or were started with it.
func survivors(dir string) []string {
	var found []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		cmdline, err := os.ReadFile(filepath.Join(p, "cmdline"))
		if err != nil || filepath.Base(p) == strconv.Itoa(os.Getpid()) {
			continue
		}
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		if strings.Contains(string(cmdline), dir) || strings.HasPrefix(cwd, dir) {
			found = append(found, filepath.Base(p)+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

func (s *system) dumpLogs() {
	_ = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && (strings.Contains(path, ".std") || filepath.Ext(path) == ".log") && !strings.Contains(path, "access") && filepath.Base(path) != "consul.log" {
			b, _ := os.ReadFile(path)
			s.t.Logf("%s:\n%s", path, b[max(0, len(b)-4000):])
		}
		return nil
	})
}

// command returns the deployer as a user would call it.
func (s *system) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, "deployer"), args...)
	cmd.Env = append(os.Environ(), s.addr.Environ()...)
	return cmd
}

// deployer runs the deployer to its end and returns its output and exit code.
func (s *system) deployer(args ...string) (string, int) {
	s.t.Helper()
	cmd := s.command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("run deployer %v: %v", args, err)
	}
	s.t.Logf("$ deployer %s\n%s(exit code %d)", strings.Join(args, " "), out.String(), cmd.ProcessState.ExitCode())
	return out.String(), cmd.ProcessState.ExitCode()
}

// must runs the deployer and fails the test unless it ends well.
func (s *system) must(args ...string) string {
	s.t.Helper()
	out, code := s.deployer(args...)
	if code != 0 {
		s.t.Fatalf("deployer %v: exit code %d", args, code)
	}
	return out
}

// background starts the deployer and kills it at the end of the test if it still runs.
func (s *system) background(args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = s.t.Output(), s.t.Output()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd
}

// ship are the arguments that deploy a version of the test model.
func ship(version string, more ...string) []string {
	file, err := filepath.Abs("../testdata/iris-" + version + ".pkl")
	if err != nil {
		panic(err)
	}
	args := []string{"deploy", model, file, "--version", version, "--var", "command=" + filepath.Join(bin, "inference")}
	return append(args, more...)
}

// quick are the times of a rollout in these tests.
var quick = []string{"--bake", "3s", "--watch", "1s"}

func (s *system) load() *load.Load {
	s.t.Helper()
	l, err := load.Start(s.t.Context(), load.Config{
		URL: s.addr.Ingress + "/predict", Body: row, Pause: s.pause,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Stop() })
	return l
}

// await waits for a state of the newest rollout, woken by Consul, and returns it.
func (s *system) await(limit time.Duration, what string, ok func(rollout.Record) bool) rollout.Record {
	s.t.Helper()
	var got rollout.Record
	s.until(limit, what, func() bool {
		rec, _, err := s.consul.Active(s.t.Context(), model)
		got = rec.Record
		return err == nil && ok(got)
	})
	return got
}

// until waits for a condition, looking at it after each change in Consul and every 20 ms.
func (s *system) until(limit time.Duration, what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			s.must("status", model)
			s.t.Fatalf("waited %s for %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond) // the pace of looking; the condition is what is awaited
	}
}

func in(p rollout.Phase, step int) func(rollout.Record) bool {
	return func(r rollout.Record) bool { return r.Phase == p && r.Step == step }
}

// releaseOf finds the release that the running instances of a version have.
func (s *system) releaseOf(version string) string {
	s.t.Helper()
	instances, err := s.consul.Instances(s.t.Context(), model)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, i := range instances {
		if i.Version == version {
			return i.Release
		}
	}
	s.t.Fatalf("no instance of %s", version)
	return ""
}

// pids are the processes of a release, in all systems: it is for tests that run alone.
func (s *system) pids(release string) []int {
	s.t.Helper()
	var out []int
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		env, err := os.ReadFile(filepath.Join(p, "environ"))
		if err != nil || !bytes.Contains(env, []byte("\x00MODEL_RELEASE="+release+"\x00")) {
			continue
		}
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil && strings.HasPrefix(exe, bin) {
			out = append(out, pid)
		}
	}
	return out
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func noLoss(t *testing.T, c load.Counts) {
	t.Helper()
	t.Logf("%d requests sent, %d lost", c.Sent, len(c.Lost))
	if len(c.Lost) > 0 {
		t.Errorf("%d of %d requests lost, the first: %+v", len(c.Lost), c.Sent, c.Lost[0])
	}
	if c.Answered() == 0 {
		t.Error("no request was answered: the load proves nothing")
	}
}

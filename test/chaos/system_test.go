//go:build linux

package chaos

import (
	"context"
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

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/test/load"
)

const model = "iris"

// system is a running Weir whose parts can be killed one by one.
type system struct {
	t        *testing.T
	bin, dir string
	addr     dev.Addresses
	server   *parts.ConsulServer
	agent    *parts.Running // the Nomad
	daemon   *program       // `deployer guard`
	load     *load.Load
	consul   *consul.Client
	kv       *api.KV
	nomad    *nomad.Client
}

// start runs a system and ends it with the test. What then is left of it fails the test.
func start(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, bin: build(t), dir: t.TempDir()}
	t.Cleanup(s.sweep)
	if err := dev.Parts(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	s.startConsul()
	s.startNomad()
	t.Setenv("CONSUL_HTTP_ADDR", s.addr.Consul)
	t.Setenv("NOMAD_ADDR", s.addr.Nomad)
	s.startIngress()
	s.daemon = s.background("guard.log", "guard", "-v")
	return s
}

// build builds the programs under test.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin+"/", "../../service", "../../deployer", "../faulty", "../devnode")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	// go build names a program after its folder.
	if err := os.Rename(filepath.Join(bin, "service"), filepath.Join(bin, "inference")); err != nil {
		t.Fatal(err)
	}
	return bin
}

func (s *system) startConsul() {
	s.t.Helper()
	var err error
	s.server, err = parts.StartConsul(s.t.Context(), parts.ConsulConfig{LogFile: filepath.Join(s.dir, "consul.log"), Tied: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.server.Stop(); err != nil {
			s.t.Errorf("stop Consul: %v", err)
		}
	})
	s.addr.Consul = s.server.Addr
	if s.consul, err = consul.New(s.server.Addr); err != nil {
		s.t.Fatal(err)
	}
	c, err := s.server.Client()
	if err != nil {
		s.t.Fatal(err)
	}
	s.kv = c.KV()
}

func (s *system) startNomad() {
	s.t.Helper()
	port := freePort(s.t)
	s.addr.Nomad = "http://127.0.0.1:" + strconv.Itoa(port)
	var err error
	if s.nomad, err = nomad.New(s.addr.Nomad); err != nil {
		s.t.Fatal(err)
	}
	s.agent, err = parts.Start(s.nomadChild(port))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = s.agent.Stop() }) // its end is what is wanted
	s.until(time.Minute, "Nomad to answer", s.nomadAnswers)
}

func (s *system) nomadAnswers() error { return s.nomad.Check(s.t.Context()) }

// nomadChild is the embedded agent in a process of its own, or the Nomad that WEIR_NOMAD names.
func (s *system) nomadChild(port int) parts.Child {
	log, err := os.OpenFile(filepath.Join(s.dir, "nomad.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = log.Close() })
	child := parts.Child{Name: "nomad", Log: log, StopSignal: syscall.SIGINT, StopTimeout: 30 * time.Second, Tied: true}
	if path := os.Getenv("WEIR_NOMAD"); path != "" {
		config := filepath.Join(s.dir, "nomad.hcl")
		text := fmt.Sprintf("ports {\n  http = %d\n  rpc = %d\n  serf = %d\n}\nconsul {\n  address = %q\n}\n",
			port, freePort(s.t), freePort(s.t), s.addr.Consul)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
		child.Path, child.Args = path, []string{"agent", "-dev", "-bind=127.0.0.1", "-config=" + config}
		return child
	}
	child.Path = filepath.Join(s.bin, "devnode")
	child.Args = []string{
		"server", "--addr", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "--clients", "1",
		"--data", filepath.Join(s.dir, "nomad"), "--consul", s.addr.Consul,
	}
	return child
}

// startIngress runs the ingress on that Nomad, as `deployer dev` does on one that it finds in the environment.
func (s *system) startIngress() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ready, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(s.t)))
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Dir: filepath.Join(s.dir, "dev"), Listen: listen, Deployer: filepath.Join(s.bin, "deployer"),
			Progress: s.t.Output(), Logger: slog.New(slog.DiscardHandler),
		}, func(a dev.Addresses) { ready <- a })
	}()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("end the system: %v", err)
		}
	})
	select {
	case s.addr = <-ready:
	case err := <-ended:
		ended <- nil
		s.t.Fatalf("start the system: %v", err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := parts.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// program is a deployer that runs. done is closed when it has ended.
type program struct {
	*exec.Cmd
	done chan struct{}
}

// background starts the deployer, with its output in a log, and kills it at the end of the test if it still runs.
func (s *system) background(log string, args ...string) *program {
	s.t.Helper()
	out, err := os.OpenFile(filepath.Join(s.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(s.bin, "deployer"), args...)
	cmd.Env = append(os.Environ(), s.addr.Environ()...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &program{cmd, make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }() // how it ended is in its state
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-p.done
	})
	return p
}

// until waits for a condition that has no event: it is looked at every 20 ms.
func (s *system) until(limit time.Duration, what string, ok func() error) {
	s.t.Helper()
	if err := wait(limit, ok); err != nil {
		s.t.Fatalf("waited %s for %s: %v", limit, what, err)
	}
}

func wait(limit time.Duration, ok func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ok()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond) // the pace of looking; the condition is what is awaited
	}
}

// process is one of this machine.
type process struct {
	pid, parent int
	line        string // its command line
}

// processes lists those that have a text in their command line, or are a child of one that has.
func processes(match func(process) bool) []process {
	var out []process
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		status, err2 := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil || err2 != nil || len(cmdline) == 0 { // it has ended
			continue
		}
		p := process{line: strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))}
		p.pid, _ = strconv.Atoi(filepath.Base(dir)) // a number by the pattern
		_, rest, _ := strings.Cut(string(status), "\nPPid:")
		_, _ = fmt.Sscan(rest, &p.parent)
		if p.pid != os.Getpid() && match(p) {
			out = append(out, p)
		}
	}
	return out
}

// tasks returns the inference processes of a release; of every release for "".
func (s *system) tasks(release string) []int {
	var out []int
	for _, p := range processes(func(p process) bool { return strings.HasPrefix(p.line, s.bin) }) {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err == nil && strings.Contains(string(env), "\x00MODEL_RELEASE="+release) && !s.isDeployer(p) {
			out = append(out, p.pid)
		}
	}
	return out
}

func (s *system) isDeployer(p process) bool {
	return strings.HasPrefix(p.line, filepath.Join(s.bin, "deployer"))
}

// part finds one process of the ingress by words in its command line, which has this system's folder in it too; 0 if
// there is none.
func (s *system) part(words string) int {
	found := processes(func(p process) bool { return strings.Contains(p.line, words) && strings.Contains(p.line, s.dir) })
	if len(found) == 0 {
		return 0
	}
	return found[0].pid
}

// sweep is the last cleanup: whatever of the system is still there fails the test, and is killed by its number.
func (s *system) sweep() {
	for _, p := range processes(func(p process) bool {
		return strings.Contains(p.line, s.dir) || strings.Contains(p.line, s.bin)
	}) {
		s.t.Errorf("process %d survived: %s", p.pid, p.line)
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may have ended by now
	}
}

// dumpLogs prints the end of each log.
func (s *system) dumpLogs() {
	_ = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		isLog := filepath.Ext(path) == ".log" || strings.Contains(path, ".std")
		if err == nil && isLog && !d.IsDir() && !strings.Contains(path, "access") {
			if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
				s.t.Logf("%s:\n%s", path, text[max(0, len(text)-3000):])
			}
		}
		return nil
	})
}

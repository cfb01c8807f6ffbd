//go:build linux

// Package hosts gives tests several machines: each is a network namespace of this one, with a cable to a bridge that the
// tests can pull. On them it runs clusters of Consul and Nomad. It needs root and iproute2.
//
// The Nomad is test/devnode, the embedded agent as a server and clients; WEIR_NOMAD=<binary> takes a real one.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts"
)

// ownerEnv tells the process on the tests' own host who made the hosts.
const ownerEnv = "WEIR_MULTIHOST_OWNER"

// Suite is the tests of one package that run on hosts.
type Suite struct {
	Name  string // of its make target
	Ops   Host   // where the tests themselves run
	Hosts []Host // the others
	// Build builds what is needed beside inference and the Nomad.
	Build func(Network) error
	Run   func(*testing.M, Network) int
	// Unable runs the tests where there can be no hosts; why says it.
	Unable func(m *testing.M, why string) int
}

// Main is the suite's TestMain. The process that `go test` starts makes the hosts, runs itself again on host Ops, and
// removes the hosts.
func (s Suite) Main(m *testing.M) {
	owner, err := strconv.Atoi(os.Getenv(ownerEnv))
	if err == nil {
		for _, name := range []string{"NOMAD_ADDR", "CONSUL_HTTP_ADDR", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN"} {
			_ = os.Unsetenv(name) // the hosts' own are meant, whatever the environment points at
		}
		os.Exit(s.Run(m, Network{owner}))
	}
	code := 1
	unable, err := prerequisites(s.Name)
	switch {
	case err != nil:
	case unable != "":
		fmt.Fprintf(os.Stderr, "\n*** %s: NOT RUN: %s ***\n", s.Name, unable)
		code = s.Unable(m, unable)
	default:
		code, err = s.own()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** %s: NOT RUN OR NOT CLEANED UP: %v ***\n", s.Name, err)
		code = 1
	}
	os.Exit(code)
}

// prerequisites returns why a developer's machine skips the tests, or an error where they must run and can't.
func prerequisites(suite string) (skip string, err error) {
	if os.Geteuid() != 0 {
		why := "it makes network namespaces, which takes root: run `sudo -E make " + suite + "`"
		if os.Getenv("CI") == "true" {
			return "", errors.New(why)
		}
		return why, nil
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "", fmt.Errorf("find iproute2: %w; install it with: apt-get install iproute2", err)
	}
	if _, err := ip("netns", "list"); err != nil {
		return "", fmt.Errorf("this system has no network namespaces: %w", err)
	}
	return "", nil
}

// own makes the hosts, runs the tests on them and removes them, also when it is asked to end.
func (s Suite) own() (code int, err error) {
	began := time.Now()
	tell := func(what string) {
		fmt.Fprintf(os.Stderr, "%s: %4.1f s: %s\n", s.Name, time.Since(began).Seconds(), what)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	if err := sweep(); err != nil {
		return 1, err
	}
	n := Network{os.Getpid()}
	held, err := n.claim()
	if err != nil {
		return 1, err
	}
	defer func() {
		left, removeErr := n.remove()
		for _, process := range left {
			fmt.Fprintf(os.Stderr, "%s: ended at the end: %s\n", s.Name, process)
		}
		err = errors.Join(err, removeErr, held.Close())
	}()
	if err := os.MkdirAll(n.Logs(), 0o755); err != nil {
		return 1, fmt.Errorf("make the folder of the logs: %w", err)
	}
	if err := s.build(n); err != nil {
		return 1, err
	}
	if err := n.make(append([]Host{s.Ops}, s.Hosts...)); err != nil {
		return 1, err
	}
	tell("programs built, hosts made")
	defer tell("tests ended")
	return s.rerun(n, signals)
}

// rerun runs this test binary on host Ops with the same arguments.
func (s Suite) rerun(n Network, signals <-chan os.Signal) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("find the test binary: %w", err)
	}
	cmd := exec.Command(self, os.Args[1:]...) //nolint:noctx // a signal ends it
	cmd.Env = append(os.Environ(), ownerEnv+"="+strconv.Itoa(n.pid))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := n.Launch(s.Ops, cmd); err != nil {
		return 1, err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); err = cmd.Wait() }()
	select {
	case <-ended:
	case sig := <-signals:
		fmt.Fprintf(os.Stderr, "%s: ends: %s\n", s.Name, sig)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the hosts are emptied anyway
		<-ended
		return 1, nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// build builds the programs under test into the run's folder and finds the parts.
func (s Suite) build(n Network) error {
	if err := os.MkdirAll(n.Bin(""), 0o755); err != nil {
		return fmt.Errorf("make the folder of the programs: %w", err)
	}
	packages := map[string]string{"inference": "../../service"}
	if os.Getenv(parts.Nomad.Env) == "" {
		packages["devnode"] = "../devnode"
	}
	for name, pkg := range packages {
		if err := n.Build(name, pkg); err != nil {
			return err
		}
	}
	if err := s.Build(n); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // the first time Consul is built
	defer cancel()
	for _, p := range []parts.Part{parts.Consul, parts.ConsulTemplate, parts.Nginx} {
		path, err := parts.Find(ctx, p, parts.Options{Progress: os.Stderr})
		if err != nil {
			return err
		}
		if err := os.Symlink(path, n.Bin(p.Name)); err != nil {
			return fmt.Errorf("keep the path of %s: %w", p.Name, err)
		}
	}
	return nil
}

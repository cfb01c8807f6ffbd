//go:build linux

// Package multihost tests Weir on several machines: each is a network namespace of this one, with a cable to a bridge
// that the tests can pull. Three Consul servers, a Nomad server with three nodes, two ingresses, two deployers, and a
// host from which the load comes. It needs root and iproute2.
//
// The Nomad is test/devnode, the embedded agent as a server and clients; WEIR_NOMAD=<binary> takes a real one.
package multihost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/parts"
)

// ownerEnv tells the process on host ops who made the hosts.
const ownerEnv = "WEIR_MULTIHOST_OWNER"

// unable says why the tests are skipped; "" where they run.
var unable string

// The process that `go test` starts makes the hosts, runs itself again on host ops, and removes the hosts.
func TestMain(m *testing.M) {
	owner, err := strconv.Atoi(os.Getenv(ownerEnv))
	if err == nil {
		os.Exit(runOnOps(m, network{owner}))
	}
	code := 1
	switch unable, err = prerequisites(); {
	case err != nil:
	case unable != "":
		fmt.Fprintln(os.Stderr, "\n*** multihost: NOT RUN: "+unable+" ***")
		code = m.Run()
	default:
		code, err = own()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\n*** multihost: NOT RUN OR NOT CLEANED UP:", err, "***")
		code = 1
	}
	os.Exit(code)
}

// prerequisites returns why a developer's machine skips the tests, or an error where they must run and can't.
func prerequisites() (skip string, err error) {
	if os.Geteuid() != 0 {
		const why = "it makes network namespaces, which takes root: run `sudo -E make multihost`"
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
func own() (code int, err error) {
	began := time.Now()
	tell := func(what string) {
		fmt.Fprintf(os.Stderr, "multihost: %4.1f s: %s\n", time.Since(began).Seconds(), what)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	if err := sweep(); err != nil {
		return 1, err
	}
	n := network{os.Getpid()}
	held, err := n.claim()
	if err != nil {
		return 1, err
	}
	defer func() {
		left, removeErr := n.remove()
		for _, process := range left {
			fmt.Fprintln(os.Stderr, "multihost: ended at the end:", process)
		}
		err = errors.Join(err, removeErr, held.Close())
	}()
	if err := os.MkdirAll(n.logs(), 0o755); err != nil {
		return 1, fmt.Errorf("make the folder of the logs: %w", err)
	}
	if err := build(n); err != nil {
		return 1, err
	}
	if err := n.make(allHosts()); err != nil {
		return 1, err
	}
	tell("programs built, hosts made")
	defer tell("tests ended")
	return n.rerun(signals)
}

// rerun runs this test binary on host ops with the same arguments.
func (n network) rerun(signals <-chan os.Signal) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("find the test binary: %w", err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), ownerEnv+"="+strconv.Itoa(n.pid))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := n.launch(ops, cmd); err != nil {
		return 1, err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); err = cmd.Wait() }()
	select {
	case <-ended:
	case sig := <-signals:
		fmt.Fprintln(os.Stderr, "multihost: ends:", sig)
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
func build(n network) error {
	bin := n.bin("")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return fmt.Errorf("make the folder of the programs: %w", err)
	}
	packages := map[string]string{"inference": "../../service", "deployer": "../../deployer"}
	if os.Getenv(parts.Nomad.Env) == "" {
		packages["devnode"] = "../devnode"
	}
	for name, pkg := range packages {
		if out, err := exec.Command("go", "build", "-o", n.bin(name), pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // the first time Consul is built
	defer cancel()
	for _, p := range []parts.Part{parts.Consul, parts.ConsulTemplate, parts.Nginx} {
		path, err := parts.Find(ctx, p, parts.Options{Progress: os.Stderr})
		if err != nil {
			return err
		}
		if err := os.Symlink(path, n.bin(p.Name)); err != nil {
			return fmt.Errorf("keep the path of %s: %w", p.Name, err)
		}
	}
	return nil
}

// bin is the path of a program.
func (n network) bin(name string) string { return filepath.Join(n.folder(), "bin", name) }

// runOnOps runs the tests, on host ops, and ends in good order what they started.
func runOnOps(m *testing.M, n network) int {
	for _, name := range []string{"NOMAD_ADDR", "CONSUL_HTTP_ADDR", "NOMAD_TOKEN", "CONSUL_HTTP_TOKEN"} {
		_ = os.Unsetenv(name) // the hosts' own are meant, whatever the environment points at
	}
	site = &cluster{net: n}
	code := m.Run()
	if err := site.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "multihost: stop the cluster:", err)
		return max(code, 1)
	}
	return code
}

// Command demo shows Weir at work on this machine: a first release, a good one rolled out 10 → 50 → 100 under load and
// promoted, and a bad one that turns unhealthy at 10 % and is taken back by itself. It calls bin/deployer as a user
// would, and leaves the system up.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/test/load"
)

const (
	model = "iris"
	row   = `{"x":[5.1,3.5,1.4,0.2]}`
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		fmt.Fprintln(os.Stderr, "demo: `make demo-down` ends what is running; logs are in .weir/")
		os.Exit(1)
	}
}

// demo is the running show.
type demo struct {
	root   string // of the checkout
	addr   dev.Addresses
	consul *consul.Client
	load   *load.Load
}

func run(ctx context.Context) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	d := &demo{root: root}
	title("The parts")
	if err := d.up(ctx); err != nil {
		return err
	}
	acts := []func(context.Context) error{d.first, d.good, d.bad}
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	d.summary()
	return nil
}

func title(format string, args ...any) { fmt.Printf("\n── "+format+"\n", args...) }

// up starts the system anew: an earlier demo's releases would be in the way.
func (d *demo) up(ctx context.Context) error {
	if _, alive, err := dev.Running(".weir"); err != nil {
		return err
	} else if alive {
		fmt.Println("ends the system of an earlier demo")
		if err := d.deployer(ctx, os.Stdout, "dev", "down"); err != nil {
			return err
		}
	}
	if err := d.deployer(ctx, os.Stdout, "dev", "up"); err != nil {
		return err
	}
	var err error
	if d.addr, _, err = dev.Running(".weir"); err != nil {
		return err
	}
	if d.consul, err = consul.New(d.addr.Consul); err != nil {
		return err
	}
	keys, err := d.consul.Traffic(ctx, model)
	if err == nil && keys.Stable != nil {
		return fmt.Errorf("this Consul knows a model %q already (stable %s): the demo would change it", model, keys.Stable.Release)
	}
	return err
}

// deployer runs the deployer and prints the call as a user would type it.
func (d *demo) deployer(ctx context.Context, out io.Writer, args ...string) error {
	fmt.Println("$ deployer", strings.ReplaceAll(strings.Join(args, " "), d.root+"/", ""))
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "bin", "deployer"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), d.addr.Environ()...)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd.Run()
}

func (d *demo) ship(ctx context.Context, version string, more ...string) error {
	file := filepath.Join("test", "testdata", "iris-"+version+".pkl")
	return d.deployer(ctx, os.Stdout, append([]string{"deploy", model, file, "--version", version}, more...)...)
}

func (d *demo) program(name string) string { return "command=" + filepath.Join(d.root, "bin", name) }

func (d *demo) first(ctx context.Context) error {
	title("v1.0.0, the first release: served as soon as its instances are healthy")
	if err := d.ship(ctx, "v1.0.0", "--var", d.program("inference")); err != nil {
		return err
	}
	fmt.Printf("$ curl -d '%s' %s/predict\n", row, d.addr.Ingress)
	answer, err := d.ask(ctx, http.MethodPost, "/predict", row)
	if err != nil {
		return err
	}
	fmt.Println(answer)
	d.load, err = load.Start(ctx, load.Config{URL: d.addr.Ingress + "/predict", Body: row})
	return err
}

func (d *demo) good(ctx context.Context) error {
	title("v1.1.0, a good one: 10 → 50 → 100 under the load of 8 clients, then promoted")
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { d.splits(watching) })
	err := d.ship(ctx, "v1.1.0", "--var", d.program("inference"), "--bake", "2s", "--watch", "1s")
	stop()
	wg.Wait()
	return err
}

// splits prints what clients saw at each step, when its bake ends.
func (d *demo) splits(ctx context.Context) {
	var id string
	var step int
	var before load.Counts
	d.records(ctx, func(r rollout.Record) {
		baking := r.Phase == rollout.Baking
		switch {
		case baking && (id != r.ID || step != r.Step):
			id, step, before = r.ID, r.Step, d.load.Counts()
			fmt.Printf("          20 × curl %s/health: %s\n", d.addr.Ingress, d.twenty(ctx))
		case !baking && id == r.ID && r.Phase == rollout.Judging:
			fmt.Printf("          clients saw: %s\n", split(d.load.Counts().Sub(before)))
		}
	})
}

// records calls seen with every state of the model's rollouts, until the context ends.
func (d *demo) records(ctx context.Context, seen func(rollout.Record)) {
	woken := make(chan struct{}, 1)
	go d.consul.Watch(ctx, model, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		}
		if s, active, err := d.consul.Active(ctx, model); err == nil && active {
			seen(s.Record)
		}
	}
}

func split(c load.Counts) string {
	var parts []string
	for release, n := range c.ByRelease {
		parts = append(parts, fmt.Sprintf("%s %5.1f %% (%d)", release, 100*c.Share(release), n))
	}
	slices.Sort(parts)
	return strings.Join(parts, "   ")
}

// twenty asks for /health 20 times, as one would by hand, and counts the versions that answer.
func (d *demo) twenty(ctx context.Context) string {
	seen := map[string]int{}
	for range 20 {
		answer, err := d.ask(ctx, http.MethodGet, "/health", "")
		if err != nil {
			answer = err.Error()
		}
		seen[answer]++
	}
	var parts []string
	for answer, n := range seen {
		parts = append(parts, fmt.Sprintf("%d × %s", n, answer))
	}
	slices.Sort(parts)
	return strings.Join(parts, "  ")
}

func (d *demo) ask(ctx context.Context, method, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.addr.Ingress+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return strings.TrimSpace(string(b)), err
}

func (d *demo) bad(ctx context.Context) error {
	title("v1.2.0, a bad one: its /health fails after some requests; it is to be taken back by itself")
	watching, stop := context.WithCancel(ctx)
	failed := make(chan failure, 1)
	go func() { failed <- d.firstFailure(watching) }()
	err := d.ship(ctx, "v1.2.0", "--var", d.program("faulty"), "--bake", "30s",
		"--var", `args=["-fault-after=300","-fault-kind=unhealthy"]`)
	stop()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		return fmt.Errorf("v1.2.0 should have been taken back (exit code 3), but: %w", err)
	}
	f := <-failed
	last := d.load.Last(f.release)
	fmt.Printf("exit code 3: rolled back\n")
	if !f.at.IsZero() {
		fmt.Printf("          its /health failed at %s; the last answer of %s came %.2f s later\n",
			f.at.Format("15:04:05.000"), f.release, last.Sub(f.at).Seconds())
	}
	fmt.Printf("          20 × curl %s/health: %s\n", d.addr.Ingress, d.twenty(ctx))
	return nil
}

// failure is when an instance of a release was first seen unhealthy.
type failure struct {
	at      time.Time
	release string
}

// firstFailure asks the instances of the canary themselves, 50 times per second, until one says that it is ill.
func (d *demo) firstFailure(ctx context.Context) failure {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var addrs []string
	var f failure
	for f.at.IsZero() {
		select {
		case <-ctx.Done():
			return f
		case <-tick.C:
		}
		if len(addrs) < 2 {
			f.release, addrs = d.canaries(ctx)
		}
		for _, a := range addrs {
			if !healthy(ctx, a) {
				f.at = time.Now()
			}
		}
	}
	return f
}

// canaries returns the canary's instances once it has traffic.
func (d *demo) canaries(ctx context.Context) (release string, addrs []string) {
	keys, err := d.consul.Traffic(ctx, model)
	if err != nil || keys.Canary == nil {
		return "", nil
	}
	instances, err := d.consul.Instances(ctx, model)
	if err != nil {
		return "", nil
	}
	for _, in := range instances {
		if in.Release == keys.Canary.Release {
			addrs = append(addrs, in.Addr)
		}
	}
	return keys.Canary.Release, addrs
}

func healthy(ctx context.Context, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/health", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ctx.Err() != nil // our own end is no failure
	}
	_ = res.Body.Close() // only the status counts
	return res.StatusCode == http.StatusOK
}

func (d *demo) summary() {
	c := d.load.Stop()
	title("Summary")
	fmt.Printf("requests sent %d, lost %d\n", c.Sent, len(c.Lost))
	for _, l := range c.Lost[:min(3, len(c.Lost))] {
		fmt.Printf("  lost at %s: %s\n", l.At.Format("15:04:05.000"), l.What)
	}
	fmt.Printf("\nThe system is up:\n  curl -d '%s' %s/predict\n", row, d.addr.Ingress)
	fmt.Printf("  dashboard: %s\n", d.addr.Dashboard)
	for _, e := range d.addr.Environ() {
		fmt.Println("  export", e)
	}
	fmt.Printf("  bin/deployer status %s\n  bin/deployer history %s --events\n`make demo-down` ends it.\n", model, model)
}

package applier

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/proc"
	"github.com/weirhq/weir/internal/traffic"
)

// twoSides registers two instances of each side and records a canary with the weight.
func (r *rig) twoSides(weight int) (blues, greens []*backend) {
	r.t.Helper()
	for range 2 {
		blues = append(blues, r.serve("iris", blue, false))
		greens = append(greens, r.serve("iris", green, true))
	}
	r.setStable("iris", blue)
	r.setCanary("iris", green, weight)
	return blues, greens
}

func (r *rig) noneLost(l *load) {
	r.t.Helper()
	if lost := l.end(); len(lost) > 0 {
		r.t.Errorf("%d of %d requests lost: %q", len(lost), l.sent.Load(), lost[:min(5, len(lost))])
	}
	r.t.Logf("%d requests, none lost", l.sent.Load())
}

// Instances that die under load cost no client an error, before Consul knows and after: one of the canary, then all of
// it, then all of stable but the last known one.
func TestDeadInstances(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	blues, greens := r.twoSides(50)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.load(8, "/predict")
	for _, b := range append(greens, blues[0]) {
		generation := r.status().Generation
		hits := b.hits.Load()
		r.await("the instance is in use", 5*time.Second, func() bool { return b.hits.Load() > hits+10 })
		b.kill()
		b.health(api.HealthCritical)
		r.await("nginx is told", 5*time.Second, func() bool { return r.status().Generation != generation })
	}
	if got := r.split("/", 20); got[blue] != 20 {
		t.Errorf("without a living canary: %v, want only %s", got, blue)
	}
	r.noneLost(l)
}

// An instance that takes requests and stays silent, as one on a node without network does on its kept connections,
// delays them and fails none.
func TestSilentInstance(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.RequestTimeout = 300 * time.Millisecond
	blues, _ := r.twoSides(0)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.load(4, "/predict")
	for _, b := range blues {
		hits := b.hits.Load()
		r.await("the instance is in use", 5*time.Second, func() bool { return b.hits.Load() > hits+10 })
	}
	blues[0].delay.Store(int64(time.Minute))
	hits := blues[1].hits.Load()
	r.await("the other one answers", 10*time.Second, func() bool { return blues[1].hits.Load() > hits+50 })
	r.noneLost(l)
}

// When no instance passes any more, as after an election, the last known ones go on.
func TestEmptyListKeepsLastKnownGood(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	blues, greens := r.twoSides(50)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.load(4, "/predict")
	for _, b := range append(blues, greens...) {
		b.deregister()
	}
	epoch := r.setCanary("iris", green, 40)
	r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	if got := r.split("/", 100); got[blue] < 30 || got[green] < 15 {
		t.Errorf("with an empty catalog: %v, want both", got)
	}
	r.noneLost(l)
}

// Endpoints that flap every few milliseconds make few reloads, and weights don't wait behind them.
func TestFlapping(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.ReloadGap = 4 * time.Second
	blues, _ := r.twoSides(0)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.load(4, "/predict")
	before := r.reloads()
	began := time.Now()
	var shown times
	for i := 0; time.Since(began) < 5*time.Second; i++ {
		blues[0].health([]string{api.HealthCritical, api.HealthPassing}[i%2])
		if i%40 == 20 && len(shown) < 3 {
			at := time.Now()
			epoch := r.setCanary("iris", green, i%100)
			r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
			shown = append(shown, time.Since(at))
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // the pace of the flapping
	}
	reloads := r.reloads() - before
	if most := len(shown) + 3; reloads > most {
		t.Errorf("%d reloads in 5 s, want at most %d", reloads, most)
	}
	if len(shown) == 0 || shown[len(shown)-1] > r.cfg.ReloadGap/2 {
		t.Errorf("weights while endpoints flap: %s, want none to wait for the reload gap of %s", shown, r.cfg.ReloadGap)
	}
	t.Logf("%d reloads in 5 s for %d weights; KV write → epoch shown: %s", reloads, len(shown), shown)
	r.noneLost(l)
}

func (r *rig) reloads() int { return strings.Count(r.logText(), "msg=serves") }

// A request that takes seconds stays with its old worker and is answered; the next switches don't wait for it.
func TestSwitchDoesNotWaitForOldWorkers(t *testing.T) {
	const slowness = 4 * time.Second
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.ShutdownTimeout = 2 * slowness
	_, greens := r.twoSides(100)
	r.start()
	r.awaitEpoch("iris", "1/2")
	for _, b := range greens {
		b.delay.Store(int64(slowness))
	}
	slow := r.load(1, "/predict")
	r.await("a slow request is under way", 5*time.Second, func() bool { return slow.sent.Load() > 0 })
	began := time.Now()
	for _, weight := range []int{50, 0} {
		epoch := r.setCanary("iris", green, weight)
		r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	}
	if !slow.lastAnswer(green).IsZero() {
		t.Errorf("two switches beside a request of %s took %s: they have waited for it", slowness, time.Since(began))
	}
	r.await("the slow request is answered", 2*slowness, func() bool { return !slow.lastAnswer(green).IsZero() })
	r.noneLost(slow)
}

// The process of consul-template, by its record.
func (r *rig) stagerProcess() (proc.Process, bool) {
	r.t.Helper()
	found, err := proc.Load(filepath.Join(r.cfg.StateDir, "consul-template/process.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	if len(found) == 0 {
		return proc.Process{}, false
	}
	return found[0], true
}

func (r *rig) signalStager(sig syscall.Signal) {
	r.t.Helper()
	r.await("consul-template runs", 5*time.Second, func() bool { _, ok := r.stagerProcess(); return ok })
	p, _ := r.stagerProcess()
	if err := syscall.Kill(p.PID, sig); err != nil {
		r.t.Fatal(err)
	}
}

// A killed consul-template comes back and weights move on.
func TestStagerKilled(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.twoSides(0)
	r.start()
	r.awaitEpoch("iris", "1/2")
	for range 2 {
		r.signalStager(syscall.SIGKILL)
		epoch := r.setCanary("iris", green, 50)
		r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	}
}

// A consul-template that hangs does not keep a canary alive whose key is gone, and is replaced.
func TestStagerHangs(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.twoSides(100)
	r.start()
	r.awaitEpoch("iris", "1/2")
	r.signalStager(syscall.SIGSTOP)
	hung, _ := r.stagerProcess()
	if _, err := r.consul.KV().Delete(traffic.CanaryKey("iris"), nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.awaitEpoch("iris", "1/-")
	if !hung.Alive() {
		t.Error("consul-template was replaced before the canary key's end was applied: this did not test the proof")
	}
	t.Logf("the end of the canary key applied after %s", time.Since(began).Round(time.Millisecond))
	epoch := r.setStable("iris", green)
	r.awaitEpoch("iris", traffic.ServedEpoch(epoch, nil))
	if hung.Alive() {
		t.Error("consul-template still hangs")
	}
}

// Cut off from Consul, the ingress takes every canary's traffic away after the time it trusts its last sight, says so,
// and returns to the record by itself.
func TestConsulHangs(t *testing.T) {
	consul := partstest.Consul(t)
	r := newRig(t, consul.Addr)
	r.twoSides(100)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.load(4, "/predict")
	r.await("the canary serves", 5*time.Second, func() bool { return !l.lastAnswer(green).IsZero() })
	began := time.Now()
	if err := syscall.Kill(consul.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() { _ = syscall.Kill(consul.PID(), syscall.SIGCONT) }
	t.Cleanup(resume)
	r.await("the ingress says that it is stale", 10*time.Second, func() bool { return r.status().Stale })
	took := time.Since(began)
	if least := r.cfg.StaleAfter - r.cfg.BeatEvery - time.Second/2; took < least || took > r.cfg.StaleAfter+2*time.Second {
		t.Errorf("stale after %s, want about %s", took, r.cfg.StaleAfter)
	}
	if got := r.split("/", 20); got[blue] != 20 || r.status().Epoch["iris"] != "1/-" {
		t.Errorf("cut off: %v at epoch %s, want only %s", got, r.status().Epoch["iris"], blue)
	}
	resume()
	r.await("the record is served again", 10*time.Second, func() bool { return r.status().Epoch["iris"] == "1/2" })
	r.awaitEpoch("iris", "1/2")
	if got := r.split("/", 20); got[green] != 20 {
		t.Errorf("with Consul again: %v, want only %s", got, green)
	}
	r.noneLost(l)
}

// The ingress starts without a Consul, from its last known good.
func TestStartsWithoutConsul(t *testing.T) {
	consul := partstest.Consul(t)
	r := newRig(t, consul.Addr)
	r.twoSides(100)
	r.start()
	r.awaitEpoch("iris", "1/2")
	r.halt()
	if r.status() != nil {
		t.Error("nginx still answers after the ingress has ended")
	}
	if doc := r.published(); doc != nil {
		t.Errorf("the ingress has left %v in Consul", doc)
	}
	if err := consul.Stop(); err != nil {
		t.Fatal(err)
	}
	r.start()
	if got := r.split("/", 20); got[green] != 20 {
		t.Errorf("within the time that the last sight is trusted: %v, want %s", got, green)
	}
	r.await("the canary gets nothing", 10*time.Second, func() bool { return r.status().Stale })
	if got := r.split("/", 20); got[blue] != 20 {
		t.Errorf("past it: %v, want only %s", got, blue)
	}
}

// nginxPID returns the process number of nginx's master.
func (r *rig) nginxPID() int {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.cfg.StateDir, "nginx/nginx.pid"))
	if err != nil {
		r.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0 // nginx is about to write it
	}
	return pid
}

// A killed nginx comes back, whether this ingress started it or found it; what its workers still held goes with it.
func TestNginxKilled(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.twoSides(50)
	first := r.startChild()
	r.awaitEpoch("iris", "1/2")
	for _, found := range []bool{false, true} {
		if found {
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()
			r.startChild()
			r.await("nginx is adopted", 5*time.Second, func() bool { return strings.Contains(r.logText(), "adopted") })
		}
		master := r.nginxPID()
		if err := syscall.Kill(master, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.await("another nginx answers", 10*time.Second, func() bool { pid := r.nginxPID(); return pid != 0 && pid != master && r.status() != nil })
		t.Logf("adopted %t: nginx is back after %s", found, time.Since(began).Round(time.Millisecond))
		epoch := r.setCanary("iris", green, 100)
		r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	}
}

// An nginx that someone else runs is reloaded, and left alone at the end.
func TestExternalNginx(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.ExternalNginx = true
	r.twoSides(50)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- Run(ctx, r.cfg) }()
	conf := filepath.Join(r.cfg.StateDir, "nginx/nginx.conf")
	r.await("there is a configuration", 5*time.Second, func() bool { _, err := os.Stat(conf); return err == nil })
	nginx, err := parts.Start(parts.Child{
		Name: "nginx", Path: r.cfg.Nginx, Args: []string{"-c", conf, "-g", "daemon off;"}, StopSignal: syscall.SIGQUIT,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nginx.Stop(); err != nil {
			t.Error(err)
		}
	})
	r.awaitEpoch("iris", "1/2")
	epoch := r.setCanary("iris", green, 100)
	r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	r.halt()
	if got := r.split("/", 20); got[green] != 20 {
		t.Errorf("after the ingress has ended: %v, want %s", got, green)
	}
}

// A Consul that comes back without its data: what served goes on, and a new record counts from its own first epoch.
func TestConsulLosesItsData(t *testing.T) {
	first := partstest.Consul(t)
	r := newRig(t, first.Addr)
	blues, greens := r.twoSides(0)
	for range 3 {
		r.setCanary("iris", green, 0)
	}
	r.start()
	r.awaitEpoch("iris", "1/5")
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(first.Addr[strings.LastIndex(first.Addr, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	second, err := parts.StartConsul(t.Context(), parts.ConsulConfig{HTTPPort: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	r.awaitEpoch("iris", "0/-")
	if got := r.split("/", 20); got[blue] != 20 {
		t.Errorf("with an empty Consul: %v, want only %s", got, blue)
	}
	for i := range blues {
		blues[i].register(false)
		greens[i].register(true)
	}
	r.epoch = 0
	r.setStable("iris", blue)
	r.setCanary("iris", green, 100)
	r.awaitEpoch("iris", "1/2")
	if got := r.split("/", 20); got[green] != 20 {
		t.Errorf("with the new record: %v, want only %s", got, green)
	}
}

// A killed ingress loses no request; the next one adopts nginx, and weights move on.
func TestIngressKilled(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.twoSides(50)
	first := r.startChild()
	r.awaitEpoch("iris", "1/2")
	l := r.load(4, "/predict")
	master := r.nginxPID()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second := r.startChild()
	epoch := r.setCanary("iris", green, 100)
	r.awaitEpoch("iris", traffic.ServedEpoch(1, &traffic.Canary{Epoch: epoch}))
	if now := r.nginxPID(); now != master {
		t.Errorf("the second ingress runs nginx %d, want %d, that of the first", now, master)
	}
	if got := r.split("/", 20); got[green] != 20 {
		t.Errorf("at 100 %%: %v", got)
	}
	r.noneLost(l)
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the ingress ended with: %v", err)
	}
	if r.status() != nil {
		t.Error("nginx has outlived an ingress that ended in order")
	}
}

package applier

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/weirhq/weir/internal/parts/partstest"
)

// counted reads what the ingress counts, from the address that it publishes; nil if it does not answer.
func (r *rig) counted() map[string]*dto.MetricFamily {
	r.t.Helper()
	doc := r.published()
	if doc == nil || doc.Metrics == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+doc.Metrics+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return families
}

// sum adds up the samples of a family that have all the labels.
func sum(families map[string]*dto.MetricFamily, name string, labels ...string) (n float64) {
	for _, m := range families[name].GetMetric() {
		has := map[string]bool{}
		for _, l := range m.GetLabel() {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, l := range labels {
			all = all && has[l]
		}
		if all {
			n += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return n
}

// awaitCount waits until a sum has a value, and fails at once where it is past it.
func (r *rig) awaitCount(want float64, name string, labels ...string) {
	r.t.Helper()
	r.await(fmt.Sprintf("%s%v is %g", name, labels, want), 10*time.Second, func() bool {
		got := sum(r.counted(), name, labels...)
		if got > want {
			r.t.Fatalf("%s%v is %g, want %g", name, labels, got, want)
		}
		return got == want
	})
}

const (
	familyRequests = "weir_ingress_requests_total"
	familyAttempts = "weir_ingress_attempts_total"
	familyDraws    = "weir_ingress_first_attempts_total"
)

// What the canary did not answer and its backup made good is counted as the canary's, by kind, and as no draw of
// stable's.
func TestAttemptsAreCounted(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.serve("iris", blue, false)
	bad := r.serve("iris", green, true)
	r.setStable("iris", blue)
	r.setCanary("iris", green, 100)
	r.start()
	r.awaitEpoch("iris", "1/2")
	r.split("/", 5)
	bad.status.Store(http.StatusServiceUnavailable)
	r.split("/", 4)
	bad.kill()
	r.split("/", 3)
	if a := r.get("/", "X-Weir-Release", blue); a.status != 200 {
		t.Errorf("forced: %d", a.status)
	}
	r.awaitCount(13, familyRequests, "code=200")
	is := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := sum(r.counted(), name, append(labels, "model=iris")...); got != want {
			t.Errorf("%s%v is %g, want %g", name, labels, got, want)
		}
	}
	is(5, familyAttempts, "release="+green, "outcome=answered")
	is(4, familyAttempts, "release="+green, "outcome=503")
	is(3, familyAttempts, "release="+green, "outcome=connect")
	is(8, familyAttempts, "release="+blue, "outcome=answered")
	is(7, "weir_ingress_retried_away_total", "release="+green)
	is(12, familyDraws, "release="+green, "epoch=1/2")
	is(3, familyDraws, "release="+green, "code=0")
	is(0, familyDraws, "release="+blue)
	is(100, "weir_ingress_weight", "release="+green)
	is(2, "weir_ingress_epoch", "side=canary")
	epoch := r.setCanary("iris", green, 50)
	r.awaitEpoch("iris", fmt.Sprintf("1/%d", epoch))
	r.split("/", 10)
	r.awaitCount(10, familyDraws, fmt.Sprintf("epoch=1/%d", epoch))
	is(0, familyDraws, "epoch=1/2")
	if sum(r.counted(), "weir_ingress_reloads_total") < 1 {
		t.Error("no reload is counted")
	}
}

// Under load, with a log that is renamed again and again and workers that come and go, each request is counted once.
func TestRotationLosesNoRequest(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.LogMax = 4000
	r.serve("iris", blue, false)
	r.serve("iris", green, true)
	r.setStable("iris", blue)
	r.setCanary("iris", green, 50)
	r.start()
	r.awaitEpoch("iris", "1/2")
	l := r.thinkingLoad(4, "/", 40*time.Millisecond)
	for i := range 4 {
		epoch := r.setCanary("iris", green, 20+10*i)
		r.awaitEpoch("iris", fmt.Sprintf("1/%d", epoch))
		log := filepath.Join(r.cfg.StateDir, "nginx/logs/access.log.1")
		was, _ := os.Stat(log) // there is none yet, at first
		r.await("the log is renamed", 5*time.Second, func() bool {
			is, err := os.Stat(log)
			return err == nil && (was == nil || !os.SameFile(was, is))
		})
	}
	if lost := l.end(); len(lost) > 0 {
		t.Errorf("%d requests lost, the first: %s", len(lost), lost[0])
	}
	r.awaitCount(float64(l.sent.Load()), familyRequests)
	if n := sum(r.counted(), "weir_ingress_log_lines_unreadable_total"); n > 0 {
		t.Errorf("%g lines could not be read", n)
	}
}

// The next ingress process counts what nginx served while there was none, and nothing twice. Its counters begin anew.
func TestKilledIngressCountsOn(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.serve("iris", blue, false)
	r.setStable("iris", blue)
	child := r.startChild()
	r.awaitEpoch("iris", "1/-")
	r.split("/", 7)
	r.awaitCount(7, familyRequests)
	began := sum(r.counted(), "process_start_time_seconds")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	r.split("/", 5)
	r.startChild()
	r.await("the new process is published", 10*time.Second, func() bool { return r.counted() != nil })
	r.awaitCount(5, familyRequests)
	if sum(r.counted(), "process_start_time_seconds") <= began {
		t.Error("the counters began anew and don't say so")
	}
	r.split("/", 2)
	r.awaitCount(7, familyRequests)
}

// Without an ingress process nobody renames the log: it then grows to its bound and no further, and nginx goes on serving
// as if nothing were. The next process has nginx log again.
func TestLogIsBoundedWithoutAnIngress(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.FileMax, r.cfg.LogMax = 40_000, 10_000
	r.serve("iris", blue, false)
	r.setStable("iris", blue)
	child := r.startChild()
	r.awaitEpoch("iris", "1/-")
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	path := filepath.Join(r.cfg.StateDir, "nginx/logs/access.log")
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	r.await("the log is full", 20*time.Second, func() bool { r.split("/", 20); return size() >= 40_000 })
	if got := r.split("/", 200); got[blue] != 200 || size() != 40_000 {
		t.Errorf("with a full log: %v, log of %d bytes", got, size())
	}
	r.startChild()
	r.await("nginx logs again", 10*time.Second, func() bool {
		r.split("/after", 1)
		text, err := os.ReadFile(path)
		return err == nil && len(text) < 40_000 && strings.Contains(string(text), "/after")
	})
}

// nginx goes on serving when the disk that its log is on is full.
func TestFullDiskForTheLog(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.AccessLog = "/dev/full"
	r.serve("iris", blue, false)
	r.setStable("iris", blue)
	r.start()
	r.awaitEpoch("iris", "1/-")
	l := r.thinkingLoad(2, "/", 10*time.Millisecond)
	r.await("some hundred requests", 20*time.Second, func() bool { return l.sent.Load() > 300 })
	if lost := l.end(); len(lost) > 0 {
		t.Errorf("%d requests lost, the first: %s", len(lost), lost[0])
	}
	r.await("nginx meets the full disk", 5*time.Second, func() bool {
		text, err := os.ReadFile(filepath.Join(r.cfg.StateDir, "nginx/logs/error.log"))
		return err == nil && strings.Contains(string(text), "No space left on device")
	})
}

func TestMetricsOff(t *testing.T) {
	r := newRig(t, partstest.Consul(t).Addr)
	r.cfg.Metrics = "off"
	r.serve("iris", blue, false)
	r.setStable("iris", blue)
	r.start()
	r.awaitEpoch("iris", "1/-")
	if doc := r.published(); doc.Metrics != "" {
		t.Errorf("publishes %q", doc.Metrics)
	}
}

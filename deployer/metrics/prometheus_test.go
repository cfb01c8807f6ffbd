package metrics

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// promAnswer is a server that gives the same answer to all queries.
func promAnswer(t *testing.T, status int, data string) *Prometheus {
	t.Helper()
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, data)
	}))
	p, err := NewPrometheus("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrometheusValue(t *testing.T) {
	result := func(kind, value string) string {
		return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, value)
	}
	number := func(v float64) *float64 { return &v }
	for name, tc := range map[string]struct {
		status int
		answer string
		want   *float64
		err    string
	}{
		"one series": {200, result("vector", `[{"metric":{},"value":[1,"0.25"]}]`), number(0.25), ""},
		"a scalar":   {200, result("scalar", `[1,"7"]`), number(7), ""},
		"no data":    {200, result("vector", `[]`), nil, ""},
		"0/0":        {200, result("vector", `[{"metric":{},"value":[1,"NaN"]}]`), nil, ""},
		"several series": {
			200, result("vector", `[{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"2"},"value":[1,"1"]}]`),
			nil, "2 series",
		},
		"a matrix":      {200, result("matrix", `[]`), nil, "matrix"},
		"a bad query":   {400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, nil, "parse error"},
		"no Prometheus": {502, `<html>`, nil, "ask Prometheus for up"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := promAnswer(t, tc.status, tc.answer).Value(t.Context(), "up", time.Now())
			if !reflect.DeepEqual(got, tc.want) || (err != nil) != (tc.err != "") {
				t.Errorf("%v, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestPrometheusDown(t *testing.T) {
	p, err := NewPrometheus("http://" + closedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	got := p.Snapshots(t.Context(), []Target{{Alloc: "a", Addr: "x:1", Release: "r"}}, time.Now())
	if len(got) != 1 || got[0].Err == nil || got[0].Alloc != "a" {
		t.Errorf("%+v", got)
	}
}

// startPrometheus starts a real server that scrapes the addresses, and ends it with the test.
func startPrometheus(t *testing.T, addrs ...string) *Prometheus {
	t.Helper()
	program := os.Getenv("WEIR_PROMETHEUS")
	if program == "" {
		var err error
		if program, err = exec.LookPath("prometheus"); err != nil {
			t.Skip("NOT TESTED with a real Prometheus: none is on PATH or in WEIR_PROMETHEUS (apt install prometheus)")
		}
	}
	dir, listen := t.TempDir(), closedPort(t)
	config := fmt.Sprintf("scrape_configs:\n- job_name: weir\n  scrape_interval: 1s\n  scrape_timeout: 1s\n"+
		"  static_configs: [{targets: ['%s']}]\n", strings.Join(addrs, "','"))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+listen)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			t.Log(lines.Text())
			if strings.Contains(lines.Text(), "Server is ready") {
				close(ready)
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		_ = cmd.Wait()
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatal("Prometheus ended before it was ready")
	case <-time.After(time.Minute):
		t.Fatal("Prometheus is not ready after a minute")
	}
	p, err := NewPrometheus("http://" + listen)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// eventually waits until a query has this value.
func (p *Prometheus) eventually(t *testing.T, promql string, want float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := p.Value(ctx, promql, time.Now())
		if err == nil && got != nil && *got == want {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is %v, %v; want %g", promql, got, err, want)
		case <-tick.C:
		}
	}
}

// TestRealPrometheus reads the same numbers through a Prometheus server as from the instances.
func TestRealPrometheus(t *testing.T) {
	a, b := serve(t, newInstance("new").handler()), serve(t, newInstance("old").handler())
	p := startPrometheus(t, a, b)
	p.eventually(t, `count(weir_requests_total{code="500"} == 1)`, 2)
	promql := Expand(`sum(weir_requests_total{model="$model",release="$canary",code=~"5.."}) /
		sum(weir_requests_total{model="$model",release="$canary"})`, "iris", "new", "old", time.Minute)
	if got, err := p.Value(t.Context(), promql, time.Now()); err != nil || got == nil || *got != 1.0/3 {
		t.Errorf("%s = %v, %v; want 1/3", promql, got, err)
	}
	if got, err := p.Value(t.Context(), `weir_requests_total{release="none"}`, time.Now()); got != nil || err != nil {
		t.Errorf("of a release that is not there: %v, %v", got, err)
	}
	if _, err := p.Value(t.Context(), `weir_requests_total`, time.Now()); err == nil {
		t.Error("several series and no error")
	}
	targets := []Target{
		{Alloc: "c", Addr: a, Release: "new"},
		{Alloc: "s", Addr: b, Release: "old"},
		{Alloc: "x", Addr: "127.0.0.1:1", Release: "old"},
	}
	through, direct := p.Snapshots(t.Context(), targets, time.Now()), scraper(t, 0).Scrape(t.Context(), targets)
	if !reflect.DeepEqual(through[:2], direct[:2]) || through[2].Err == nil {
		t.Errorf("through Prometheus %+v\ndirectly           %+v", through, direct)
	}
}

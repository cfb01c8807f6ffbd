package judge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/metrics"
	"github.com/weirhq/weir/deployer/rollout"
)

// edge is an ingress. Each read finds it 200 requests further on each side, of which some of the canary's got no answer.
func edge(t *testing.T, failing float64) metrics.Ingress {
	t.Helper()
	var reads atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := float64(200 * reads.Add(1))
		bad := n * failing
		fmt.Fprintf(w, "weir_ingress_info{node=\"edge-1\"} 1\nprocess_start_time_seconds 1\n")
		for release, codes := range map[string]map[int]float64{stable: {200: n}, canary: {200: n - bad, 0: bad}} {
			for code, n := range codes {
				fmt.Fprintf(w, "weir_ingress_first_attempts_total{model=\"iris\",release=%q,epoch=\"6/7\",code=\"%d\"} %v\n",
					release, code, n)
			}
		}
	}))
	t.Cleanup(srv.Close)
	return metrics.Ingress{Node: "edge-1", Addr: strings.TrimPrefix(srv.URL, "http://")}
}

func TestAStepIsJudgedByWhatTheIngressesCount(t *testing.T) {
	own := onlyErrors()
	own.Spec.Attempts = &analysis.DefaultAttempts
	down := metrics.Ingress{Node: "edge-2", Addr: "127.0.0.1:1"}
	for name, tt := range map[string]struct {
		cfg       Config
		ingresses []metrics.Ingress
		want      rollout.Outcome
		reason    string
	}{
		"as good":                  {onlyErrors(), []metrics.Ingress{edge(t, 0)}, rollout.Pass, ""},
		"resets":                   {onlyErrors(), []metrics.Ingress{edge(t, 0.2)}, rollout.Fail, "first attempts at the ingress"},
		"one ingress is down":      {onlyErrors(), []metrics.Ingress{edge(t, 0.2), down}, rollout.Fail, "first attempts at the ingress"},
		"nothing needs it":         {onlyErrors(), []metrics.Ingress{down}, rollout.Pass, ""},
		"attempts need it":         {own, []metrics.Ingress{down}, rollout.SourceDown, "0 of the 1 ingresses"},
		"attempts without anybody": {own, nil, rollout.SourceDown, "no ingress counts"},
		"attempts as a metric":     {own, []metrics.Ingress{edge(t, 0.2)}, rollout.Fail, "attempts: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := Subject{Epoch: 7, Step: 1, Weight: 50, Since: time.Now(), Ingresses: tt.ingresses, Targets: []metrics.Target{
				start(t, &instance{release: stable}), start(t, &instance{release: canary}),
			}}
			got := judged(t, record(t, tt.cfg), s)
			if got.Outcome != tt.want || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("judgement %s: %s", got.Outcome, got.Reason)
			}
		})
	}
}

// The counts of several ingresses add up, and what one counted before it was started anew stays.
func TestIngressesAddUpAndRestart(t *testing.T) {
	var restarted atomic.Bool
	page := func(node string, started, n int) string {
		return fmt.Sprintf("weir_ingress_info{node=%q} 1\nprocess_start_time_seconds %d\n"+
			"weir_ingress_first_attempts_total{model=\"iris\",release=%q,epoch=\"6/7\",code=\"0\"} %d\n", node, started, canary, n)
	}
	var ingresses []metrics.Ingress
	for _, node := range []string{"edge-1", "edge-2"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if node == "edge-2" && restarted.Load() {
				fmt.Fprint(w, page(node, 2, 300))
			} else {
				fmt.Fprint(w, page(node, 1, 100))
			}
		}))
		t.Cleanup(srv.Close)
		ingresses = append(ingresses, metrics.Ingress{Node: node, Addr: strings.TrimPrefix(srv.URL, "http://")})
	}
	j, err := New(record(t, onlyErrors()))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{200, 500} {
		j.scrape = metrics.NewScraper(0) // with nothing read yet
		got := j.step(t.Context(), Subject{Epoch: 7, Weight: 50, Since: time.Now(), Ingresses: ingresses}).Evidence.Attempts
		j.scrape.Close()
		if got == nil || got.Canary[0] != want || got.Ingresses != 2 || got.Answered != 2 {
			t.Errorf("look %d: %+v, want %d", i+1, got, want)
		}
		restarted.Store(true)
	}
}

package judge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/metrics"
	"github.com/weirhq/weir/deployer/rollout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	stable = "v1-aaaaaaaa"
	canary = "v2-bbbbbbbb"
)

// instance answers as an inference server does. Each scrape finds it 200 requests further, of which some failed.
type instance struct {
	release string
	failing float64 // part of the requests
	answer  string  // of /predict
	scrapes atomic.Int64
}

func (in *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/predict" {
		if in.answer == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, in.answer)
		return
	}
	n := float64(200 * in.scrapes.Add(1))
	bad := n * in.failing
	fmt.Fprintf(w, "process_start_time_seconds 1\n"+
		"weir_requests_total{code=\"200\",release=%q} %v\nweir_requests_total{code=\"500\",release=%q} %v\n",
		in.release, n-bad, in.release, bad)
}

func start(t *testing.T, in *instance) metrics.Target {
	t.Helper()
	srv := httptest.NewServer(in)
	t.Cleanup(srv.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return metrics.Target{Addr: strings.TrimPrefix(srv.URL, "http://"), Release: in.release}
}

func record(t *testing.T, c Config) rollout.Record {
	t.Helper()
	spec, err := rollout.NewSpec(rollout.StrategyCanary, nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := Put(&spec, c); err != nil {
		t.Fatal(err)
	}
	return rollout.Record{Model: "iris", Release: canary, Stable: stable, Spec: spec}
}

// judged runs a judge until it says something else than that it does not know yet.
func judged(t *testing.T, rec rollout.Record, s Subject) rollout.Judgement {
	t.Helper()
	j, err := New(rec)
	if err != nil {
		t.Fatal(err)
	}
	j.Follow(s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	woken, done := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(done)
		j.Run(ctx, func() { woken <- struct{}{} })
	}()
	defer func() { cancel(); <-done }()
	for {
		select {
		case <-woken:
			if l := j.Latest(); l.Outcome != rollout.Inconclusive {
				return *l
			}
		case <-ctx.Done():
			t.Fatalf("no judgement: %+v", j.Latest())
		}
	}
}

func onlyErrors() Config {
	return Config{Spec: analysis.Spec{
		Alpha: 0.05, MinRequests: 100, MaxMissing: 0.2, Extend: rollout.DefaultExtend, SourceDown: rollout.DefaultSources,
		Errors: &analysis.Rate{Ratio: 1.1, Margin: 0.001},
	}}
}

func TestAStepIsJudgedByWhatItsInstancesCount(t *testing.T) {
	for name, tt := range map[string]struct {
		failing float64
		want    rollout.Outcome
	}{"as good": {0.01, rollout.Pass}, "worse": {0.2, rollout.Fail}} {
		t.Run(name, func(t *testing.T) {
			s := Subject{Epoch: 7, Step: 1, Weight: 50, Since: time.Now(), Targets: []metrics.Target{
				start(t, &instance{release: stable, failing: 0.01}), start(t, &instance{release: canary, failing: tt.failing}),
			}}
			got := judged(t, record(t, onlyErrors()), s)
			if got.Outcome != tt.want || got.Epoch != 7 || !strings.Contains(string(got.Evidence), canary) {
				t.Errorf("judgement %s: %s", got.Outcome, got.Reason)
			}
		})
	}
}

func TestInstancesThatTellNothingAreASourceThatIsDown(t *testing.T) {
	s := Subject{Epoch: 7, Weight: 50, Since: time.Now(), Targets: []metrics.Target{
		start(t, &instance{release: stable}), {Addr: "127.0.0.1:1", Release: canary},
	}}
	if got := judged(t, record(t, onlyErrors()), s); got.Outcome != rollout.SourceDown || !strings.Contains(got.Reason, "127.0.0.1:1") {
		t.Errorf("judgement %s: %s", got.Outcome, got.Reason)
	}
}

func TestGoldenSet(t *testing.T) {
	cases, err := ReadCases([]byte(`[{"name":"setosa","request":{"x":[1]},"want":{"prediction":[0]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		answer string
		want   rollout.Outcome
		reason string
	}{
		"as expected": {`{"prediction":[0],"model_version":"v2"}`, rollout.Pass, ""},
		"another":     {`{"prediction":[2]}`, rollout.Fail, "setosa at .prediction[0]: want 0, got 2"},
		"an error":    {`{"error":"no"}`, rollout.Fail, "setosa"},
		"not up":      {"", rollout.SourceDown, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			c := onlyErrors()
			c.Cases, c.Spec.Golden = cases, &analysis.Tolerance{}
			s := Subject{Epoch: 3, Golden: true, Targets: []metrics.Target{
				start(t, &instance{release: stable}), start(t, &instance{release: canary, answer: tt.answer}),
			}}
			got := judged(t, record(t, c), s)
			if got.Outcome != tt.want || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("judgement %s: %s", got.Outcome, got.Reason)
			}
		})
	}
}

func TestReadCasesRefuses(t *testing.T) {
	for src, want := range map[string]string{
		"":                                    "has 0 cases",
		"[]":                                  "has 0 cases",
		`{"request":{}}`:                      "case 1 of the golden set: want",
		`{"name":"a"`:                         "read case 1",
		strings.Repeat(" ", maxGolden) + "[]": "want at most",
	} {
		if _, err := ReadCases([]byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", src, err, want)
		}
	}
}

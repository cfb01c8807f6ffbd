package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/weirhq/weir/deployer/analysis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is an inference server's /metrics, made with the same library as the real one.
type instance struct {
	requests *prometheus.CounterVec
	latency  prometheus.Histogram
	classes  *prometheus.CounterVec
	scores   *prometheus.HistogramVec
	registry *prometheus.Registry
}

func newInstance(release string) *instance {
	in := &instance{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: familyRequests}, []string{"code"}),
		latency: prometheus.NewHistogram(
			prometheus.HistogramOpts{Name: familyLatency, Buckets: []float64{.001, .01, .1}}),
		classes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: familyClasses}, []string{"class"}),
		scores: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: familyScores, Buckets: []float64{.5, .9}},
			[]string{"score"}),
		registry: prometheus.NewRegistry(),
	}
	start := prometheus.NewGauge(prometheus.GaugeOpts{Name: familyStart})
	start.Set(1.7e9 + 0.25)
	other := prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_requests_in_flight"})
	labels := prometheus.Labels{"model": "iris", "release": release}
	prometheus.WrapRegistererWith(labels, in.registry).
		MustRegister(in.requests, in.latency, in.classes, in.scores, start, other)
	in.answer(200, 0.005, "cat", 0.95)
	in.answer(200, 0.05, `a "quoted\" one`, 0.4)
	in.answer(500, 7, "", -1)
	return in
}

func (in *instance) answer(code int, latency float64, class string, score float64) {
	in.requests.WithLabelValues(fmt.Sprint(code)).Inc()
	in.latency.Observe(latency)
	if score >= 0 {
		in.classes.WithLabelValues(class).Inc()
		in.scores.WithLabelValues("probability").Observe(score)
	}
}

func (in *instance) handler() http.Handler {
	return promhttp.HandlerFor(in.registry, promhttp.HandlerOpts{})
}

// counted is what newInstance counts.
func counted() analysis.Counts {
	return analysis.Counts{
		Codes:     map[int]uint64{200: 2, 500: 1},
		Latency:   analysis.Histogram{Edges: []float64{.001, .01, .1}, Counts: []uint64{0, 1, 1, 1}},
		Classes:   map[string]uint64{"cat": 1, `a "quoted\" one`: 1},
		Scores:    analysis.Histogram{Edges: []float64{.5, .9}, Counts: []uint64{1, 0, 1}},
		ScoreKind: "probability",
	}
}

func serve(t testing.TB, h http.Handler) (addr string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func scraper(t testing.TB, timeout time.Duration) *Scraper {
	t.Helper()
	s := NewScraper(timeout)
	t.Cleanup(s.Close)
	return s
}

func TestScrape(t *testing.T) {
	addr := serve(t, newInstance("v1-11111111").handler())
	got := scraper(t, 0).Scrape(t.Context(), []Target{{Alloc: "a1", Addr: addr, Release: "v1-11111111"}})
	want := []analysis.Snapshot{{
		Alloc: "a1", Release: "v1-11111111", Started: time.Unix(1.7e9, 25e7).UTC(), Counts: counted(),
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) })
}

// hang does not answer.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// TestScrapeRefuses reads pages that say nothing, or nothing that can be right.
func TestScrapeRefuses(t *testing.T) {
	const ok = `weir_requests_total{code="200",release="r"} 1` + "\n"
	for name, tc := range map[string]struct {
		page http.Handler
		want string // part of the error
	}{
		"another release":   {newInstance("v2-22222222").handler(), `says that it is of release "v2-22222222"`},
		"another program":   {text("go_goroutines 7\n"), "is it an inference server?"},
		"a status":          {http.NotFoundHandler(), "404"},
		"no metrics":        {text("<html>"), "read the metrics"},
		"a code":            {text(`weir_requests_total{code="ok",release="r"} 1` + "\n"), `code "ok"`},
		"a negative count":  {text(`weir_requests_total{code="200",release="r"} -1` + "\n"), "-1 is no count"},
		"a broken count":    {text(`weir_requests_total{code="200",release="r"} 1.5` + "\n"), "1.5 is no count"},
		"a NaN":             {text(`weir_requests_total{code="200",release="r"} NaN` + "\n"), "NaN is no count"},
		"a start":           {text(ok + "process_start_time_seconds -5\n"), "process_start_time_seconds is -5"},
		"an endless answer": {http.HandlerFunc(hang), "deadline exceeded"},
		"a falling histogram": {text(ok + "# TYPE weir_request_duration_seconds histogram\n" +
			`weir_request_duration_seconds_bucket{le="1"} 5` + "\n" +
			`weir_request_duration_seconds_bucket{le="+Inf"} 4` + "\n" +
			"weir_request_duration_seconds_sum 1\nweir_request_duration_seconds_count 4\n"), "the bucket up to +Inf"},
	} {
		t.Run(name, func(t *testing.T) {
			target := Target{Alloc: "a1", Addr: serve(t, tc.page), Release: "r"}
			got := scraper(t, 200*time.Millisecond).Scrape(t.Context(), []Target{target})[0]
			why := fmt.Sprint(got.Err)
			if got.Err == nil || !strings.Contains(why, tc.want) || !strings.Contains(why, target.Addr) {
				t.Errorf("error %v, want one with %q", got.Err, tc.want)
			}
			if got.Alloc != "a1" || got.Release != "r" || got.Codes != nil {
				t.Errorf("snapshot %+v", got)
			}
		})
	}
}

// TestScrapeMany reads 1,000 instances, of which some are gone and one never answers.
func TestScrapeMany(t *testing.T) {
	const n, gone = 1000, 7
	page := newInstance("r").handler()
	var most, now atomic.Int64
	addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer now.Add(-1)
		most.Store(max(most.Load(), now.Add(1)))
		page.ServeHTTP(w, r)
	}))
	stuck := serve(t, http.HandlerFunc(hang))
	targets := make([]Target, n)
	for i := range targets {
		targets[i] = Target{Alloc: fmt.Sprint(i), Addr: addr, Release: "r"}
	}
	for i := range gone {
		targets[i].Addr = closedPort(t)
	}
	targets[gone].Addr = stuck
	began := time.Now()
	snapshots := scraper(t, 5*time.Second).Scrape(t.Context(), targets)
	t.Logf("%d instances in %s, %d at once", n, time.Since(began), most.Load())
	for i, s := range snapshots {
		if (s.Err != nil) != (i <= gone) || s.Alloc != fmt.Sprint(i) {
			t.Fatalf("instance %d: %+v", i, s)
		}
	}
	if most.Load() > atOnce {
		t.Errorf("%d requests at once, want at most %d", most.Load(), atOnce)
	}
	_, side := analysis.NewTracker("other", "r", time.Now()).Look(snapshots)
	if side.Listed != n || side.Answered != n-gone-1 || side.Trouble == "" {
		t.Errorf("%d of %d answered, trouble %q", side.Answered, side.Listed, side.Trouble)
	}
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestScrapeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	addr := serve(t, newInstance("r").handler())
	got := scraper(t, 0).Scrape(ctx, []Target{{Addr: addr, Release: "r"}})[0]
	if !errors.Is(got.Err, context.Canceled) || got.Alloc != addr {
		t.Errorf("%+v", got)
	}
}

// TestCountsOfRealSteps joins scraping and tracking: what happened before the step does not count.
func TestCountsOfRealSteps(t *testing.T) {
	canary, stable := newInstance("new"), newInstance("old")
	targets := []Target{
		{Alloc: "c", Addr: serve(t, canary.handler()), Release: "new"},
		{Alloc: "s", Addr: serve(t, stable.handler()), Release: "old"},
	}
	s, tracker := scraper(t, 0), analysis.NewTracker("new", "old", time.Now())
	tracker.Look(s.Scrape(t.Context(), targets))
	for range 100 {
		canary.answer(500, 0.05, "", -1)
		stable.answer(200, 0.05, "cat", 0.7)
	}
	ev := analysis.Evidence{Share: 0.5}
	ev.Canary, ev.Stable = tracker.Look(s.Scrape(t.Context(), targets))
	if v := analysis.Judge(analysis.Default(), 4, ev); v.Outcome != "fail" || ev.Canary.Codes[500] != 100 {
		t.Errorf("%s %q: %+v", v.Outcome, v.Reasons, ev.Canary)
	}
}

func TestExpand(t *testing.T) {
	got := Expand(`rate(x{m="$model",r=~"$canary|$stable"}[$window]) $other`, "iris", "v2", "v1", 90*time.Second)
	if want := `rate(x{m="iris",r=~"v2|v1"}[90s]) $other`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`weir_requests_total{code="200",release="r"} 1` + "\n")
	f.Add("# TYPE weir_request_scores histogram\nweir_request_scores_bucket{le=\"1\",score=\"x\"} 5\n")
	f.Fuzz(func(t *testing.T, page string) {
		p, err := parse(strings.NewReader(page))
		if err != nil {
			return
		}
		s, err := p.snapshot(Target{Release: "r"})
		if err == nil && len(s.Latency.Counts) > 0 && len(s.Latency.Counts) != len(s.Latency.Edges)+1 {
			t.Errorf("histogram %+v", s.Latency)
		}
	})
}

func BenchmarkScrape1000(b *testing.B) {
	addr := serve(b, newInstance("r").handler())
	targets := make([]Target, 1000)
	for i := range targets {
		targets[i] = Target{Alloc: fmt.Sprint(i), Addr: addr, Release: "r"}
	}
	s := scraper(b, 10*time.Second)
	for b.Loop() {
		s.Scrape(b.Context(), targets)
	}
}

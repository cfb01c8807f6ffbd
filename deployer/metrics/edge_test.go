package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const edgePageText = `# TYPE weir_ingress_info gauge
weir_ingress_info{node="edge-1"} 1
process_start_time_seconds 1000
# TYPE weir_ingress_first_attempts_total counter
weir_ingress_first_attempts_total{model="iris",release="new",epoch="3/7",code="200"} 90
weir_ingress_first_attempts_total{model="iris",release="new",epoch="3/7",code="0"} 10
weir_ingress_first_attempts_total{model="iris",release="old",epoch="3/7",code="200"} 900
# TYPE weir_ingress_requests_total counter
weir_ingress_requests_total{model="iris",release="new",code="200"} 98
weir_ingress_requests_total{model="iris",release="new",code="502"} 2
# TYPE weir_ingress_attempts_total counter
weir_ingress_attempts_total{model="iris",release="new",outcome="answered"} 90
weir_ingress_attempts_total{model="iris",release="new",outcome="reset"} 10
weir_ingress_attempts_total{model="iris",release="new",outcome="abandoned"} 1
# TYPE weir_ingress_retried_away_total counter
weir_ingress_retried_away_total{model="iris",release="new"} 8
`

// edge serves a page and returns where.
func edge(t *testing.T, page string) Ingress {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("model") != "iris" && r.URL.Query().Get("only") != "first_attempts" {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprint(w, page)
	}))
	t.Cleanup(srv.Close)
	return Ingress{Node: "edge-1", Addr: strings.TrimPrefix(srv.URL, "http://")}
}

func TestDraws(t *testing.T) {
	s := NewScraper(0)
	defer s.Close()
	got := s.Draws(t.Context(), []Ingress{edge(t, edgePageText)}, "iris", 7, "new", "old", "none")
	if len(got) != 3 || got[0].Err != nil || got[0].Release != "new" || got[0].Codes[200] != 90 || got[0].Codes[0] != 10 ||
		got[1].Codes[200] != 900 || got[2].Err != nil || got[2].Requests() != 0 {
		t.Errorf("%+v", got)
	}
	if !got[0].Started.Equal(time.Unix(1000, 0)) || got[0].Alloc == got[1].Alloc {
		t.Errorf("started %s, named %q and %q", got[0].Started, got[0].Alloc, got[1].Alloc)
	}
	for _, other := range s.Draws(t.Context(), []Ingress{edge(t, edgePageText)}, "iris", 8, "new", "old") {
		if other.Err != nil || other.Requests() != 0 {
			t.Errorf("of an epoch without requests: %+v", other)
		}
	}
}

// An ingress that is not the one that was published there must not be counted in its place, and twice.
func TestDrawsThatCannotBeRead(t *testing.T) {
	s := NewScraper(0)
	defer s.Close()
	elsewhere := edge(t, edgePageText)
	elsewhere.Node = "edge-2"
	for want, in := range map[string]Ingress{
		`ingress "edge-1" answers there`: elsewhere,
		"is it an ingress?":              edge(t, "process_start_time_seconds 1\n"),
		"read the metrics":               edge(t, "no metrics\n"),
		"refused":                        {Node: "edge-1", Addr: "127.0.0.1:1"},
		"is no count":                    edge(t, strings.Replace(edgePageText, `code="0"} 10`, `code="0"} -1`, 1)),
		"is no number":                   edge(t, strings.Replace(edgePageText, `code="0"`, `code="x"`, 1)),
	} {
		for _, got := range s.Draws(t.Context(), []Ingress{in}, "iris", 7, "new")[:1] {
			if got.Err == nil || !strings.Contains(got.Err.Error(), want) || got.Release != "new" || got.Requests() != 0 {
				t.Errorf("%+v, want an error with %q", got, want)
			}
		}
	}
}

func TestTotalsAddUp(t *testing.T) {
	s := NewScraper(0)
	defer s.Close()
	in := edge(t, edgePageText)
	got, err := s.Totals(t.Context(), []Ingress{in, edge(t, edgePageText), {Node: "lost", Addr: "127.0.0.1:1"}}, "iris")
	if err == nil || !strings.Contains(err.Error(), "ingress lost") {
		t.Errorf("error %v", err)
	}
	want := EdgeTotal{Model: "iris", Release: "new", Requests: 200, Errors: 4, Attempts: 202, Failed: 20, Away: 16}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A thousand judges of one process don't read an ingress a thousand times.
func TestJudgesShareWhatOneHasRead(t *testing.T) {
	var reads atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reads.Add(1)
		fmt.Fprint(w, edgePageText)
	}))
	defer srv.Close()
	s := NewScraper(0)
	defer s.Close()
	in := []Ingress{{Node: "edge-1", Addr: strings.TrimPrefix(srv.URL, "http://")}}
	var judges sync.WaitGroup
	for range 1000 {
		judges.Go(func() {
			if got := s.Draws(t.Context(), in, "iris", 7, "new"); got[0].Err != nil || got[0].Codes[200] != 90 {
				t.Errorf("%+v", got)
			}
		})
	}
	judges.Wait()
	if n := reads.Load(); n > 100 { // one on an idle machine
		t.Errorf("%d reads", n)
	}
}

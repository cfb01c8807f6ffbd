package scale

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/traffic"
)

// instances answers for all instances of all models: each has an address of its own in 127.0.0.0/8, and one port. What
// they count grows at the rate of a few requests a second, alike in both releases.
type instances struct {
	port    int
	began   time.Time
	scrapes atomic.Int64

	mu       sync.Mutex
	releases map[string]string // by address
}

func startInstances(t *testing.T) *instances {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &instances{port: listener.Addr().(*net.TCPAddr).Port, began: time.Now(), releases: map[string]string{}}
	server := &http.Server{Handler: s}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	return s
}

// addr gives the i-th instance its address.
func (s *instances) addr(release string, i int) string {
	addr := fmt.Sprintf("127.%d.%d.%d", 1+i>>16, i>>8&0xff, i&0xff)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releases[addr] = release
	return addr
}

func (s *instances) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := ""
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		host, _, _ = net.SplitHostPort(at.String())
	}
	s.mu.Lock()
	release := s.releases[host]
	s.mu.Unlock()
	s.scrapes.Add(1)
	w.Header().Set(traffic.HeaderRelease, release)
	fmt.Fprint(w, s.page(release))
}

// page is what an inference server tells, in Prometheus's text format.
func (s *instances) page(release string) string {
	n := 1 + int(5*time.Since(s.began).Seconds())
	var b strings.Builder
	fmt.Fprintf(&b, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %d\n", s.began.Unix())
	fmt.Fprintf(&b, "# TYPE weir_request_classes_total counter\n")
	for class := range 3 {
		fmt.Fprintf(&b, "weir_request_classes_total{class=\"%d\",release=%q} %d\n", class, release, n/3)
	}
	fmt.Fprintf(&b, "# TYPE weir_request_duration_seconds histogram\n")
	for i := range 24 {
		fmt.Fprintf(&b, "weir_request_duration_seconds_bucket{release=%q,le=\"%g\"} %d\n", release, 0.0001*float64(int(1)<<i), n)
	}
	fmt.Fprintf(&b, "weir_request_duration_seconds_bucket{release=%q,le=\"+Inf\"} %d\n", release, n)
	fmt.Fprintf(&b, "weir_request_duration_seconds_sum{release=%q} %g\nweir_request_duration_seconds_count{release=%q} %d\n",
		release, 0.0001*float64(n), release, n)
	fmt.Fprintf(&b, "# TYPE weir_requests_total counter\nweir_requests_total{code=\"200\",release=%q} %d\n", release, n)
	return b.String()
}

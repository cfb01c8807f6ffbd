package server_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"github.com/weirhq/weir/service/server"
	"github.com/weirhq/weir/service/telemetry"
)

// buffer is a writer that several goroutines may use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// collect runs an OTLP collector, and points the environment of the test to it. It returns what gives the messages.
func collect(t *testing.T) func() []*collector.ExportTraceServiceRequest {
	t.Helper()
	var mu sync.Mutex
	var got []*collector.ExportTraceServiceRequest
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		m := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(b, m)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	return func() []*collector.ExportTraceServiceRequest {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func text(attrs []*common.KeyValue, key string) string {
	for _, a := range attrs {
		if a.Key == key {
			return strings.Trim(a.Value.String(), " ")
		}
	}
	return ""
}

func TestExportsSpans(t *testing.T) {
	got := collect(t)
	t.Setenv("OTEL_SERVICE_NAME", "flowers")
	var log buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	tracing, err := telemetry.Start(t.Context(), os.Getenv, logger, "iris", "v1.0.0-1a2b3c4d")
	if err != nil || tracing == nil {
		t.Fatalf("no tracing: %v", err)
	}
	i := start(t, server.Options{Config: settings(t, iris, "--log-requests=true"), Logger: logger, Tracing: tracing})
	i.awaitHealth(t, http.StatusOK)
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	headers := []string{"traceparent", "00-" + trace + "-" + parent + "-01", "X-Request-Id", "mine"}
	i.do(t, "POST", "/predict", oneRow, headers...)
	i.do(t, "POST", "/v2/models/iris/infer", `{"inputs":[]}`, headers...)
	if err := tracing.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := 0
	for _, m := range got() {
		for _, r := range m.ResourceSpans {
			if a := r.Resource.Attributes; !strings.Contains(text(a, "service.name"), "flowers") ||
				!strings.Contains(text(a, "service.version"), "v1.0.0-1a2b3c4d") {
				t.Errorf("resource: %v", r.Resource)
			}
			for _, s := range r.ScopeSpans[0].Spans {
				if !strings.HasPrefix(s.Name, "POST") {
					continue // health
				}
				spans++
				want := map[string]string{"http.route": "/predict", "weir.rows": "1", "http.response.status_code": "200"}
				if s.Name != "POST /predict" {
					want = map[string]string{
						"http.route": "/v2/models/:model/infer", "error.type": "malformed", "http.response.status_code": "400",
					}
				}
				for key, value := range want {
					if !strings.Contains(text(s.Attributes, key), value) {
						t.Errorf("%s: %s is %q, want %s", s.Name, key, text(s.Attributes, key), value)
					}
				}
				if id := hex.EncodeToString(s.TraceId); id != trace || hex.EncodeToString(s.ParentSpanId) != parent {
					t.Errorf("%s: trace %s, parent %s", s.Name, id, hex.EncodeToString(s.ParentSpanId))
				}
				line := "request_id=mine rows=1 trace_id=" + trace + " span_id=" + hex.EncodeToString(s.SpanId)
				if s.Name == "POST /predict" && !strings.Contains(log.String(), line) {
					t.Errorf("no %s in the log:\n%s", line, log.String())
				}
			}
		}
	}
	if spans != 2 {
		t.Errorf("%d spans of predictions, want 2", spans)
	}
}

func TestSamplerOfTheEnvironment(t *testing.T) {
	got := collect(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	tracing, err := telemetry.Start(t.Context(), os.Getenv, slog.New(slog.DiscardHandler), "iris", "v1")
	if err != nil {
		t.Fatal(err)
	}
	i := start(t, server.Options{Config: settings(t, iris), Tracing: tracing})
	i.awaitHealth(t, http.StatusOK)
	i.do(t, "POST", "/predict", oneRow)
	if err := tracing.Stop(t.Context()); err != nil || len(got()) != 0 {
		t.Errorf("%d exports: %v", len(got()), err)
	}
}

// TestLogsTheTraceWithoutExport has a client's trace in the log where nothing is exported.
func TestLogsTheTraceWithoutExport(t *testing.T) {
	var log buffer
	i := start(t, server.Options{
		Config: settings(t, iris, "--log-requests=1"), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	i.awaitHealth(t, http.StatusOK)
	i.do(t, "POST", "/predict", oneRow, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	i.stop()
	if err := <-i.done; err != nil {
		t.Error(err)
	}
	const want = "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331"
	if !strings.Contains(log.String(), want) {
		t.Errorf("no %s in the log:\n%s", want, log.String())
	}
}

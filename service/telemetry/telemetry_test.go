package telemetry_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/telemetry"
)

func TestIsSwitchedByTheEnvironment(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, tt := range []struct {
		env  map[string]string
		on   bool
		want string // in the error
	}{
		{nil, false, ""},
		{map[string]string{"OTEL_SERVICE_NAME": "iris"}, false, ""},
		{map[string]string{endpoint: "http://127.0.0.1:1"}, true, ""},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, true, ""},
		{map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		{map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		{map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, false, ""},
		{map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, "want otlp or none"},
		{map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, "http/protobuf"},
	} {
		getenv := func(name string) string { return tt.env[name] }
		tracing, err := telemetry.Start(t.Context(), getenv, slog.New(slog.DiscardHandler), "iris", "v1")
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: %v, want %q", tt.env, err, tt.want)
			}
			continue
		}
		if err != nil || (tracing != nil) != tt.on {
			t.Errorf("%v: on %v, %v", tt.env, tracing != nil, err)
		}
		if tracing != nil {
			if err := tracing.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

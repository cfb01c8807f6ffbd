// Package telemetry exports a span of each request with OpenTelemetry, where the standard environment variables of its
// SDK ask for that: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracing makes spans and exports them.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Start begins to export if the environment says so, and returns nil if not: an OTLP endpoint must be set, or
// OTEL_TRACES_EXPORTER=otlp. The exporter, the batches, the sampler and the resource are configured by the SDK's own
// variables. Service and release are the service's name and version unless OTEL_SERVICE_NAME or
// OTEL_RESOURCE_ATTRIBUTES name others. Stop ends it.
func Start(
	ctx context.Context, getenv func(string) string, log *slog.Logger, service, release string,
) (*Tracing, error) {
	on, err := wanted(getenv)
	if err != nil || !on {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are not exported", "err", err) }))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("start trace exporter: %w", err)
	}
	origin, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", service), attribute.String("service.version", release),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(origin))
	return &Tracing{p, p.Tracer("github.com/weirhq/weir/service")}, nil
}

// wanted reports whether the environment asks for traces. It refuses what this exporter can't do.
func wanted(getenv func(string) string) (bool, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	if getenv("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch exporter := getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "":
		if first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
			return false, nil
		}
	case "otlp":
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%q: want otlp or none", exporter)
	}
	protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/protobuf" {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL=%q: want http/protobuf, to port 4318 as a rule", protocol)
	}
	return true, nil
}

// Stop exports what is left and ends.
func (t *Tracing) Stop(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export last traces: %w", err)
	}
	return nil
}

// Request begins the span of a request, a child of the one that its traceparent header names. Span.End ends it.
func (t *Tracing) Request(r *http.Request, route, requestID string) (context.Context, Span) {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	name := r.Method
	if route != "" {
		name += " " + route
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("url.path", r.URL.Path),
		attribute.String("http.route", route), attribute.String("weir.request_id", requestID),
	))
	return ctx, Span{span}
}

// Span is the span of a request.
type Span struct{ span trace.Span }

// End ends the span of a request that was answered with a status code.
func (s Span) End(status int) {
	s.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, http.StatusText(status))
	}
	s.span.End()
}

// Prediction adds what a prediction request was to the span in ctx, if there is one: its rows, or the kind of failure.
func Prediction(ctx context.Context, rows int, failure string) {
	span := trace.SpanFromContext(ctx)
	if failure == "" {
		span.SetAttributes(attribute.Int("weir.rows", rows))
	} else {
		span.SetAttributes(attribute.String("error.type", failure))
	}
}

// LogAttrs identifies a request's span in logs; or, if there is none, what its traceparent header names. Without that
// either, it returns nothing.
func LogAttrs(r *http.Request) []slog.Attr {
	span := trace.SpanContextFromContext(r.Context())
	if !span.IsValid() {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		if span = trace.SpanContextFromContext(ctx); !span.IsValid() {
			return nil
		}
	}
	return []slog.Attr{
		slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()),
	}
}

// Package telemetry sends OpenTelemetry traces and metrics of the calls, where the
// environment says where to: OTEL_EXPORTER_OTLP_ENDPOINT and its kin, as every
// OpenTelemetry SDK reads them. Without them there is none, and it costs nothing.
//
// It must not know any tool, nor what is in a call: neither arguments nor callers
// are in it.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/server/guard"
)

const scope = "github.com/berth-mcp/berth/server"

// durations are the bounds of the histogram's buckets, in seconds: those that the
// semantic conventions for MCP give for operations.
var durations = []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}

// Options say what is running.
type Options struct {
	// Getenv reads the environment. Required.
	Getenv func(string) string
	// Client and Version are of the server that sends.
	Client, Version string
}

// Telemetry takes what is to be sent. A nil one takes nothing.
type Telemetry struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	duration   metric.Float64Histogram
	refusals   metric.Int64Counter
	streams    metric.Int64UpDownCounter
	shutdown   []func(context.Context) error
}

// on says if the environment wants a signal, "TRACES" or "METRICS", to be sent.
func on(getenv func(string) string, signal string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_"+signal+"_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}

// Start gives nil if the environment wants nothing to be sent. It does not wait for
// whoever receives.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	traces, metrics := on(o.Getenv, "TRACES"), on(o.Getenv, "METRICS")
	if !traces && !metrics {
		return nil, nil
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "berth-server"),
			attribute.String("service.version", o.Version),
			attribute.String("berth.client", o.Client),
			attribute.String("faas.name", o.Getenv("K_SERVICE")),
			attribute.String("faas.version", o.Getenv("K_REVISION")),
		),
		resource.WithFromEnv(), // OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME have the last word
	)
	if err != nil {
		return nil, fmt.Errorf("describing this server for telemetry: %w", err)
	}
	t := &Telemetry{propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})}
	if err := errors.Join(t.trace(ctx, about, traces), t.measure(ctx, about, metrics)); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Telemetry) trace(ctx context.Context, about *resource.Resource, wanted bool) error {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	if wanted {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return fmt.Errorf("sending traces: %w", err)
		}
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	provider := sdktrace.NewTracerProvider(options...)
	t.tracer = provider.Tracer(scope)
	t.shutdown = append(t.shutdown, provider.Shutdown)
	return nil
}

func (t *Telemetry) measure(ctx context.Context, about *resource.Resource, wanted bool) error {
	options := []sdkmetric.Option{sdkmetric.WithResource(about)}
	if wanted {
		exporter, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return fmt.Errorf("sending metrics: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	t.shutdown = append(t.shutdown, provider.Shutdown)
	meter := provider.Meter(scope)
	var errs [3]error
	t.duration, errs[0] = meter.Float64Histogram("mcp.server.operation.duration",
		metric.WithUnit("s"), metric.WithDescription("How long calls took"), metric.WithExplicitBucketBoundaries(durations...))
	t.refusals, errs[1] = meter.Int64Counter("berth.server.refusals",
		metric.WithUnit("{call}"), metric.WithDescription("Calls that the caller might not make, or not then"))
	t.streams, errs[2] = meter.Int64UpDownCounter("berth.server.active_streams",
		metric.WithUnit("{stream}"), metric.WithDescription("Event streams that are open"))
	return errors.Join(errs[:]...)
}

// Shutdown sends what is still to be sent.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, shutdown := range t.shutdown {
		errs = append(errs, shutdown(ctx))
	}
	return errors.Join(errs...)
}

// HTTP takes the trace that a request is part of from its headers, and counts
// event streams.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/sse") {
			t.streams.Add(ctx, 1)
			defer t.streams.Add(ctx, -1)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Trace begins a span of a request; the function that it returns ends it. Its parent is
// what the request's _meta says, which may be closer than what its headers say.
func (t *Telemetry) Trace(ctx context.Context, method string, req mcp.Request) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx = t.propagator.Extract(ctx, metaOf(req))
	name, attributes := describe(method, req)
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
	listening := method == guard.MethodListen
	if listening {
		t.streams.Add(ctx, 1)
	}
	return ctx, func(err error) {
		if listening {
			t.streams.Add(ctx, -1)
		}
		if err != nil {
			span.SetStatus(codes.Error, "") // the text may hold what the caller sent
		}
		span.End()
	}
}

// Observe takes the record of a request.
func (t *Telemetry) Observe(ctx context.Context, r guard.Record) {
	if t == nil {
		return
	}
	about := []attribute.KeyValue{attribute.String("mcp.method.name", r.Method), attribute.String("berth.outcome", r.Outcome)}
	if r.Tool != "" {
		about = append(about, attribute.String("gen_ai.tool.name", r.Tool))
	}
	attributes := metric.WithAttributes(about...)
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("berth.outcome", r.Outcome))
	t.duration.Record(ctx, r.Duration.Seconds(), attributes)
	if r.Outcome == guard.OutcomeRefused {
		t.refusals.Add(ctx, 1, attributes)
	}
}

// describe names a span as the semantic conventions do.
func describe(method string, req mcp.Request) (string, []attribute.KeyValue) {
	attributes := []attribute.KeyValue{attribute.String("mcp.method.name", method)}
	switch params := req.GetParams().(type) {
	case *mcp.CallToolParamsRaw:
		if params != nil && len(params.Name) <= 128 {
			return method + " " + plaintext.Line(params.Name), append(attributes, attribute.String("gen_ai.tool.name", plaintext.Line(params.Name)))
		}
	case *mcp.GetPromptParams:
		if params != nil && len(params.Name) <= 128 {
			return method + " " + plaintext.Line(params.Name), append(attributes, attribute.String("gen_ai.prompt.name", plaintext.Line(params.Name)))
		}
	}
	return method, attributes
}

// meta is the _meta of a request, as far as it is text.
type meta map[string]any

func metaOf(req mcp.Request) meta {
	params := req.GetParams()
	if v := reflect.ValueOf(params); v.Kind() != reflect.Pointer || v.IsNil() {
		return nil // a request without params has a nil of a type
	}
	return params.GetMeta()
}

func (m meta) Get(key string) string {
	value, _ := m[key].(string)
	return value
}

func (m meta) Set(string, string) {} // nothing is written into a request

func (m meta) Keys() []string {
	return slices.Collect(maps.Keys(m))
}

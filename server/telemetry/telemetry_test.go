package telemetry_test

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/telemetry"
)

// collector takes what is sent by OTLP.
type collector struct {
	url string

	mu      sync.Mutex
	spans   []*tracepb.Span
	metrics map[string]*metricspb.Metric
	raw     strings.Builder
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{metrics: map[string]*metricspb.Metric{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		var request collectortrace.ExportTraceServiceRequest
		c.take(r, &request)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	})
	mux.HandleFunc("POST /v1/metrics", func(_ http.ResponseWriter, r *http.Request) {
		var request collectormetrics.ExportMetricsServiceRequest
		c.take(r, &request)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					c.metrics[m.GetName()] = m
				}
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) take(r *http.Request, into proto.Message) {
	body, _ := io.ReadAll(r.Body)
	_ = proto.Unmarshal(body, into) // what cannot be read is missed
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
}

func TestCallsAreTracedAndMeasured(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	getenv := func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.url, "K_SERVICE": "acme"}[name]
	}
	sent, err := telemetry.Start(t.Context(), telemetry.Options{Getenv: getenv, Client: "acme", Version: "1"})
	require.NoError(t, err)
	verifier, err := identity.New(identity.Options{Mode: identity.ModeDev, Getenv: getenv})
	require.NoError(t, err)
	var log strings.Builder
	handler, err := endpoint.New(endpoint.Options{
		Implementation: &mcp.Implementation{Name: "test", Version: "1"},
		Register: func(g *guard.Guard) {
			type in struct {
				Text string `json:"text,omitempty"`
			}
			say := func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, any, error) {
				return nil, nil, nil
			}
			guard.AddTool(g, guard.Viewer, &mcp.Tool{Name: "say"}, say)
			guard.AddTool(g, guard.Admin, &mcp.Tool{Name: "rule"}, say)
		},
		Verifier: verifier, Client: "acme", Telemetry: sent, Logger: cloudlog.New(&log, slog.LevelInfo, "p1"),
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()

	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).
		Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp", MaxRetries: -1}, nil)
	require.NoError(t, err)
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	call := func(tool string) {
		_, _ = session.CallTool(t.Context(), &mcp.CallToolParams{
			Meta: mcp.Meta{"traceparent": "00-" + parent + "-00f067aa0ba902b7-01"},
			Name: tool, Arguments: map[string]any{"text": "the content of a call"},
		})
	}
	call("say")
	call("rule")
	call("nosuch-" + strings.Repeat("x", 20))
	call("nosuch-\u009b2J\u202e")
	_ = session.Close()
	require.NoError(t, sent.Shutdown(t.Context()))

	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string]*tracepb.Span{}
	for _, span := range c.spans {
		names[span.GetName()] = span
	}
	require.Contains(t, names, "tools/call say")
	assert.Contains(t, names, `tools/call nosuch-\u009b2J\u202e`, "what somebody made up is shown in plain text")
	span := names["tools/call say"]
	assert.Equal(t, parent, hex.EncodeToString(span.GetTraceId()), "the trace that the request's _meta names")
	assert.Contains(t, log.String(), `"logging.googleapis.com/trace":"projects/p1/traces/`+parent+`"`)
	assert.Contains(t, log.String(), `"logging.googleapis.com/spanId":"`+hex.EncodeToString(span.GetSpanId())+`"`)

	duration := c.metrics["mcp.server.operation.duration"].GetHistogram().GetDataPoints()
	require.Len(t, duration, 4, "a name that somebody made up is no series of its own")
	var series []string
	for _, point := range duration {
		about := map[string]string{}
		for _, attribute := range point.GetAttributes() {
			about[attribute.GetKey()] = attribute.GetValue().GetStringValue()
		}
		series = append(series, about["mcp.method.name"]+" "+about["gen_ai.tool.name"]+" "+about["berth.outcome"])
	}
	assert.ElementsMatch(t, []string{"server/discover  ok", "tools/call say ok", "tools/call rule refused", "tools/call  error"}, series)
	assert.EqualValues(t, 1, c.metrics["berth.server.refusals"].GetSum().GetDataPoints()[0].GetAsInt())
	assert.NotContains(t, c.raw.String(), "the content of a call")
	assert.NotContains(t, c.raw.String(), "dev@localhost")
}

func TestNothingIsSentUnlessTheEnvironmentSaysWhere(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing":      {},
		"switched off": {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"no exporters": {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			sent, err := telemetry.Start(t.Context(), telemetry.Options{Getenv: func(key string) string { return env[key] }})
			require.NoError(t, err)
			assert.Nil(t, sent)
			require.NoError(t, sent.Shutdown(t.Context()))
		})
	}
}

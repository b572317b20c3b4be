package operate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/proxy/operate"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

type proxy struct {
	*relay.Relay
	endpoint *tokentest.Endpoint
}

func start(t *testing.T, targets ...string) proxy {
	t.Helper()
	endpoint := tokentest.New(t)
	tokens := token.NewSource(token.Options{File: tokentest.WriteLogin(t, t.TempDir(), endpoint.URL, tokentest.RefreshToken), TokenURL: endpoint.URL})
	p := serve(t, tokens, targets...)
	p.endpoint = endpoint
	return p
}

func serve(t *testing.T, tokens *token.Source, targets ...string) proxy {
	t.Helper()
	parsed, err := relay.ParseTargets(targets)
	require.NoError(t, err)
	r, err := relay.New(relay.Options{Targets: parsed, Tokens: tokens})
	require.NoError(t, err)
	sender := relay.NewSender(tokens, nil, parsed)
	t.Cleanup(sender.Close)
	operate.Register(r, sender, "v1.2.3")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Serve(ctx) }()
	t.Cleanup(func() { stop(); assert.NoError(t, <-done) })
	return proxy{Relay: r}
}

func (p proxy) get(t *testing.T, path string, header ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.URL()+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestAProxyThatCanServeSaysSo(t *testing.T) {
	p := start(t, "acme=http://127.0.0.1:1")
	status, body := p.get(t, "/startup")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "ok\n", body)
	status, body = p.get(t, "/liveness")
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"program": "berth-proxy", "version": "v1.2.3", "clients": ["acme"]}`, body)
	assert.Zero(t, p.endpoint.Exchanges(), "being up takes no login")
	for range 3 {
		status, _ := p.get(t, "/readiness")
		assert.Equal(t, http.StatusOK, status)
	}
	assert.Equal(t, 1, p.endpoint.Exchanges(), "the token is kept")
}

func TestAProxyThatCannotServeSaysWhy(t *testing.T) {
	p := start(t, "acme=http://127.0.0.1:1")
	p.endpoint.Set(func(e *tokentest.Endpoint) { e.Answer = tokentest.Refuse("invalid_grant", "invalid_rapt") })
	status, body := p.get(t, "/readiness")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, "run `gcloud auth application-default login`")
	status, _ = p.get(t, "/liveness")
	assert.Equal(t, http.StatusOK, status, "starting it anew would not help")

	p.endpoint.Set(func(e *tokentest.Endpoint) { e.Answer = nil })
	status, _ = p.get(t, "/readiness")
	assert.Equal(t, http.StatusOK, status, "it recovers by itself")
	p.SetTargets(nil)
	status, body = p.get(t, "/readiness")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, "berth-proxy add")
}

func TestTheFiguresAreThoseOfTheCalls(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			http.Error(w, "no", http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	p := start(t, "acme="+server.URL, "globex="+server.URL)
	for _, path := range []string{"/acme/mcp", "/acme/mcp", "/acme/bad"} {
		resp, err := http.Post(p.URL()+path, "application/json", strings.NewReader("{}"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	status, body := p.get(t, "/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, want := range []string{
		`berth_proxy_calls_total{client="acme"} 3`,
		`berth_proxy_calls_total{client="globex"} 0`,
		`berth_proxy_failed_calls_total{client="acme"} 1`,
		`berth_proxy_streams{client="acme"} 0`,
		`berth_proxy_sessions{client="acme"} 0`,
		`berth_proxy_call_duration_seconds_bucket{client="acme",le="+Inf"} 3`,
		`berth_proxy_call_duration_seconds_bucket{client="acme",le="60"} 3`,
		`berth_proxy_call_duration_seconds_count{client="acme"} 3`,
		`version="v1.2.3"`,
		"go_goroutines ",
	} {
		assert.Contains(t, body, want)
	}
	for _, raw := range p.endpoint.Tokens() {
		assert.NotContains(t, body, raw)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	for _, problem := range problems {
		assert.NotContains(t, problem.Metric, "berth_", fmt.Sprint(problem))
	}
}

func TestOnlyThisComputersProgramsAreTold(t *testing.T) {
	p := start(t, "acme=http://127.0.0.1:1")
	for _, path := range []string{"/startup", "/liveness", "/readiness", "/metrics"} {
		status, body := p.get(t, path, "Origin", "https://evil.example")
		assert.Equal(t, http.StatusForbidden, status, path)
		assert.NotContains(t, body, "acme")
	}
	assert.Zero(t, p.endpoint.Exchanges())
}

// The name of a login's file is part of the answer, and may be anything.
func TestReadinessAnswersInPlainText(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			tokens := token.NewSource(token.Options{File: "/nowhere/" + attack.Text + "\n" + plaintexttest.Forged})
			p := serve(t, tokens, "acme=http://127.0.0.1:1")
			status, body := p.get(t, "/readiness")
			assert.Equal(t, http.StatusServiceUnavailable, status)
			plaintexttest.AssertPlain(t, body)
			assert.Equal(t, 1, strings.Count(body, "\n"))
			if !strings.Contains(attack.Text, "\x00") { // which no file's name can hold
				assert.Contains(t, body, attack.Shown)
			}
		})
	}
}

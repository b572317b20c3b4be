package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/leaktest"
	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

// deadline is far more than anything here takes.
const deadline = time.Minute

// A harness is a running relay with a login at a loopback endpoint.
type harness struct {
	*Relay
	endpoint *tokentest.Endpoint
	dir      string // of the login file
	log      *logtest.Buffer
	halt     func() // stops the relay and waits
}

// start runs a relay for targets of the form CLIENT=URL.
func start(t *testing.T, targets ...string) *harness {
	t.Helper()
	return startWith(t, Options{Targets: parse(t, targets...)}, nil)
}

// startWith runs a relay with these options and a login; prepare, if set, sees it first.
func startWith(t *testing.T, o Options, prepare func(*Relay)) *harness {
	t.Helper()
	h := &harness{endpoint: tokentest.New(t), dir: t.TempDir(), log: &logtest.Buffer{}}
	o.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Tokens = token.NewSource(token.Options{
		File:     tokentest.WriteLogin(t, h.dir, h.endpoint.URL, tokentest.RefreshToken),
		TokenURL: h.endpoint.URL,
		Logger:   o.Logger,
	})
	var err error
	h.Relay, err = New(o)
	require.NoError(t, err)
	h.sender.firstPause = time.Millisecond
	if prepare != nil {
		prepare(h.Relay)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx) }()
	h.halt = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-served)
	})
	t.Cleanup(func() {
		h.halt()
		for _, raw := range h.endpoint.Tokens() {
			assert.NotContains(t, h.log.String(), raw, "no token is ever logged")
		}
		assert.NotContains(t, h.log.String(), tokentest.RefreshToken)
	})
	return h
}

func (h *harness) trust(server *httptest.Server) {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	h.sender.transport.TLSClientConfig = &tls.Config{RootCAs: pool}
}

// upstream is a server that is gone at the end of the test.
func upstream(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func (h *harness) request(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	return r
}

// client follows no redirect and keeps no connection.
func client(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// do returns the response and its whole body.
func do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client(t).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// refuse answers as Cloud Run's front end does.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token" error_description="The access token could not be verified"`)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html><head><title>"+http.StatusText(status)+"</title></head><body>Your client does not have permission.</body></html>")
}

// within fails the test if nothing comes.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		require.FailNow(t, "timed out", what)
		panic("unreachable")
	}
}

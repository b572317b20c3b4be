package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

const pathSecret = "a-Secret_0123456789"

// startSecret runs a relay with a secret and a page of its own, and returns its address
// without the secret.
func startSecret(t *testing.T, log *logtest.Buffer, targets ...string) (origin string) {
	t.Helper()
	endpoint := tokentest.New(t)
	parsed, err := ParseTargets(targets)
	require.NoError(t, err)
	relay, err := New(Options{
		Secret: pathSecret, Targets: parsed,
		Tokens: token.NewSource(token.Options{File: tokentest.WriteLogin(t, t.TempDir(), endpoint.URL, tokentest.RefreshToken), TokenURL: endpoint.URL}),
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	relay.Handle("GET /page.html", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page at "+r.URL.Path) }))
	relay.Handle("GET /{$}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "root") }))
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- relay.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-served)
	})
	origin, found := strings.CutSuffix(relay.URL(), "/"+pathSecret)
	require.True(t, found, "the address for editors has the secret in it")
	return origin
}

func TestNothingIsAnsweredWithoutTheSecretOfThePath(t *testing.T) {
	asked := make(chan string, 10)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		assert.NotContains(t, fmt.Sprint(r.URL, r.Header), pathSecret, "it stays on this machine")
		if r.URL.Path == "/login" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "event: endpoint\ndata: /messages?session=1\n\n")
		}
	})
	log := &logtest.Buffer{}
	origin := startSecret(t, log, "acme="+server.URL)

	for _, path := range []string{
		"", "/", "/mcp", "/acme/mcp", "/page.html", "/" + pathSecret, "/" + pathSecret + "x/acme/mcp", "/" + pathSecret[1:] + "/acme/mcp",
		"/" + strings.ToLower(pathSecret) + "/acme/mcp", "/%61" + pathSecret[1:] + "/acme/mcp", "//" + pathSecret + "/acme/mcp", "/acme/" + pathSecret + "/mcp",
		"/.well-known/oauth-protected-resource",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+path, strings.NewReader(call))
		require.NoError(t, err)
		resp, body := do(t, r)
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
		assert.NotContains(t, body, pathSecret)
	}
	require.Empty(t, asked)

	for path, want := range map[string]string{"/acme/mcp": "/mcp", "/mcp": "/mcp", "/acme/a%2Fb": "/a/b"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/"+pathSecret+path, strings.NewReader(call))
		require.NoError(t, err)
		r.Header.Set("Referer", origin+"/"+pathSecret+"/")
		resp, _ := do(t, r)
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.Equal(t, want, within(t, asked, path))
	}
	for path, want := range map[string]string{"/": "root", "/page.html": "page at /page.html"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/"+pathSecret+path, nil)
		require.NoError(t, err)
		_, body := do(t, r)
		assert.Equal(t, want, body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+"/"+pathSecret+"/acme/sse", nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	_, body := do(t, r)
	assert.Equal(t, "event: endpoint\ndata: /"+pathSecret+"/acme/messages?session=1\n\n", body, "an older editor finds the way back")
	for _, path := range []string{"/" + pathSecret + "/acme/login", "/.well-known/oauth-protected-resource/" + pathSecret + "/acme/mcp"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+path, nil)
		require.NoError(t, err)
		do(t, r)
	}
	assert.Contains(t, log.String(), "path=/.well-known/oauth-protected-resource/acme/mcp")
	assert.NotContains(t, log.String(), pathSecret)
}

func TestASecretIsLongAndPlain(t *testing.T) {
	assert.NoError(t, CheckSecret(pathSecret))
	for _, bad := range []string{"", "short", strings.Repeat("a", 15), strings.Repeat("a", 129), "with/slash/0123456789", "with space 0123456789", "0123456789abcdef\n"} {
		err := CheckSecret(bad)
		require.Error(t, err, bad)
		if bad != "" {
			assert.NotContains(t, err.Error(), bad)
		}
	}
	targets, err := ParseTargets([]string{"acme=https://acme.example"})
	require.NoError(t, err)
	_, err = New(Options{Targets: targets, Tokens: token.NewSource(token.Options{}), Secret: "short"})
	assert.ErrorContains(t, err, "use 16 to 128")
}

func TestARefusalNamesTheAccountTheClientAndWhomToAsk(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusForbidden) })
	h := start(t, "acme="+server.URL)
	targets, err := ParseTargets([]string{"acme=" + server.URL})
	require.NoError(t, err)
	targets[0].AccessHint = "acme-developers@example.com"
	h.SetTargets(targets)
	require.Empty(t, h.Account())
	_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Contains(t, body, "ada@example.com may not use acme: ask acme-developers@example.com for access, which takes some minutes to take effect")
	assert.Equal(t, "ada@example.com", h.Account())
}

// Whoever reads the log, or runs a client's server, may be another user of the computer.
func TestRelay_KeepsSecretFromLogAndServer(t *testing.T) {
	const secret = "0123456789abcdefghij" // such as a client's name could be
	got := make(chan *http.Request, 1)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		w.WriteHeader(http.StatusUnauthorized) // of its own login, so that its documents are asked for
	})
	h := startWith(t, Options{Targets: parse(t, "acme="+server.URL, "globex="+server.URL), Secret: secret}, nil)
	origin := strings.TrimSuffix(h.URL(), "/"+secret)
	for _, path := range []string{
		"/" + secret + "/acme/mcp",
		"/.well-known/oauth-protected-resource/" + secret + "/acme/mcp",
		"/.well-known/oauth-authorization-server/" + secret + "/acme",
		"/.well-known/openid-configuration/" + secret + "/acme/mcp",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin+path, nil)
		require.NoError(t, err)
		r.Header.Set("Referer", h.URL()+"/")
		do(t, r)
		sent := within(t, got, path)
		assert.NotContains(t, fmt.Sprint(sent.URL, sent.Header), secret, path)
	}
	do(t, h.request(t, http.MethodPost, "/"+secret+"/mcp", call)) // as of a client of that name
	require.Eventually(t, func() bool { return strings.Contains(h.log.String(), "has no client") }, deadline, time.Millisecond)
	assert.Contains(t, h.log.String(), "path=/.well-known/oauth-protected-resource/acme/mcp", "it logs")
	assert.NotContains(t, h.log.String(), secret)
}

func TestRelay_SetSecretShutsTheOldOneOut(t *testing.T) {
	const replaced = "another-Secret_0123456789"
	ticks, left := make(chan string), make(chan struct{})
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			return
		}
		clock(ticks)(w, r)
		close(left)
	})
	h := startWith(t, Options{Targets: parse(t, "acme="+server.URL), Secret: pathSecret}, nil)
	before := h.request(t, http.MethodPost, "/acme/mcp", call)
	resp, err := client(t).Do(h.request(t, http.MethodGet, "/acme/mcp", ""))
	require.NoError(t, err)
	defer resp.Body.Close()
	got := lines(t, resp.Body)
	ticks <- "open"
	require.Equal(t, "data: open", within(t, got, "an event"))

	require.ErrorContains(t, h.SetSecret("short"), "use 16 to 128")
	require.NoError(t, h.SetSecret(pathSecret))
	ticks <- "still open"
	within(t, got, "the end of the event")
	require.Equal(t, "data: still open", within(t, got, "an event after no change"))

	require.NoError(t, h.SetSecret(replaced))
	within(t, left, "the end of the stream that the old secret has let in")
	resp, body := do(t, before)
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.True(t, strings.HasPrefix(body, HasSecret), body)
	assert.Contains(t, h.URL(), replaced)
	resp, _ = do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

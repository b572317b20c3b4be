package bridge

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// proxy runs a whole proxy for the rig's server and returns it, and what stops it.
func (r *rig) proxy(t *testing.T, change func(*SSE)) (proxy *relay.Relay, stop func()) {
	t.Helper()
	tokens := token.NewSource(token.Options{
		File:     tokentest.WriteLogin(t, t.TempDir(), r.endpoint.URL, tokentest.RefreshToken),
		TokenURL: r.endpoint.URL,
		Logger:   r.log,
	})
	var sse *SSE
	p, err := relay.New(relay.Options{Targets: []relay.Target{r.target}, Tokens: tokens, Logger: r.log,
		SSE: func(w http.ResponseWriter, r *http.Request, t relay.Target, prefix string) bool {
			return sse.Serve(w, r, t, prefix)
		}})
	require.NoError(t, err)
	sse = NewSSE(p.Sender(), r.log)
	if change != nil {
		change(sse)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, within(t, served, "the end of the proxy"))
		sse.mu.Lock()
		defer sse.mu.Unlock()
		assert.Empty(t, sse.editors)
	})
	t.Cleanup(stop)
	return p, stop
}

// olderEditor connects a client of the SDK over the older transport.
func olderEditor(t *testing.T, url string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "older", Version: "1"}, o).Connect(t.Context(),
		&mcp.SSEClientTransport{Endpoint: url, HTTPClient: client}, &mcp.ClientSessionOptions{ProtocolVersion: "2024-11-05"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// instances is a service whose requests go to any of its instances, as on a platform
// without affinity.
func instances(t *testing.T, n int, one func() http.Handler) http.Handler {
	var all []http.Handler
	for range n {
		all = append(all, one())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { all[rand.IntN(n)].ServeHTTP(w, r) })
}

func TestAnOlderEditorUsesAServerOnManyInstances(t *testing.T) {
	r := newRig(t, serve(t, instances(t, 3, func() http.Handler {
		return newPortal(t).streamable(mcp.StreamableHTTPOptions{Stateless: true})
	})))
	proxy, _ := r.proxy(t, nil)
	url := proxy.URL()
	for _, path := range []string{"/sse", "/acme/sse"} {
		progress := make(chan float64, 10)
		editor := olderEditor(t, url+path, &mcp.ClientOptions{
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progress <- r.Params.Progress },
		})
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				_, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{"x"}})
				assert.NoError(t, err)
			})
		}
		calls.Wait()
		params := &mcp.CallToolParams{Name: "steps", Arguments: nothing{}}
		params.SetProgressToken("p")
		_, err := editor.CallTool(t.Context(), params)
		require.NoError(t, err)
		for want := range 3 {
			assert.InDelta(t, want+1, within(t, progress, "progress"), 0)
		}
	}
}

func TestAnOlderEditorHasASessionWithAServerThatHasSessions(t *testing.T) {
	p := newPortal(t)
	r := newRig(t, serve(t, p.streamable(mcp.StreamableHTTPOptions{})))
	proxy, _ := r.proxy(t, nil)
	url := proxy.URL()
	changed := make(news, 1)
	editor := olderEditor(t, url+"/sse", &mcp.ClientOptions{
		ToolListChangedHandler: changed.come,
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "decline"}, nil
		},
	})
	result, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "ask", Arguments: nothing{}})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"text": "decline <nil>"}, result.StructuredContent)
	p.toolsChange(t, changed)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = editor.CallTool(ctx, &mcp.CallToolParams{Name: "wait", Arguments: nothing{}}) }()
	within(t, p.waiting, "a call at the server")
	cancel()
	within(t, p.cancelled, "the cancellation at the server")

	require.NoError(t, editor.Close())
	require.Eventually(t, func() bool {
		for range p.Sessions() {
			return false
		}
		return true
	}, deadline, 10*time.Millisecond, "the server is told that the session is over")
}

// counted counts the requests to a server by method and path.
type counted struct {
	http.Handler
	mu    sync.Mutex
	count map[string]int
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[r.Method+" "+r.URL.Path]++
	c.mu.Unlock()
	c.Handler.ServeHTTP(w, r)
}

func (c *counted) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[key]
}

func TestAServerWithTheOlderTransportAloneIsRelayedAndAskedOnce(t *testing.T) {
	server := &counted{Handler: newPortal(t).onlySSE()}
	r := newRig(t, serve(t, server))
	proxy, _ := r.proxy(t, nil)
	url := proxy.URL()
	for range 3 {
		editor := olderEditor(t, url+"/acme/sse", nil)
		_, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{"x"}})
		require.NoError(t, err)
	}
	assert.Equal(t, 1, server.of("POST /mcp"))
	assert.Equal(t, 3, server.of("GET /sse"))
}

func TestAServersOwnLoginIsForTheEditorToSee(t *testing.T) {
	r := newRig(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="/.well-known/oauth-protected-resource"`)
		http.Error(w, "log in", http.StatusUnauthorized)
	})))
	proxy, _ := r.proxy(t, nil)
	url := proxy.URL()
	resp, _ := get(t, url+"/sse")
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("WWW-Authenticate"), "resource_metadata")
}

func get(t *testing.T, url string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer the-editor's-own")
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (*http.Response, *bufio.Reader) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp, bufio.NewReader(resp.Body)
}

// A failure of the platform says nothing of what a server speaks.
func TestWhatAServerSpeaksIsAskedAgainIfItCouldNotAnswer(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	portal := newPortal(t).streamable(mcp.StreamableHTTPOptions{Stateless: true})
	r := newRig(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			return
		}
		portal.ServeHTTP(w, r)
	})))
	proxy, _ := r.proxy(t, nil)
	url := proxy.URL()
	resp, body := get(t, url+"/sse")
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
	assert.Contains(t, string(text), "may not use acme")
	down.Store(false)
	_, err = olderEditor(t, url+"/sse", nil).ListTools(t.Context(), nil)
	require.NoError(t, err)
}

// open opens a stream and returns where to post messages to.
func open(t *testing.T, url, path string) (stream *bufio.Reader, postTo string) {
	t.Helper()
	resp, stream := get(t, url+path)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(t, "event: endpoint", line(t, stream))
	endpoint := strings.TrimPrefix(line(t, stream), "data: ")
	require.Empty(t, line(t, stream))
	require.True(t, strings.HasPrefix(endpoint, path+"?"), endpoint)
	return stream, url + endpoint
}

func line(t *testing.T, stream *bufio.Reader) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		text, _ := stream.ReadString('\n')
		got <- strings.TrimSuffix(text, "\n")
	}()
	return within(t, got, "a line of the stream")
}

func post(t *testing.T, url, contentType string, body io.Reader) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer the-editor's-own")
	r.Header.Set("Mcp-Session-Id", "smuggled")
	resp, _ := do(t, r)
	return resp.StatusCode
}

func TestWhatAnOlderEditorPostsIsChecked(t *testing.T) {
	r, s := newScript(t, nil)
	proxy, stop := r.proxy(t, nil)
	url := proxy.URL()
	stream, postTo := open(t, url, "/acme/sse")
	assert.Equal(t, http.StatusNotFound, post(t, url+"/acme/sse?"+sessionParam+"=guessed", "application/json", strings.NewReader(aCall)))
	assert.Equal(t, http.StatusUnsupportedMediaType, post(t, postTo, "text/plain", strings.NewReader(aCall)))
	assert.Equal(t, http.StatusRequestEntityTooLarge, post(t, postTo, "application/json", io.LimitReader(endless{}, maxMessage+1)))
	assert.Empty(t, s.requests("tools/call"))
	assert.Equal(t, http.StatusAccepted, post(t, postTo, "application/json; charset=utf-8", strings.NewReader(aCall)))
	assert.Equal(t, "event: message", line(t, stream))
	assert.Equal(t, `data: {"jsonrpc":"2.0","id":7,"result":{}}`, line(t, stream))
	figures := proxy.Snapshot()[0]
	assert.Equal(t, 1, figures.Streams)
	assert.EqualValues(t, 2, figures.Calls, "with the proxy's own ping")
	assert.Zero(t, figures.Failed)
	if calls := s.requests("tools/call"); assert.Len(t, calls, 1) {
		assert.Equal(t, "Bearer the-editor's-own", calls[0].header.Get("Authorization"), "it is meant for the server")
		assert.Empty(t, calls[0].header.Get("Mcp-Session-Id"), "the session with the server is the proxy's")
		assert.Equal(t, []string{"application/json"}, calls[0].header.Values("Content-Type"))
	}
	stop()
	_, err := io.ReadAll(stream)
	require.NoError(t, err, "the stream ends in order when the proxy stops")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnIdleStreamIsKeptAlive(t *testing.T) {
	r, _ := newScript(t, nil)
	proxy, _ := r.proxy(t, func(h *SSE) { h.keepAliveEvery = time.Millisecond })
	url := proxy.URL()
	stream, _ := open(t, url, "/sse")
	for range 3 {
		assert.Equal(t, ": keep-alive", line(t, stream))
		assert.Empty(t, line(t, stream))
	}
}

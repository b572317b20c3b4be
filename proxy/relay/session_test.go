package relay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A fleet is instances of a server that keeps its sessions in memory, behind a platform
// with session affinity: a request goes to the instance that its cookie names, or to any.
type fleet struct {
	instances []http.Handler
	breaks    func() bool // whether affinity is not honoured this time
	astray    atomic.Int64
}

func newFleet(t *testing.T, size int, breaks func() bool) (*fleet, *httptest.Server) {
	f := &fleet{breaks: breaks}
	for i := range size {
		server := mcp.NewServer(&mcp.Implementation{Name: "portal", Version: "1"}, nil)
		mcp.AddTool(server, &mcp.Tool{Name: "where"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(i)}}}, nil, nil
		})
		t.Cleanup(func() { // the sessions that got lost
			for session := range server.Sessions() {
				_ = session.Close()
			}
		})
		newServer := func(*http.Request) *mcp.Server { return server }
		mux := http.NewServeMux()
		mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(newServer, nil))
		mux.Handle("/sse", mcp.NewSSEHandler(newServer, nil))
		f.instances = append(f.instances, mux)
	}
	return f, upstream(t, f.ServeHTTP)
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i := rand.N(len(f.instances))
	if cookie, err := r.Cookie("GAESA"); err == nil {
		if _, err := fmt.Sscanf(cookie.Value, "instance-%d", &i); err == nil && f.breaks() {
			i = (i + 1) % len(f.instances)
			f.astray.Add(1)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: "GAESA", Value: fmt.Sprintf("instance-%d", i), Path: "/", MaxAge: 3600, Secure: true, HttpOnly: true})
	f.instances[i].ServeHTTP(w, r)
}

func connect(t *testing.T, transport mcp.Transport) *mcp.ClientSession {
	t.Helper()
	// The context of an SSE transport is its stream's.
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	require.NoError(t, err)
	return session
}

func where(t *testing.T, session *mcp.ClientSession) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "where"})
	if err != nil {
		return "", err
	}
	return result.Content[0].(*mcp.TextContent).Text, nil
}

func TestEachSessionStaysWithItsInstance(t *testing.T) {
	_, server := newFleet(t, 5, func() bool { return false })
	h := start(t, "acme="+server.URL)
	httpClient := client(t)
	httpClient.Timeout = 0
	instances := map[string]bool{}
	for i := range 20 {
		var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: h.URL() + "/acme/mcp", HTTPClient: httpClient}
		if i%2 == 1 {
			transport = &mcp.SSEClientTransport{Endpoint: h.URL() + "/acme/sse", HTTPClient: httpClient}
		}
		session := connect(t, transport)
		first, err := where(t, session)
		require.NoError(t, err)
		for range 5 {
			again, err := where(t, session)
			require.NoError(t, err)
			require.Equal(t, first, again)
		}
		instances[first] = true
		assert.Equal(t, 1, h.Snapshot()[0].Sessions)
		require.NoError(t, session.Close())
		require.Eventually(t, func() bool { return h.Snapshot()[0].Sessions == 0 }, deadline, time.Millisecond, "a session that has ended is forgotten")
	}
	assert.Greater(t, len(instances), 1, "sessions spread over instances")
}

// On the real platform affinity is best effort. What then comes of the server passes, so
// that the client begins anew, and the proxy follows to the instance where it does.
func TestASessionThatLostItsInstanceIsToldAndANewOneWorks(t *testing.T) {
	f, server := newFleet(t, 3, func() bool { return rand.N(10) == 0 })
	h := start(t, "acme="+server.URL)
	httpClient := client(t)
	httpClient.Timeout = 0
	var worked, lost int
	for lost < 5 || worked < 20 {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(ctx,
			&mcp.StreamableClientTransport{Endpoint: h.URL() + "/mcp", HTTPClient: httpClient, DisableStandaloneSSE: true, MaxRetries: -1}, nil)
		for err == nil {
			astray := f.astray.Load()
			if _, err = where(t, session); err == nil {
				worked++
				require.Equal(t, astray, f.astray.Load(), "a call that went astray did not work")
			}
		}
		lost++
		assert.ErrorContains(t, err, "session not found")
		require.Positive(t, f.astray.Load())
		if session != nil {
			_ = session.Close() // it is lost
		}
		cancel()
	}
}

func TestAffinityIsNeitherShownNorShared(t *testing.T) {
	type exchange struct{ session, cookie string }
	got := make(chan exchange, 1)
	var sets []string
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got <- exchange{r.Header.Get("Mcp-Session-Id"), r.Header.Get("Cookie")}
		for _, set := range sets {
			w.Header().Add("Set-Cookie", set)
		}
		if r.URL.Path == "/begin" {
			w.Header().Set("Mcp-Session-Id", "s"+r.URL.RawQuery)
		}
		if r.URL.Path == "/lost" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	other := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		got <- exchange{r.Header.Get("Mcp-Session-Id"), r.Header.Get("Cookie")}
	})
	h := start(t, "acme="+server.URL, "globex="+other.URL)
	send := func(method, path, session string, set ...string) exchange {
		sets = set
		r := h.request(t, method, path, call)
		r.Header.Set("Cookie", "of=another port")
		if session != "" {
			r.Header.Set("Mcp-Session-Id", session)
		}
		resp, _ := do(t, r)
		assert.Empty(t, resp.Header.Values("Set-Cookie"))
		return within(t, got, path)
	}
	assert.Equal(t, exchange{"", ""}, send(http.MethodPost, "/acme/begin?1", "", "GAESA=one; Path=/; Secure; HttpOnly", `lb="a b"`))
	assert.Equal(t, exchange{"", ""}, send(http.MethodPost, "/acme/begin?2", "", "GAESA=two"), "what is in no session has none of its cookies")
	assert.Equal(t, exchange{"s1", `GAESA=one; lb="a b"`}, send(http.MethodPost, "/acme/mcp", "s1"))
	assert.Equal(t, exchange{"s2", "GAESA=two"}, send(http.MethodGet, "/acme/mcp", "s2", "GAESA=moved"))
	assert.Equal(t, exchange{"s2", "GAESA=moved"}, send(http.MethodPost, "/acme/mcp", "s2"))
	assert.Equal(t, exchange{"s1", ""}, send(http.MethodPost, "/globex/mcp", "s1"), "another client's server gets none of them")
	assert.Equal(t, exchange{"s1", `GAESA=one; lb="a b"`}, send(http.MethodPost, "/acme/mcp", "s1", "lb=; Max-Age=0"))
	assert.Equal(t, exchange{"s1", "GAESA=one"}, send(http.MethodPost, "/acme/lost", "s1"))
	assert.Equal(t, exchange{"s1", ""}, send(http.MethodPost, "/acme/mcp", "s1", "GAESA=anew"), "a lost session begins anew")
	assert.Equal(t, exchange{"s1", "GAESA=anew"}, send(http.MethodDelete, "/acme/mcp", "s1"))
	assert.Equal(t, exchange{"s1", ""}, send(http.MethodPost, "/acme/mcp", "s1"))
}

func TestWhatAServerHasRememberedIsBounded(t *testing.T) {
	s := newSessions()
	set := func(cookie string) []*http.Cookie {
		return (&http.Response{Header: http.Header{"Set-Cookie": {cookie}}}).Cookies()
	}
	for i := range 100 {
		s.begin("id a", set(fmt.Sprintf("c%d=1", i)))
	}
	s.begin("id a", set("c0=2"))
	assert.Equal(t, "c0=2; c1=1; c2=1; c3=1; c4=1; c5=1; c6=1; c7=1", s.cookie("id a"))
	s.begin("id b", set("big="+strings.Repeat("x", maxCookieBytes)))
	assert.Empty(t, s.cookie("id b"))
	s.begin("id "+strings.Repeat("x", maxSessionKey), set("c=1"))
	assert.Equal(t, 2, s.live(time.Now()))
	for i := range maxSessions + 10 {
		s.begin(fmt.Sprint("id ", i), set("c=1"))
	}
	assert.Equal(t, maxSessions, s.live(time.Now()))
	assert.Empty(t, s.cookie("id a"), "the least recently used was forgotten")
	assert.Equal(t, "c=1", s.cookie(fmt.Sprint("id ", maxSessions)))

	closed := s.streaming(fmt.Sprint("id ", maxSessions))
	assert.Equal(t, 1, s.live(time.Now().Add(sessionLiveAfter)), "one with a stream lives on")
	closed()
	assert.Zero(t, s.live(time.Now().Add(sessionLiveAfter)))
	ended := s.beginSSE(&url.URL{Path: "/message", RawQuery: "s=1"}, set("c=1"))
	assert.Equal(t, "c=1", s.cookie("at /message?s=1"))
	ended()
	assert.Empty(t, s.cookie("at /message?s=1"))
}

package relay

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, args ...string) []Target {
	t.Helper()
	targets, err := ParseTargets(args)
	require.NoError(t, err)
	return targets
}

func TestNewTargetsServeFromNowOnAndCutNothing(t *testing.T) {
	ticks := make(chan string)
	old := upstream(t, clock(ticks))
	named := func(name string) *httptest.Server {
		return upstream(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
	}
	moved, globex := named("acme, moved"), named("globex")
	h := start(t, "acme="+old.URL)
	resp, err := client(t).Do(h.request(t, http.MethodPost, "/mcp", call))
	require.NoError(t, err)
	defer resp.Body.Close()
	events := lines(t, resp.Body)
	ticks <- "before"
	require.Equal(t, "data: before", within(t, events, "an event"))
	require.Empty(t, within(t, events, "its end"))

	h.SetTargets(parse(t, "globex="+globex.URL, "acme="+moved.URL))
	_, body := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
	assert.Equal(t, "acme, moved", body)
	_, body = do(t, h.request(t, http.MethodPost, "/globex/mcp", call))
	assert.Equal(t, "globex", body)
	missing, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Equal(t, http.StatusNotFound, missing.StatusCode)
	assert.Equal(t, "nothing is here; the paths are /globex/mcp, /acme/mcp\n", body)

	h.SetTargets(nil)
	missing, body = do(t, h.request(t, http.MethodGet, "/acme/mcp", ""))
	assert.Equal(t, http.StatusNotFound, missing.StatusCode)
	assert.Contains(t, body, "no client is configured")

	ticks <- "after"
	assert.Equal(t, "data: after", within(t, events, "an event of a stream that began before"))
	close(ticks)
}

func TestWhatIsForAClientThatIsGoneDoesNotReachTheLastOne(t *testing.T) {
	acme := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "acme ", r.URL.Path) })
	h := start(t, "acme="+acme.URL, "globex=http://127.0.0.1:1")
	h.SetTargets(parse(t, "acme="+acme.URL))
	const remedy = ", which serves acme: add it with `berth-proxy add`, or take it out of the editor with `berth-proxy uninstall`"
	answer := func(why string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"error":{"code":%d,"message":"%s%s"}}`+"\n", CodeNoClient, why, remedy)
	}
	for path, why := range map[string]string{
		"/globex/mcp": "globex was removed from the clients of this berth-proxy", "/globex/mcp/": "globex was removed from the clients of this berth-proxy",
		"/globex/sse?x": "globex was removed from the clients of this berth-proxy", "/globex/messages/?session=1": "globex was removed from the clients of this berth-proxy",
		"/globex": "globex was removed from the clients of this berth-proxy", "/hooli/mcp": "this berth-proxy has no client hooli",
	} {
		r := h.request(t, http.MethodPost, path, call)
		resp, body := do(t, r)
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.Equal(t, answer(why), body)

		r = h.request(t, http.MethodPost, path, call)
		r.Header.Set("Accept", "*/*") // an editor of the older transport, which looks at the status
		resp, body = do(t, r)
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
		assert.Equal(t, answer(why), body)

		resp, body = do(t, h.request(t, http.MethodPost, path, `{"jsonrpc":"2.0","method":"notifications/initialized"}`))
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
		assert.Equal(t, why+remedy+"\n", body)
	}
	resp, body := do(t, h.request(t, http.MethodGet, "/globex/messages", ""))
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Equal(t, "nothing is here; the paths are /acme/mcp\n", body)
	for path, want := range map[string]string{"/mcp": "/mcp", "/acme/mcp": "/mcp", "/messages/mcp-1": "/messages/mcp-1", "/acme/v1/mcp": "/v1/mcp"} {
		_, body := do(t, h.request(t, http.MethodPost, path, call))
		assert.Equal(t, "acme "+want, body)
	}
	h.SetTargets(parse(t, "globex="+acme.URL))
	_, body = do(t, h.request(t, http.MethodPost, "/globex/messages", call))
	assert.Equal(t, "acme /messages", body, "it is back")

	// Nor does one inherit the paths without a name.
	resp, body = do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, body, "acme was removed from the clients of this berth-proxy, which serves globex: add it")
	resp, body = do(t, h.request(t, http.MethodGet, "/mcp", ""))
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Equal(t, "nothing is here; the paths are /globex/mcp\n", body)
	h.SetTargets(nil)
	_, body = do(t, h.request(t, http.MethodPost, "/messages", call))
	assert.Contains(t, body, "acme was removed from the clients of this berth-proxy, which serves none")
	h.SetTargets(parse(t, "acme="+acme.URL))
	_, body = do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Equal(t, "acme /mcp", body)
}

func TestTheFiguresAreOfEachClient(t *testing.T) {
	ticks := make(chan string)
	stream := clock(ticks)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/session":
			w.Header().Set("Mcp-Session-Id", "s1")
		case "/stream":
			stream(w, r)
		case "/lost":
			http.NotFound(w, r)
		case "/refused":
			refuse(w, http.StatusServiceUnavailable)
		case "/broken":
			panic(http.ErrAbortHandler)
		}
	})
	h := start(t, "acme="+server.URL, "globex="+server.URL)
	assert.Equal(t, "acme", h.Snapshot()[0].Target.Name)
	for _, path := range []string{"/session", "/lost", "/refused", "/broken", "/plain"} {
		do(t, h.request(t, http.MethodPost, "/globex"+path, call))
	}
	do(t, h.request(t, http.MethodGet, "/globex/plain", ""))
	resp, err := client(t).Do(h.request(t, http.MethodPost, "/globex/stream", call))
	require.NoError(t, err)
	defer resp.Body.Close()

	// A call is counted when its answer is there, and whether it failed is known later.
	var globex ClientStats
	require.Eventually(t, func() bool {
		globex = h.Snapshot()[1]
		return globex.Failed == 3 && globex.Streams == 1
	}, deadline, time.Millisecond)
	assert.EqualValues(t, 6, globex.Calls)
	assert.Equal(t, 1, globex.Sessions)
	var counted uint64
	for _, n := range globex.Latency.Counts {
		counted += n
	}
	assert.EqualValues(t, 6, counted)
	assert.Positive(t, globex.Latency.Sum)
	assert.Positive(t, globex.Latency.Quantile(0.5))
	acme := h.Snapshot()[0]
	assert.Zero(t, acme.Calls+acme.Failed)
	assert.Zero(t, acme.Latency.Quantile(0.5))

	close(ticks)
	require.Eventually(t, func() bool { return h.Snapshot()[1].Streams == 0 }, deadline, time.Millisecond)
	h.SetTargets(parse(t, "globex=http://127.0.0.1:1"))
	require.Len(t, h.Snapshot(), 1)
	assert.EqualValues(t, 6, h.Snapshot()[0].Calls, "a reload keeps the figures")
	assert.Zero(t, h.Snapshot()[0].Sessions, "another server has other sessions")
}

func TestAQuantileIsWithinItsBucket(t *testing.T) {
	latency := func(counts ...uint64) Latency {
		return Latency{Bounds: []time.Duration{10, 20, 40}, Counts: counts}
	}
	for name, test := range map[string]struct {
		l    Latency
		q    float64
		want time.Duration
	}{
		"of nothing":           {latency(0, 0, 0, 0), 0.5, 0},
		"the middle of one":    {latency(0, 4, 0, 0), 0.5, 15},
		"the end of one":       {latency(2, 2, 0, 0), 0.5, 10},
		"in the second of two": {latency(1, 3, 0, 0), 1, 20},
		"over an empty bucket": {latency(1, 0, 1, 0), 0.75, 30},
		"over the last bound":  {latency(1, 0, 0, 9), 0.99, 40},
		"the least":            {latency(0, 1, 0, 0), 0, 10},
	} {
		assert.Equal(t, test.want, test.l.Quantile(test.q), name)
	}
}

func TestTheProxysOwnPagesComeBeforeAnyClient(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "acme ", r.Method, " ", r.URL.Path) })
	targets := parse(t, "acme="+server.URL)
	h := startWith(t, Options{Targets: targets}, func(s *Relay) {
		for _, pattern := range []string{"GET /{$}", "/metrics", "/-/"} {
			s.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "own ", pattern) }))
		}
	})
	for _, test := range []struct {
		method, path string
		header       http.Header
		status       int
		want         string
	}{
		{http.MethodGet, "/", http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}}, 200, "own GET /{$}"},
		{http.MethodGet, "/metrics", nil, 200, "own /metrics"},
		{http.MethodGet, "/-/style.css", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 200, "own /-/"},
		{http.MethodPost, "/-/button", http.Header{"Origin": {"http://localhost:1"}}, 200, "own /-/"},
		{http.MethodPost, "/", nil, 200, "acme POST /"},
		{http.MethodGet, "/", http.Header{"Accept": {"text/event-stream"}}, 200, "acme GET /"},
		{http.MethodGet, "/acme/metrics", nil, 200, "acme GET /metrics"},
		{http.MethodGet, "/metrics/", nil, 200, "acme GET /metrics/"},
		{http.MethodGet, "/metrics", http.Header{"Origin": {"https://evil.example"}}, 403, "only programs on this computer"},
		{http.MethodGet, "/", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403, "only programs on this computer"},
	} {
		r := h.request(t, test.method, test.path, "")
		for name, values := range test.header {
			r.Header[name] = values
		}
		resp, body := do(t, r)
		assert.Equal(t, test.status, resp.StatusCode, "%s %s", test.method, test.path)
		assert.Contains(t, body, test.want, "%s %s", test.method, test.path)
	}
	for _, pattern := range []string{"/", "GET /", "/acme", "/acme/page", "GET /a-1/", "/{x}", "/{x...}", "localhost/metrics", "metrics"} {
		assert.Panics(t, func() { h.Handle(pattern, http.NotFoundHandler()) }, pattern)
	}
}

func TestAnotherMayServeTheOldTransport(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "relayed ", r.URL.Path) })
	h := startWith(t, Options{
		Targets: parse(t, "acme="+server.URL, "globex="+server.URL),
		SSE: func(w http.ResponseWriter, r *http.Request, target Target, prefix string) bool {
			if target.Name == "globex" {
				return false
			}
			fmt.Fprint(w, "bridged ", target.Name, " ", prefix, " ", r.Method)
			return true
		},
	}, nil)
	for path, want := range map[string]string{
		"/acme/sse": "bridged acme /acme POST", "/acme/sse?session=1": "bridged acme /acme POST",
		"/acme/mcp": "relayed /mcp", "/acme/sse/x": "relayed /sse/x", "/globex/sse": "relayed /sse",
	} {
		_, body := do(t, h.request(t, http.MethodPost, path, call))
		assert.Equal(t, want, body, path)
	}
	r := h.request(t, http.MethodPost, "/acme/sse", call)
	r.Header.Set("Origin", "https://evil.example")
	resp, _ := do(t, r)
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
}

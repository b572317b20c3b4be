package relay

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

func rpc(methods ...string) string {
	var messages []string
	for i, m := range methods {
		messages = append(messages, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q}`, i, m))
	}
	if len(messages) == 1 {
		return messages[0]
	}
	return "[" + strings.Join(messages, ",") + "]"
}

// A way in which a request fails to get the server's answer.
var (
	noInstance  = func(w http.ResponseWriter) { refuse(w, http.StatusTooManyRequests) }
	unavailable = func(w http.ResponseWriter) { refuse(w, http.StatusServiceUnavailable) }
	breaks      = func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	failed      = func(w http.ResponseWriter) { refuse(w, http.StatusInternalServerError) }
	timedOut    = func(w http.ResponseWriter) { refuse(w, http.StatusGatewayTimeout) }
	busy        = func(w http.ResponseWriter) { http.Error(w, "slow down", http.StatusTooManyRequests) }
	noneInWords = func(w http.ResponseWriter) { http.Error(w, "Rate exceeded.", http.StatusTooManyRequests) }
	unreached   = func(w http.ResponseWriter) {
		http.Error(w, "upstream connect error or disconnect/reset before headers. reset reason: connection failure", http.StatusServiceUnavailable)
	}
	draining = func(w http.ResponseWriter) { http.Error(w, "draining", http.StatusServiceUnavailable) }
)

func TestWhatMayBeSentAgainIs(t *testing.T) {
	for name, test := range map[string]struct {
		fails  func(http.ResponseWriter)
		method string
		body   string
		again  bool
	}{
		"no instance for a call":                        {noInstance, http.MethodPost, call, true},
		"no instance for a call, in words":              {noneInWords, http.MethodPost, call, true},
		"not reached, to initialize":                    {unreached, http.MethodPost, rpc("initialize"), true},
		"not reached, to a call":                        {unreached, http.MethodPost, call, false},
		"no instance for what is no JSON":               {noInstance, http.MethodPost, "{", true},
		"no instance for the end of a session":          {noInstance, http.MethodDelete, "", true},
		"unavailable to initialize":                     {unavailable, http.MethodPost, rpc("initialize"), true},
		"unavailable to a stream":                       {unavailable, http.MethodGet, "", true},
		"unavailable to a batch that only reads":        {unavailable, http.MethodPost, rpc("tools/list", "resources/read"), true},
		"unavailable to a notification":                 {unavailable, http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, true},
		"unavailable to a call":                         {unavailable, http.MethodPost, call, false},
		"unavailable to a batch with a call":            {unavailable, http.MethodPost, rpc("tools/list", "tools/call"), false},
		"unavailable to a method that nobody knows":     {unavailable, http.MethodPost, rpc("acme/pay"), false},
		"unavailable to a client's answer":              {unavailable, http.MethodPost, `{"jsonrpc":"2.0","id":1,"result":{}}`, false},
		"unavailable to what is no JSON":                {unavailable, http.MethodPost, "{", false},
		"unavailable to an empty batch":                 {unavailable, http.MethodPost, "[]", false},
		"unavailable to the end of a session":           {unavailable, http.MethodDelete, "", false},
		"a connection that breaks under ping":           {breaks, http.MethodPost, rpc("ping"), true},
		"a connection that breaks under a call":         {breaks, http.MethodPost, call, false},
		"a failure":                                     {failed, http.MethodPost, rpc("ping"), false},
		"a call that took too long":                     {timedOut, http.MethodPost, rpc("ping"), false},
		"a server that has itself had too many of them": {busy, http.MethodPost, rpc("ping"), false},
		"a server that is itself unavailable":           {draining, http.MethodGet, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int64
			server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				assert.Equal(t, test.body, string(body))
				assert.NotEmpty(t, r.Header.Get(tokenHeader))
				if tries.Add(1) < 3 {
					test.fails(w)
					return
				}
				fmt.Fprint(w, "welcome")
			})
			h := start(t, "acme="+server.URL)
			_, body := do(t, h.request(t, test.method, "/mcp", test.body))
			if test.again {
				assert.Equal(t, "welcome", body)
				assert.EqualValues(t, 3, tries.Load())
			} else {
				assert.NotEqual(t, "welcome", body)
				assert.EqualValues(t, 1, tries.Load(), "it was sent once")
			}
			assert.Equal(t, 1, h.endpoint.Exchanges(), "a token is not to blame")
		})
	}
}

func TestAServerThatIsNotThereIsToldAtOnce(t *testing.T) {
	h := start(t, "acme=http://127.0.0.1:1")
	h.sender.firstPause = time.Hour
	_, body := do(t, h.request(t, http.MethodPost, "/mcp", rpc("ping")))
	assert.Contains(t, body, "cannot reach acme")
}

func TestTheServersWishToWaitIsHonouredWithinBounds(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for value, want := range map[string][2]time.Duration{
		"":                  {0, 0},
		"2":                 {2 * time.Second, 2 * time.Second},
		"-2":                {0, 0},
		"soon":              {0, 0},
		"99999999999999999": {0, 0},
		in(-time.Hour):      {0, 0},
		in(time.Hour):       {time.Hour / 2, time.Hour},
	} {
		got := retryAfter(http.Header{"Retry-After": {value}})
		assert.GreaterOrEqual(t, got, want[0], value)
		assert.LessOrEqual(t, got, want[1], value)
	}

	var tries atomic.Int64
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", strings.TrimPrefix(r.URL.Path, "/"))
		if tries.Add(1) == 1 {
			refuse(w, http.StatusTooManyRequests)
		}
	})
	h := start(t, "acme="+server.URL)
	began := time.Now()
	resp, _ := do(t, h.request(t, http.MethodGet, "/acme/1", ""))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.GreaterOrEqual(t, time.Since(began), time.Second)
	tries.Store(0)
	resp, body := do(t, h.request(t, http.MethodGet, "/acme/3600", ""))
	assert.Equal(t, http.StatusTooManyRequests, resp.StatusCode)
	assert.Contains(t, body, "try again")
	assert.EqualValues(t, 1, tries.Load(), "an hour is not waited for")
}

func TestAClientThatGoesAwayIsNotRetriedFor(t *testing.T) {
	arrived := make(chan struct{}, maxTries)
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusTooManyRequests)
		arrived <- struct{}{}
	})
	h := start(t, "acme="+server.URL)
	h.sender.firstPause = longestPause
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		resp, err := client(t).Do(h.request(t, http.MethodPost, "/mcp", call).WithContext(ctx))
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	within(t, arrived, "the first try")
	leave()
	require.ErrorIs(t, within(t, ended, "the client's end"), context.Canceled)
	h.halt() // waits for what is under way
	assert.Empty(t, arrived)
}

func TestWhatWasNeverSentIsNotTriedAgainNorSaidToHaveHadAnEffect(t *testing.T) {
	var connections atomic.Int32
	counted := func(server *httptest.Server, startIt func()) *httptest.Server {
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		startIt()
		t.Cleanup(server.Close)
		return server
	}
	strange := httptest.NewUnstartedServer(nil)
	counted(strange, strange.StartTLS)
	plain := httptest.NewUnstartedServer(nil)
	counted(plain, plain.Start)
	corporate := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	counted(corporate, corporate.Start)
	gone := httptest.NewServer(nil)
	gone.Close()

	for name, test := range map[string]struct {
		target, by  string // by way of a corporate proxy
		connections int32
		want        string
	}{
		"a certificate of a stranger":         {strange.URL, "", 1, "name its certificate authority with --ca-file"},
		"a server without TLS":                {"https" + strings.TrimPrefix(plain.URL, "http"), "", 1, "check the network and the URL"},
		"a corporate proxy that refuses":      {"https://acme.invalid", corporate.URL, 1, "407 Proxy Authentication Required"},
		"a corporate proxy that does not run": {"https://acme.invalid", gone.URL, 0, "proxyconnect"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, "acme="+test.target)
			if test.by != "" {
				proxy, err := url.Parse(test.by)
				require.NoError(t, err)
				h.sender.transport.Proxy = http.ProxyURL(proxy)
				h.endpoint.Set(func(e *tokentest.Endpoint) { e.Issuer = "https://accounts.google.com" })
			}
			connections.Store(0)
			_, body := do(t, h.request(t, http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`))
			assert.Contains(t, body, "cannot reach acme at "+test.target)
			assert.Contains(t, body, test.want)
			assert.Equal(t, test.connections, connections.Load())
		})
	}
}

package relay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	draining    = func(w http.ResponseWriter) { http.Error(w, "draining", http.StatusServiceUnavailable) }
)

func TestWhatMayBeSentAgainIs(t *testing.T) {
	for name, test := range map[string]struct {
		fails  func(http.ResponseWriter)
		method string
		body   string
		again  bool
	}{
		"no instance for a call":                        {noInstance, http.MethodPost, call, true},
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
		"":                    {0, 0},
		"2":                   {2 * time.Second, 2 * time.Second},
		"-2":                  {0, 0},
		"soon":                {0, 0},
		"99999999999999999":   {0, 0},
		in(-time.Hour):        {0, 0},
		in(100 * time.Second): {90 * time.Second, 100 * time.Second},
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

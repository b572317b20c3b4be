package relay

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAStandingStreamOutlivesItsHandlerButNotItsClient(t *testing.T) {
	ticks, left := make(chan string), make(chan struct{})
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Of-The-Server", "1")
		w.Header().Set("Set-Cookie", "a=b")
		clock(ticks)(w, r)
		if r.Context().Err() != nil {
			close(left)
		}
	})
	h := start(t, "acme="+server.URL)
	ctx, leave := context.WithCancel(t.Context())
	resp, err := client(t).Do(h.request(t, http.MethodGet, "/mcp", "").WithContext(ctx))
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.True(t, resp.Close, "no other request follows on its connection")
	assert.Equal(t, "1", resp.Header.Get("X-Of-The-Server"))
	assert.Equal(t, "sandbox", resp.Header.Get("Content-Security-Policy"))
	assert.Empty(t, resp.Header.Get("Set-Cookie"))
	got := lines(t, resp.Body)
	for _, size := range []int{1, 10 * smallBuffer, largeBuffer + smallBuffer, 1} {
		event := strings.Repeat("x", size)
		ticks <- event
		require.Equal(t, "data: "+event, within(t, got, "an event"))
		require.Empty(t, within(t, got, "its end"))
	}
	assert.Equal(t, 1, h.Snapshot()[0].Streams)
	leave()
	within(t, left, "the target's notice")
	require.Eventually(t, func() bool { return h.Snapshot()[0].Streams == 0 }, deadline, time.Millisecond)
}

// A platform allows so many streams on one connection of HTTP/2. Editors have more.
func TestMoreStreamsThanAConnectionTakesOpenAnother(t *testing.T) {
	const limit, streams = 10, 35
	var mu sync.Mutex
	connections := map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		connections[r.RemoteAddr]++
		mu.Unlock()
		clock(nil)(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: limit}
	server.StartTLS()
	t.Cleanup(server.Close)
	h := start(t, "acme="+server.URL)
	h.trust(server)
	shared := client(t)
	shared.Timeout = 0
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range streams {
		resp, err := shared.Do(h.request(t, http.MethodGet, "/mcp", "").WithContext(ctx))
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	mu.Lock()
	defer mu.Unlock()
	assert.GreaterOrEqual(t, len(connections), streams/limit)
	assert.Less(t, len(connections), streams, "streams share connections")
	for address, n := range connections {
		assert.LessOrEqual(t, n, limit, address)
	}
}

package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// A ticker is a server whose open streams all get the same events.
type ticker struct {
	mu      sync.Mutex
	streams map[chan string]bool
}

func (k *ticker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ticks := make(chan string)
	k.mu.Lock()
	k.streams[ticks] = true
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.streams, ticks)
	}()
	clock(ticks)(w, r)
}

// tick sends an event to each stream, or with "" ends it.
func (k *ticker) tick(event string) {
	k.mu.Lock()
	all := make([]chan string, 0, len(k.streams))
	for ticks := range k.streams {
		all = append(all, ticks)
	}
	k.mu.Unlock()
	for _, ticks := range all {
		if event == "" {
			close(ticks)
			continue
		}
		ticks <- event
	}
}

func (k *ticker) open() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.streams)
}

// Two hundred streams are open while the token is renewed, the login changes, the
// configuration is read anew and one client's instance is killed. Those that the platform
// did not cut get every event and end as their server ends them; those that it cut are seen
// to be cut.
func TestNoStreamIsCutThatThePlatformDidNotCut(t *testing.T) {
	const each = 50 // of both methods to both clients
	stays, dies := &ticker{streams: map[chan string]bool{}}, &ticker{streams: map[chan string]bool{}}
	acme, globex := upstream(t, stays.ServeHTTP), upstream(t, dies.ServeHTTP)
	h := start(t, "acme="+acme.URL, "globex="+globex.URL)
	h.endpoint.Set(func(e *tokentest.Endpoint) { e.Lifetime = time.Minute }) // each use renews it behind
	shared := client(t)
	shared.Timeout = 0

	type end struct {
		events string
		err    error
	}
	var received atomic.Int64 // events, by all
	open := func(name string) <-chan end {
		ends := make(chan end, 2*each)
		for i := range 2 * each {
			method, body := http.MethodGet, ""
			if i%2 == 0 {
				method, body = http.MethodPost, call
			}
			r := h.request(t, method, "/"+name+"/mcp", body)
			r.Header.Set("Accept", "text/event-stream")
			resp, err := shared.Do(r)
			require.NoError(t, err)
			go func() {
				defer resp.Body.Close()
				var events strings.Builder
				for reader := bufio.NewReader(resp.Body); ; {
					line, err := reader.ReadString('\n')
					events.WriteString(line)
					if err != nil {
						ends <- end{events.String(), err}
						return
					}
					if line == "\n" {
						received.Add(1)
					}
				}
			}()
		}
		return ends
	}
	staying, dying := open("acme"), open("globex")
	require.Equal(t, 2*each, stays.open())
	require.Equal(t, 2*each, dies.open())
	stays.tick("1")
	dies.tick("1")

	// The token is renewed, because it ends and because the login changes.
	before := h.endpoint.Exchanges()
	tokentest.WriteLogin(t, h.dir, h.endpoint.URL, tokentest.RefreshToken)
	ping := func(client string) {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		resp, err := shared.Do(h.request(t, http.MethodPost, "/"+client+"/mcp", call).WithContext(ctx))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	ping("acme")
	require.Eventually(t, func() bool { return h.endpoint.Exchanges() > before }, deadline, time.Millisecond)
	require.Eventually(t, func() bool { return stays.open() == 2*each }, deadline, time.Millisecond, "the ping's own stream is over")
	stays.tick("2")

	// The configuration is read anew: there is one client more, in another order.
	h.SetTargets(parse(t, "initech=http://127.0.0.1:1", "globex="+globex.URL, "acme="+acme.URL))
	stays.tick("3")
	dies.tick("2")
	require.Eventually(t, func() bool { return received.Load() == 5*2*each }, deadline, time.Millisecond, "all of it has arrived")

	// The platform kills an instance.
	globex.CloseClientConnections()
	for range 2 * each {
		cut := within(t, dying, "the end of a stream that was cut")
		assert.Equal(t, "data: 1\n\ndata: 2\n\n", cut.events)
		assert.ErrorIs(t, cut.err, io.ErrUnexpectedEOF)
	}

	h.SetTargets(parse(t, "acme="+acme.URL))
	ping("acme")
	require.Eventually(t, func() bool { return stays.open() == 2*each }, deadline, time.Millisecond)
	assert.Empty(t, staying, "none has ended")
	stays.tick("4")
	stays.tick("")
	for range 2 * each {
		whole := within(t, staying, "the end of a stream")
		assert.Equal(t, "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n", whole.events)
		assert.ErrorIs(t, whole.err, io.EOF)
	}
}

// inUse is how many goroutines there are, and how much memory they and the heap take, but
// for the log of the test.
func inUse(h *harness) (goroutines int, bytes uint64) {
	h.log.Reset()
	runtime.GC()
	runtime.GC() // what pools keep survives one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc + m.StackInuse
}

func TestNothingIsLeftOfManyCallsAndDroppedStreams(t *testing.T) {
	const (
		workers = 8
		calls   = 10_000
		streams = 1000
		spare   = 4 << 20 // bytes: 400 for each call, and less than a buffer for each stream
	)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" {
			fmt.Fprint(w, "{}")
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Mcp-Session-Id", r.URL.RawQuery)
		w.Header().Set("Set-Cookie", "GAESA="+r.URL.RawQuery)
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	h := start(t, "acme="+server.URL)
	run := func(calls, streams int) {
		transport := &http.Transport{MaxIdleConnsPerHost: workers}
		shared := &http.Client{Transport: transport}
		var group sync.WaitGroup
		for worker := range workers {
			group.Go(func() {
				for i := worker; i < calls; i += workers {
					resp, err := shared.Do(h.request(t, http.MethodPost, "/mcp", call))
					if !assert.NoError(t, err) {
						return
					}
					_, err = io.Copy(io.Discard, resp.Body)
					assert.NoError(t, err)
					_ = resp.Body.Close()
				}
				for i := worker; i < streams; i += workers {
					method, body := http.MethodGet, ""
					if i%4 < 2 {
						method, body = http.MethodPost, call
					}
					r := h.request(t, method, fmt.Sprintf("/stream?s%d", i), body)
					r.Header.Set("Accept", "text/event-stream")
					ctx, leave := context.WithCancel(t.Context())
					resp, err := shared.Do(r.WithContext(ctx))
					if !assert.NoError(t, err) {
						leave()
						return
					}
					_, err = io.ReadFull(resp.Body, make([]byte, 5))
					assert.NoError(t, err)
					leave()
					_ = resp.Body.Close()
				}
			})
		}
		group.Wait()
		transport.CloseIdleConnections()
		require.Eventually(t, func() bool { return h.Snapshot()[0].Streams == 0 }, deadline, time.Millisecond)
		h.sender.Close()
	}
	run(calls/10, streams/10) // what is made once
	var goroutinesBefore, goroutines int
	var before, after uint64
	require.Eventually(t, func() bool { // connections end when their other end says so
		n := goroutinesBefore
		goroutinesBefore, before = inUse(h)
		return n == goroutinesBefore
	}, deadline, 50*time.Millisecond)
	run(calls, streams)
	if !assert.Eventually(t, func() bool {
		goroutines, after = inUse(h)
		return goroutines <= goroutinesBefore && after < before+spare
	}, deadline, 50*time.Millisecond) {
		t.Logf("%d goroutines before and %d after; %d KiB before and %d after", goroutinesBefore, goroutines, before>>10, after>>10)
	}
	t.Logf("%d goroutines before and %d after; %d KiB before and %d after", goroutinesBefore, goroutines, before>>10, after>>10)
}

package bridge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
)

// A formerServer is one with sessions and a long-lived stream. It counts what reaches it.
type formerServer struct {
	*script
	waits, streams, left chan struct{} // a call that is held; a stream that has opened; what has ended
	release              chan struct{} // held calls are answered
}

func newFormerServer(t *testing.T) (*rig, *formerServer) {
	f := &formerServer{waits: make(chan struct{}, 10), streams: make(chan struct{}, 10), left: make(chan struct{}, 10), release: make(chan struct{})}
	r, s := newScript(t, answers{
		"initialize": func(w http.ResponseWriter, _ *http.Request, got seen) {
			w.Header().Set("Mcp-Session-Id", "s1")
			reply(w, got, `"result":{"protocolVersion":"2025-06-18"}`)
		},
		"tools/call": func(w http.ResponseWriter, r *http.Request, got seen) {
			f.waits <- struct{}{}
			select {
			case <-f.release:
				reply(w, got, `"result":{"from":"the former server"}`)
			case <-r.Context().Done():
				f.left <- struct{}{}
			}
		},
		http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ seen) {
			stream(w, "id: e1\nretry: 1\ndata:")
			f.streams <- struct{}{}
			<-r.Context().Done()
			f.left <- struct{}{}
		},
	})
	f.script = s
	return r, f
}

// other parses a target, as the file of clients would say it.
func other(t *testing.T, arg string) []relay.Target {
	t.Helper()
	targets, err := relay.ParseTargets([]string{arg})
	require.NoError(t, err)
	return targets
}

const aPing = `{"jsonrpc":"2.0","id":"ping","method":"ping"}`

func TestSSE_SessionOfFormerServerEnds(t *testing.T) {
	for kind, code := range map[string]int{"removed": relay.CodeNoClient, "replaced": relay.CodeMoved} {
		t.Run(kind, func(t *testing.T) {
			var elsewhere atomic.Int64
			successor := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
			r, f := newFormerServer(t)
			var sse *SSE
			proxy, _ := r.proxy(t, func(h *SSE) { sse = h })
			events, postTo := open(t, proxy.URL(), "/acme/sse")
			send := func(message string) { // a stream that is not read would hold it up
				require.Equal(t, http.StatusAccepted, post(t, postTo, "application/json", strings.NewReader(message)))
			}
			send(anInitialize)
			assert.Equal(t, "event: message", line(t, events))
			assert.Contains(t, line(t, events), `"protocolVersion":"2025-06-18"`)
			line(t, events)
			send(anInitialized)
			within(t, f.streams, "the long-lived stream")
			send(aCall)
			within(t, f.waits, "a call at the server")
			before := len(f.all())

			if kind == "removed" {
				proxy.SetTargets(nil)
			} else {
				proxy.SetTargets(other(t, "acme="+successor))
			}
			ended := make(chan error, 1)
			var rest []byte
			go func() {
				var err error
				rest, err = io.ReadAll(events)
				ended <- err
			}()
			require.NoError(t, within(t, ended, "the end of the editor's stream"), "in order")
			assert.Contains(t, string(rest), fmt.Sprintf(`"id":7,"error":{"code":%d`, code), "the call under way is answered")
			for range 2 {
				within(t, f.left, "the end of the call and of the stream at the server")
			}
			require.Eventually(t, func() bool { // with all that it may have wanted to send
				sse.mu.Lock()
				defer sse.mu.Unlock()
				return len(sse.editors) == 0
			}, deadline, time.Millisecond)
			assert.Len(t, f.all(), before, "no new request, not even one that ends the session")
			assert.Zero(t, elsewhere.Load(), "the session is not for the other server")
			assert.Equal(t, http.StatusNotFound, post(t, postTo, "application/json", strings.NewReader(aPing)))
		})
	}
}

func TestStdio_RemovedClientGetsNoNewRequest(t *testing.T) {
	r, f := newFormerServer(t)
	e := r.raw(t)
	e.write(anInitialize)
	e.read()
	e.write(anInitialized)
	within(t, f.streams, "the long-lived stream")
	e.write(aCall)
	within(t, f.waits, "a call at the server")
	before := len(f.all())

	r.sender.SetTargets(nil)
	within(t, f.left, "the end of the stream at the server")
	for _, id := range []string{"a", "b"} {
		e.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"ping"}`, id))
		assert.Contains(t, e.read(), fmt.Sprintf(`"id":%q,"error":{"code":%d,"message":"acme was removed from the clients of this berth-proxy`, id, relay.CodeNoClient))
	}
	e.write(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	close(f.release)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{"from":"the former server"}}`, e.read(), "what was sent may be answered")

	require.NoError(t, e.in.Close())
	require.NoError(t, within(t, e.ended, "the end of the bridge"))
	assert.Len(t, f.all(), before, "no new request, not even one that ends the session")
}

func TestStdio_RemovedClientIsBackWhenAddedAgain(t *testing.T) {
	r, s := newScript(t, nil)
	e := r.raw(t)
	e.write(anInitialize)
	e.read()
	r.sender.SetTargets(nil)
	e.write(aPing)
	assert.Contains(t, e.read(), "was removed")
	assert.Empty(t, s.requests("ping"))
	r.sender.SetTargets([]relay.Target{r.target})
	e.write(aPing)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":"ping","result":{}}`, e.read())
}

func TestStdio_SessionGoesOnWithReplacement(t *testing.T) {
	for name, handshake := range map[string]bool{"with a handshake": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan string, 10)
			successor := &script{t: t, answer: answers{
				"initialize": func(w http.ResponseWriter, _ *http.Request, got seen) {
					w.Header().Set("Mcp-Session-Id", "new")
					reply(w, got, `"result":{"protocolVersion":"2025-06-18"}`)
				},
				http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ seen) {
					stream(w, ": open")
					opened <- r.Header.Get("Mcp-Session-Id")
					<-r.Context().Done()
				},
			}}
			server := httptest.NewServer(successor)
			t.Cleanup(server.Close)
			t.Cleanup(server.CloseClientConnections)
			r, f := newFormerServer(t)
			e := r.raw(t)
			if handshake {
				e.write(anInitialize)
				e.read()
				e.write(anInitialized)
				within(t, f.streams, "the long-lived stream")
			} else {
				e.write(aPing)
				e.read()
			}
			before := len(f.all())

			r.sender.SetTargets(other(t, "acme="+server.URL))
			if handshake { // the server's messages are heard before the editor has any
				assert.Equal(t, "new", within(t, opened, "the long-lived stream at the other server"))
			}
			e.write(aPing)
			assert.JSONEq(t, `{"jsonrpc":"2.0","id":"ping","result":{}}`, e.read())
			if handshake {
				begun := successor.requests("initialize")
				require.Len(t, begun, 1)
				assert.JSONEq(t, string(f.requests("initialize")[0].rpc.Params), string(begun[0].rpc.Params), "as the editor began it")
				assert.Len(t, successor.requests("notifications/initialized"), 1)
				assert.Equal(t, "new", successor.requests("ping")[0].header.Get("Mcp-Session-Id"))
			}
			require.NoError(t, e.in.Close())
			require.NoError(t, within(t, e.ended, "the end of the bridge"))
			assert.Len(t, f.all(), before, "the former server gets no new request")
		})
	}
}

// The new server may know only the transport that the former one did not need.
func TestStdio_SessionGoesOnWithOlderReplacement(t *testing.T) {
	p := newPortal(t)
	older := httptest.NewServer(p.onlySSE())
	t.Cleanup(older.Close)
	t.Cleanup(older.CloseClientConnections)
	r, _ := newScript(t, answers{"initialize": func(w http.ResponseWriter, _ *http.Request, got seen) {
		reply(w, got, `"result":{"protocolVersion":"2025-06-18"}`)
	}})
	e := r.raw(t)
	e.write(anInitialize)
	e.read()
	e.write(anInitialized)
	r.sender.SetTargets(other(t, "acme="+older.URL))
	e.write(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}`)
	assert.Contains(t, e.read(), `"text":"x"`)
}

// A server that has been removed can ask the editor for nothing.
func TestStdio_FormerServerAsksNothing(t *testing.T) {
	goOn := make(chan struct{})
	r, s := newScript(t, answers{"tools/call": func(w http.ResponseWriter, r *http.Request, _ seen) {
		stream(w, ": open")
		<-goOn
		stream(w, `data: {"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`)
		<-r.Context().Done()
	}})
	e := r.raw(t)
	e.write(aCall)
	require.Eventually(t, func() bool { return len(s.requests("tools/call")) > 0 }, deadline, time.Millisecond)
	r.sender.SetTargets(nil)
	close(goOn)
	assert.Contains(t, e.read(), `"id":7,"error":{"code":-32013,"message":"the call to acme was sent, but no answer came (its server is not served any more`)
	assert.Len(t, s.all(), 1)
}

// What an editor sends in a header, such as its own login, is not for another server.
func TestSession_HeaderIsNotForReplacement(t *testing.T) {
	s := New(Options{Target: other(t, "acme=https://acme.example")[0], Follow: true, Header: http.Header{"Authorization": {"Bearer own"}}})
	defer s.Close()
	assert.False(t, s.follows)
}

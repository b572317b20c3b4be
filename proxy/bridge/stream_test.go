package bridge

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAStreamThatBreaksIsResumedAfterItsLastEvent(t *testing.T) {
	for name, end := range map[string]func(){
		"in order": func() {},
		"broken":   func() { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			var resumed atomic.Int32
			r, s := newScript(t, answers{
				"tools/call": func(w http.ResponseWriter, _ *http.Request, _ seen) {
					stream(w, "id: e1\nretry: 1\ndata:", "id: e2\ndata: "+`{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":1}}`)
					end()
				},
				http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ seen) {
					switch n := resumed.Add(1); {
					case n == 1: // as while a new instance starts
						w.WriteHeader(http.StatusServiceUnavailable)
					case r.Header.Get("Last-Event-ID") == "e2":
						stream(w, "id: e3\ndata: "+`{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":2}}`)
					default:
						stream(w, "id: e4\ndata: "+`{"jsonrpc":"2.0","id":7,"result":{}}`)
					}
				},
			})
			e := r.raw(t)
			e.write(aCall)
			assert.Contains(t, e.read(), `{"n":1}`)
			assert.Contains(t, e.read(), `{"n":2}`)
			assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, e.read())
			var after []string
			for _, got := range s.requests(http.MethodGet) {
				after = append(after, got.header.Get("Last-Event-ID"))
			}
			assert.Equal(t, []string{"e2", "e2", "e3"}, after)
		})
	}
}

func TestACallIsGivenUpIfItsStreamCannotBeResumed(t *testing.T) {
	r, s := newScript(t, answers{"tools/call": func(w http.ResponseWriter, _ *http.Request, _ seen) {
		stream(w, "id: e1\nretry: 1\ndata:")
	}})
	e := r.raw(t)
	e.write(aCall)
	assert.Contains(t, e.read(), "was sent, but no answer came (405 Method Not Allowed:")
	assert.Len(t, s.requests("tools/call"), 1, "it may have taken effect")
	assert.Len(t, s.requests(http.MethodGet), 1)
}

// go-sdk's own way to cut a stream, and to go on.
func TestTheSDKsServerResumes(t *testing.T) {
	p := newPortal(t)
	mcp.AddTool(p.Server, &mcp.Tool{Name: "cut"}, func(_ context.Context, r *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, echo, error) {
		r.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: 1})
		return nil, echo{"whole"}, nil
	})
	r := newRig(t, serve(t, p.streamable(mcp.StreamableHTTPOptions{EventStore: mcp.NewMemoryEventStore(nil)})))
	editor := r.connect(t, "2025-11-25", nil)
	result, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "cut", Arguments: nothing{}})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"text": "whole"}, result.StructuredContent)
}

func TestTheStandingStreamIsOpenedAgain(t *testing.T) {
	var opened atomic.Int32
	r, l := newLosing(t, answers{http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ seen) {
		n := opened.Add(1)
		stream(w, fmt.Sprintf("id: e%d\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/n%d\"}", n, n))
		if n == 3 {
			<-r.Context().Done()
		}
	}})
	e := r.raw(t)
	l.begin(e)
	for n := range 3 {
		assert.Contains(t, e.read(), fmt.Sprintf("notifications/n%d", n+1))
	}
	gets := l.requests(http.MethodGet)
	assert.Equal(t, "s1", gets[0].header.Get("Mcp-Session-Id"))
	assert.Empty(t, gets[0].header.Get("Last-Event-ID"))
	assert.Equal(t, "e2", gets[2].header.Get("Last-Event-ID"))
}

func TestWithoutAStandingStreamThereIsOneAttempt(t *testing.T) {
	r, l := newLosing(t, nil)
	e := r.raw(t)
	l.begin(e)
	e.write(aCall)
	assert.Contains(t, e.read(), `"id":7`)
	require.NoError(t, e.in.Close())
	require.NoError(t, within(t, e.ended, "the end of the bridge"))
	assert.LessOrEqual(t, len(l.requests(http.MethodGet)), 1, "405 is an answer")
}

const aListen = `{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`

// A server over stdio says in this way that a subscription is over.
func TestASubscriptionThatEndsIsCancelled(t *testing.T) {
	r, _ := newScript(t, answers{methodListen: func(w http.ResponseWriter, _ *http.Request, _ seen) {
		stream(w, `data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	}})
	e := r.raw(t)
	e.write(aListen)
	assert.Contains(t, e.read(), "list_changed")
	assert.JSONEq(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"l","reason":"the server has ended the subscription"}}`, e.read())
}

func TestTheEndOfTheStreamIsTheCancellationOfAStatelessCall(t *testing.T) {
	open, closed := make(chan struct{}), make(chan struct{})
	r, s := newScript(t, answers{methodListen: func(w http.ResponseWriter, r *http.Request, _ seen) {
		stream(w, ": open")
		close(open)
		<-r.Context().Done()
		close(closed)
	}})
	e := r.raw(t)
	e.write(aListen)
	within(t, open, "the stream")
	e.write(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"l"}}`)
	within(t, closed, "the server's notice")
	assert.Empty(t, s.requests(methodCancelled))
}

func TestAnOlderServerMayNotLeadElsewhere(t *testing.T) {
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { assert.Fail(t, "a request to another server") }))
	for name, endpoint := range map[string]string{
		"to another port":   elsewhere + "/messages",
		"to another host":   "//example.com/messages",
		"to another scheme": "https://127.0.0.1/messages",
		"with a password":   "http://a:b@{here}/messages",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					http.Error(w, "no such page", http.StatusNotFound)
					return
				}
				stream(w, "event: endpoint\ndata: "+strings.ReplaceAll(endpoint, "{here}", r.Host))
				<-r.Context().Done()
			})))
			e := r.raw(t)
			e.write(aCall)
			assert.Contains(t, e.read(), fmt.Sprintf(`"id":7,"error":{"code":%d`, CodeRefused))
		})
	}
}

// Servers of two clients may be at paths of one origin.
func TestLink_EndpointStaysBelowTheTargetsPath(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"/acme/messages":                     true,
		"messages?session=1":                 true,
		"http://{here}/acme":                 true,
		"/globex/messages":                   false,
		"../globex/messages":                 false,
		"/acme/../globex/messages":           false,
		"/acme/%2e%2e/globex/messages":       false,
		"/acmes/messages":                    false,
		"http://{here}/acme/.%2E/globex/mcp": false,
	} {
		t.Run(endpoint, func(t *testing.T) {
			posts := make(chan string, 10)
			r := newRig(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method != http.MethodGet && r.URL.Path == "/acme/mcp":
					http.Error(w, "no such page", http.StatusNotFound)
				case r.Method != http.MethodGet:
					posts <- r.URL.EscapedPath()
					w.WriteHeader(http.StatusAccepted)
				default:
					stream(w, "event: endpoint\ndata: "+strings.ReplaceAll(endpoint, "{here}", r.Host))
					<-r.Context().Done()
				}
			}))+"/acme")
			e := r.raw(t)
			e.write(aCall)
			if good {
				assert.True(t, strings.HasPrefix(within(t, posts, "the message"), "/acme"))
				return
			}
			assert.Contains(t, e.read(), fmt.Sprintf(`"id":7,"error":{"code":%d`, CodeRefused))
			assert.Empty(t, posts)
		})
	}
}

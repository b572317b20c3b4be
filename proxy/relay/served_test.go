package relay

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
)

// hookedTokens calls a function while a token is fetched.
type hookedTokens struct {
	TokenSource
	onToken, onRenew func()
}

func (h hookedTokens) Token(ctx context.Context, audience string) (token.Token, error) {
	if h.onToken != nil {
		h.onToken()
	}
	return h.TokenSource.Token(context.WithoutCancel(ctx), audience)
}

func (h hookedTokens) Renew(ctx context.Context, audience string, refused token.Token) (token.Token, error) {
	if h.onRenew != nil {
		h.onRenew()
	}
	return h.TokenSource.Renew(context.WithoutCancel(ctx), audience, refused)
}

// A client is removed, or gets another server, at the worst moment of a request.
func TestSetTargets_FormerServerGetsNoNewRequest(t *testing.T) {
	const list = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	type moment struct {
		prepare func(s *Relay, change func())
		serve   func(w http.ResponseWriter, change func())
		body    string
		arrived int64  // requests at the former server
		answer  string // instead of the fault for a client that is not served
	}
	for name, m := range map[string]moment{
		"while a token is fetched": {
			prepare: func(s *Relay, change func()) {
				s.sender.tokens = hookedTokens{TokenSource: s.sender.tokens, onToken: change}
			},
		},
		"while a refused token is renewed": {
			prepare: func(s *Relay, change func()) {
				s.sender.tokens = hookedTokens{TokenSource: s.sender.tokens, onRenew: change}
			},
			serve:   func(w http.ResponseWriter, _ func()) { refuse(w, http.StatusUnauthorized) },
			arrived: 1,
		},
		"while a connection is made": {
			prepare: func(s *Relay, change func()) {
				dial := s.sender.transport.DialContext
				s.sender.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					change()
					return dial(ctx, network, address)
				}
			},
		},
		"before a retry": {
			prepare: func(s *Relay, _ func()) { s.sender.firstPause = retryWithin / 3 },
			serve: func(w http.ResponseWriter, change func()) {
				change()
				refuse(w, http.StatusServiceUnavailable)
			},
			body: list, arrived: 1, answer: fmt.Sprintf(`"code":%d`, CodeUnavailable),
		},
		"before a retry after a broken connection": {
			serve: func(_ http.ResponseWriter, change func()) {
				change()
				panic(http.ErrAbortHandler)
			},
			body: list, arrived: 1, answer: "broke before there was an answer",
		},
		"while the call is answered": {
			serve: func(w http.ResponseWriter, change func()) {
				change()
				fmt.Fprint(w, "the answer")
			},
			arrived: 1, answer: "the answer",
		},
	} {
		for kind, code := range map[string]int{"removed": CodeNoClient, "replaced": CodeMoved} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var h *harness
				var arrived atomic.Int64
				targets := parse(t, "globex=http://127.0.0.1:1")
				if kind == "replaced" {
					targets = append(targets, parse(t, "acme=http://127.0.0.1:1")...)
				}
				change := func() { h.SetTargets(targets) }
				server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
					arrived.Add(1)
					if m.serve != nil {
						m.serve(w, change)
					}
				})
				h = startWith(t, Options{Targets: parse(t, "acme="+server.URL)}, func(s *Relay) {
					if m.prepare != nil {
						m.prepare(s, change)
					}
				})
				_, got := do(t, h.request(t, http.MethodPost, "/acme/mcp", cmp.Or(m.body, call)))
				assert.Contains(t, got, cmp.Or(m.answer, fmt.Sprintf(`"code":%d`, code)))
				assert.Equal(t, m.arrived, arrived.Load(), "requests at the former server")
			})
		}
	}
}

// The transport sends a request again by itself if a connection that it has used before
// breaks. The header says that this is safe.
func TestSetTargets_TransportSendsNothingAgain(t *testing.T) {
	var h *harness
	var arrived atomic.Int64
	server := upstream(t, func(http.ResponseWriter, *http.Request) {
		if arrived.Add(1) == 2 {
			h.SetTargets(nil)
			panic(http.ErrAbortHandler)
		}
	})
	h = start(t, "acme="+server.URL)
	for range 2 {
		r := h.request(t, http.MethodPost, "/acme/mcp", call)
		r.Header.Set("Idempotency-Key", "1")
		do(t, r)
	}
	assert.EqualValues(t, 2, arrived.Load())
}

func TestSetTargets_EndsStreamsOfFormerServer(t *testing.T) {
	for kind, after := range map[string]string{"removed": "globex=%[1]s", "replaced": "globex=%[1]s acme=http://127.0.0.1:1"} {
		for name, request := range map[string]struct{ method, body string }{
			"opened by GET":  {http.MethodGet, ""},
			"a subscription": {http.MethodPost, `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen"}`},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var arrived atomic.Int64
				left := make(chan struct{})
				ticks, others := make(chan string), make(chan string)
				acme := upstream(t, func(w http.ResponseWriter, r *http.Request) {
					arrived.Add(1)
					clock(ticks)(w, r)
					close(left)
				})
				globex := upstream(t, clock(others))
				h := start(t, "acme="+acme.URL, "globex="+globex.URL)
				open := func(name string) io.ReadCloser {
					r := h.request(t, request.method, "/"+name+"/mcp", request.body)
					r.Header.Set("Accept", "text/event-stream")
					if request.body != "" {
						r.Header.Set("Mcp-Method", "subscriptions/listen")
					}
					resp, err := client(t).Do(r)
					require.NoError(t, err)
					require.Equal(t, http.StatusOK, resp.StatusCode)
					t.Cleanup(func() { _ = resp.Body.Close() })
					return resp.Body
				}
				stream, other := open("acme"), lines(t, open("globex"))
				ticks <- "1"
				first := make([]byte, len("data: 1\n\n"))
				_, err := io.ReadFull(stream, first)
				require.NoError(t, err)

				targets := parse(t, strings.Fields(fmt.Sprintf(after, globex.URL))...)
				targets[0].AccessHint = "globex-developers@example.com" // which is no other server
				h.SetTargets(targets)
				rest, err := io.ReadAll(stream)
				require.NoError(t, err, "the stream ends in order")
				assert.Empty(t, rest)
				within(t, left, "the server's notice")
				assert.EqualValues(t, 1, arrived.Load())

				others <- "still"
				assert.Equal(t, "data: still", within(t, other, "an event of the other client"))
				close(others)
			})
		}
	}
}

// What is cut in two must not look like the whole.
func TestSetTargets_EventThatIsCutIsNoWholeEvent(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\ndata: half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	h := start(t, "acme="+server.URL)
	r := h.request(t, http.MethodGet, "/acme/mcp", "")
	r.Header.Set("Accept", "text/event-stream")
	resp, err := client(t).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.ReadFull(resp.Body, make([]byte, len("data: 1\n\ndata: half")))
	require.NoError(t, err)
	h.SetTargets(nil)
	_, err = io.ReadAll(resp.Body)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// Another audience is another server, even at the same URL.
func TestSender_SendsToServedTargetsOnly(t *testing.T) {
	var arrived atomic.Int64
	server := upstream(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	h := start(t, "acme="+server.URL)
	send := func(target Target) *Fault {
		resp, f := h.sender.Send(t.Context(), target, http.MethodPost, target.Endpoint("/mcp"), nil, []byte(call))
		if f == nil {
			require.NoError(t, resp.Body.Close())
		}
		return f
	}
	served, stranger := parse(t, "acme="+server.URL)[0], parse(t, "hooli="+server.URL)[0]
	audience, elsewhere := served, parse(t, "acme="+server.URL+"/v2")[0]
	audience.Audience = "https://acme.example"
	for _, test := range []struct {
		target Target
		code   int
	}{{stranger, CodeNoClient}, {audience, CodeMoved}, {elsewhere, CodeMoved}} {
		f := send(test.target)
		require.NotNil(t, f)
		assert.Equal(t, test.code, f.Code)
		ctx, done := h.sender.WhileServed(t.Context(), test.target)
		assert.ErrorAs(t, context.Cause(ctx), &f)
		done()
	}
	assert.Zero(t, arrived.Load())
	assert.Nil(t, send(served))
	h.SetTargets(nil)
	assert.NotNil(t, send(served))
	h.SetTargets([]Target{served})
	assert.Nil(t, send(served), "it has been added again")
	assert.EqualValues(t, 2, arrived.Load())
}

// A long list of former servers must not be remembered.
func TestSender_ForgetsSessionsOfFormerServers(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Mcp-Session-Id", "s1") })
	h := start(t, "acme="+server.URL)
	for i := range 10 {
		h.SetTargets(parse(t, fmt.Sprintf("acme=%s/v%d", server.URL, i)))
		do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
	}
	assert.Len(t, h.sender.sessions, 1)
	assert.Len(t, h.sender.tenures, 1)
	require.Eventually(t, func() bool { return h.Snapshot()[0].Sessions == 1 }, deadline, time.Millisecond)
}

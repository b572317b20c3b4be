package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
)

// fill repeats a part, which is given its number, between a head and a tail until there are
// so many bytes.
func fill(bytes int, head, tail, separator string, part func(i int) string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len() < bytes; i++ {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(part(i))
	}
	b.WriteString(tail)
	return b.String()
}

// nested is a schema of an argument within an argument, each of which wants a header.
func nested(depth int) string {
	return strings.Repeat(`{"x-mcp-header":"A","properties":{"a":`, depth) + `{}` + strings.Repeat(`}}`, depth)
}

// What a list of tools costs is some multiple of its size, whatever is in it.
func TestToolParams_HostileListCostsLittle(t *testing.T) {
	const size = 2 << 20 // the cost grows as the size does
	tools := func(one func(i int) string) string { return fill(size, `{"tools":[`, `]}`, ",", one) }
	inOne := func(part func(i int) string) string {
		return fill(size, `{"tools":[{"name":"t","inputSchema":{"properties":{`, `}}}]}`, ",", part)
	}
	for name, list := range map[string]string{
		"nested headers":           tools(func(i int) string { return fmt.Sprintf(`{"name":"t%d","inputSchema":%s}`, i, nested(1600)) }),
		"nested as deep as can be": tools(func(i int) string { return fmt.Sprintf(`{"name":"t%d","inputSchema":%s}`, i, nested(4900)) }),
		"nested values of a header": tools(func(int) string {
			return `{"inputSchema":{"x-mcp-header":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}`
		}),
		"many headers in one tool": inOne(func(i int) string { return fmt.Sprintf(`"a%d":{"x-mcp-header":"A%d"}`, i, i) }),
		"many headers in each tool": tools(func(i int) string {
			return fmt.Sprintf(`{"name":"t%d","inputSchema":`, i) + fill(60<<10, `{"properties":{`, `}}}`, ",", func(i int) string { return fmt.Sprintf(`"a%d":{"x-mcp-header":"A"}`, i) })
		}),
		"many tools": tools(func(i int) string {
			return fmt.Sprintf(`{"name":"t%d","inputSchema":{"properties":{"a":{"x-mcp-header":"A"}}}}`, i)
		}),
		"many empty tools":     tools(func(int) string { return `{}` }),
		"one tool's long name": `{"tools":[{"name":"` + strings.Repeat("x", size) + `","inputSchema":{"properties":{"a":{"x-mcp-header":"A"}}}}]}`,
		"a long name of an argument": `{"tools":[{"name":"t","inputSchema":{"properties":{"` + strings.Repeat("x", size) +
			`":{"x-mcp-header":"A"}}}}]}`,
		"escapes": inOne(func(int) string { return `"\u0061":{"properties":{}}` }),
	} {
		t.Run(name, func(t *testing.T) {
			require.True(t, json.Valid([]byte(list)))
			var params toolParams
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			params.learn(json.RawMessage(list))
			runtime.ReadMemStats(&after)
			assert.Less(t, (after.TotalAlloc-before.TotalAlloc)/uint64(len(list)), uint64(40), "bytes for each byte of the list")
			assert.LessOrEqual(t, len(params.byTool), maxTools)
			assert.LessOrEqual(t, params.size, maxToolsBytes)
		})
	}
}

// A header that a tool wants, and that is not known, fails its calls, and no others.
func TestToolParams_ToolOverLimitCannotBeCalled(t *testing.T) {
	properties := func(n int, part func(i int) string) string {
		var all []string
		for i := range n {
			all = append(all, part(i))
		}
		return `{"properties":{` + strings.Join(all, ",") + `}}`
	}
	for name, test := range map[string]struct{ schema, arguments, want string }{
		"too deep": {nested(maxSchemaDepth + 2), `{}`, "nested deeper than 10 levels"},
		"too many headers": {properties(maxHeaders+1, func(i int) string { return fmt.Sprintf(`"a%d":{"x-mcp-header":"A%d"}`, i, i) }),
			`{}`, "the tool wants more than 64 arguments in headers"},
		"too long names": {properties(maxHeaders/2, func(i int) string {
			return fmt.Sprintf(`"%d%s":{"x-mcp-header":"A%d"}`, i, strings.Repeat("x", 300), i)
		}),
			`{}`, "take more than 8 KiB"},
		"too large a schema": {properties(1, func(int) string {
			return `"a":{"x-mcp-header":"A","description":"` + strings.Repeat("x", maxSchema) + `"}`
		}),
			`{}`, "larger than 64 KiB"},
		"too large arguments": {properties(2, func(i int) string { return fmt.Sprintf(`"a%d":{"x-mcp-header":"A%d"}`, i, i) }),
			`{"a0":"` + strings.Repeat("x", 30<<10) + `","a1":"` + strings.Repeat("x", 30<<10) + `"}`, "take more than 48 KiB in this call"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := newScript(t, answers{"tools/list": func(w http.ResponseWriter, _ *http.Request, got seen) {
				reply(w, got, `"result":{"tools":[{"name":"bad","inputSchema":`+test.schema+`},{"name":"good","inputSchema":`+schema+`}]}`)
			}})
			e := r.raw(t)
			const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`
			e.write(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + meta + `}}`)
			e.read()
			e.write(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"bad","arguments":` + test.arguments + `,` + meta + `}}`)
			answer := e.read()
			assert.Contains(t, answer, fmt.Sprintf(`"id":2,"error":{"code":%d,"message":"the server of acme is over a limit of berth-proxy: `, relay.CodeTooLarge))
			assert.Contains(t, answer, test.want)
			assert.Empty(t, s.requests("tools/call"), "it is not sent without its headers")
			e.write(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"good","arguments":{"region":"eu"},` + meta + `}}`)
			assert.Contains(t, e.read(), `"id":3,"result"`)
			assert.Equal(t, "eu", s.requests("tools/call")[0].header.Get("Mcp-Param-Region"))
		})
	}
}

func TestToolParams_ToolsBeyondLimitAreRefused(t *testing.T) {
	var params toolParams
	params.learn(json.RawMessage(fill(maxTools*100, `{"tools":[`, `]}`, ",", func(i int) string {
		return fmt.Sprintf(`{"name":"t%d","inputSchema":{"properties":{"a":{"x-mcp-header":"A"}}}}`, i)
	})))
	call := func(name string) error { return params.setHeaders(http.Header{}, message{name: name}) }
	assert.NoError(t, call("t0"))
	assert.ErrorContains(t, call("another"), "more than 1024 tools")
	params.forget()
	assert.NoError(t, call("another"), "of another server")
}

// A list without an end is read no further for a call.
func TestLearnTools_EndlessListIsLeft(t *testing.T) {
	for name, cursor := range map[string]string{"many pages": "next", "a long cursor": strings.Repeat("x", maxCursor+1)} {
		t.Run(name, func(t *testing.T) {
			r, s := newScript(t, answers{
				"tools/list": func(w http.ResponseWriter, _ *http.Request, got seen) {
					reply(w, got, fmt.Sprintf(`"result":{"tools":[],"nextCursor":%q}`, cursor))
				},
				"tools/call": func(w http.ResponseWriter, _ *http.Request, got seen) {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"headers"}}`, got.rpc.ID, codeHeaderMismatch)
				},
			})
			e := r.raw(t)
			e.write(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
			assert.Contains(t, e.read(), "its list of tools has more than 50 pages")
			assert.LessOrEqual(t, len(s.requests("tools/list")), maxToolPages)
			assert.Len(t, s.requests("tools/call"), 1)
		})
	}
}

// A fakeServer answers without a network, so that its time can be a test's own.
type fakeServer struct {
	target relay.Target
	answer func(method string, body []byte) (*http.Response, *relay.Fault)

	mu    sync.Mutex
	times []time.Time // of the GETs
}

func newFakeServer(t *testing.T, answer func(method string, body []byte) (*http.Response, *relay.Fault)) *fakeServer {
	t.Helper()
	return &fakeServer{target: other(t, "acme=https://acme.example")[0], answer: answer}
}

func (f *fakeServer) Send(_ context.Context, _ relay.Target, method string, _ *url.URL, _ http.Header, body []byte) (*http.Response, *relay.Fault) {
	if method == http.MethodGet {
		f.mu.Lock()
		f.times = append(f.times, time.Now())
		f.mu.Unlock()
	}
	return f.answer(method, body)
}

func (f *fakeServer) Target(string) (relay.Target, bool) { return f.target, true }

func (f *fakeServer) BeginSSE(relay.Target, *url.URL, *http.Response) func() { return func() {} }

// gaps are the times between the GETs.
func (f *fakeServer) gaps() (gaps []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 1; i < len(f.times); i++ {
		gaps = append(gaps, f.times[i].Sub(f.times[i-1]))
	}
	return gaps
}

func response(status int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}, sessionHeader: {"s1"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// However often a server wants it, a stream is not opened again within a second; and one
// that ends at once, time and again, less and less often.
func TestSession_ServerCannotHurryReconnects(t *testing.T) {
	for name, events := range map[string]string{
		"with a short time to wait":   "id: 1\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n",
		"with none":                   "retry: 0\n\n",
		"without a word":              "",
		"with a time beyond any life": "id: 1\nretry: 4294967295\ndata:\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeServer(t, func(method string, body []byte) (*http.Response, *relay.Fault) {
					switch {
					case method == http.MethodGet:
						return response(http.StatusOK, "text/event-stream", events), nil
					case bytes.Contains(body, []byte(`"id"`)):
						return response(http.StatusOK, "application/json", `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}`), nil
					}
					return response(http.StatusAccepted, "", ""), nil
				})
				s := New(Options{Target: f.target, Sender: f, Write: func([]byte) error { return nil }})
				defer s.Close()
				s.Handle([]byte(anInitialize))
				s.Handle([]byte(anInitialized))
				time.Sleep(time.Hour) // of the test's own time
				gaps := f.gaps()
				require.NotEmpty(t, gaps)
				for _, gap := range gaps {
					assert.GreaterOrEqual(t, gap, firstPause)
					assert.LessOrEqual(t, gap, maxPause+maxPause/4, "nor is the stream given up")
				}
				assert.LessOrEqual(t, len(gaps), int(time.Hour/maxPause)+10)
			})
		})
	}
}

func TestSession_SteadyStreamIsOpenedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t, nil)
		f.answer = func(method string, body []byte) (*http.Response, *relay.Fault) {
			switch {
			case method == http.MethodGet:
				r, w := io.Pipe()
				time.AfterFunc(5*time.Minute, func() { _ = w.Close() }) // as the platform does
				resp := response(http.StatusOK, "text/event-stream", "")
				resp.Body = r
				return resp, nil
			case bytes.Contains(body, []byte(`"id"`)):
				return response(http.StatusOK, "application/json", `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}`), nil
			}
			return response(http.StatusAccepted, "", ""), nil
		}
		s := New(Options{Target: f.target, Sender: f, Write: func([]byte) error { return nil }})
		s.Handle([]byte(anInitialize))
		s.Handle([]byte(anInitialized))
		time.Sleep(time.Hour)
		for _, gap := range f.gaps() {
			assert.LessOrEqual(t, gap, 5*time.Minute+2*firstPause)
		}
		s.end()
		time.Sleep(5 * time.Minute) // the pipe, which does not know the session's end
		s.Close()
	})
}

// The stream of a call is held to the same.
func TestSession_ServerCannotHurryResumes(t *testing.T) {
	for name, test := range map[string]struct {
		event string
		most  int // GETs in an hour
	}{
		"without messages": {"id: 1\nretry: 1\ndata:\n\n", int(time.Hour/maxPause) + 10},
		"with messages":    {"id: 1\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n", int(time.Hour / firstPause)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeServer(t, func(string, []byte) (*http.Response, *relay.Fault) {
					return response(http.StatusOK, "text/event-stream", test.event), nil
				})
				s := New(Options{Target: f.target, Sender: f, Write: func([]byte) error { return nil }})
				defer s.Close()
				s.Handle([]byte(aCall))
				time.Sleep(time.Hour)
				gaps := f.gaps()
				require.NotEmpty(t, gaps)
				for _, gap := range gaps {
					assert.GreaterOrEqual(t, gap, firstPause)
				}
				assert.LessOrEqual(t, len(gaps), test.most)
			})
		})
	}
}

// Each request of a server that the editor cannot take costs a request to refuse it.
func TestSession_FloodOfRequestsIsNotRefusedOneByOne(t *testing.T) {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		var posts int
		var mu sync.Mutex
		hold := make(chan struct{})
		f := newFakeServer(t, func(string, []byte) (*http.Response, *relay.Fault) {
			mu.Lock()
			posts++
			mu.Unlock()
			<-hold
			return response(http.StatusAccepted, "", ""), nil
		})
		toEditor := 0
		s := New(Options{Target: f.target, Sender: f, Logger: slog.New(slog.NewTextHandler(&log, nil)), Write: func([]byte) error {
			toEditor++
			return nil
		}})
		up := s.current()
		for i := range 10_000 {
			s.receive(up, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"roots/list"}`, i), nil)
		}
		synctest.Wait()
		assert.Equal(t, maxAsked, toEditor)
		assert.Equal(t, maxRefusing, posts)
		close(hold)
		s.Close()
	})
	assert.LessOrEqual(t, strings.Count(log.String(), "\n"), noiseBurst)
}

func TestSession_HostileServerFillsNoLog(t *testing.T) {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t, nil)
		s := New(Options{Target: f.target, Sender: f, Logger: slog.New(slog.NewTextHandler(&log, nil)), Write: func([]byte) error { return nil }})
		defer s.Close()
		for range 10_000 {
			s.receive(s.current(), []byte("nonsense"), nil)
			s.receive(s.current(), []byte(`[{"id":1}]`), nil)
		}
		time.Sleep(noiseEvery)
		s.receive(s.current(), []byte("nonsense"), nil)
	})
	assert.Equal(t, noiseBurst+1, strings.Count(log.String(), "\n"))
	assert.True(t, strings.Contains(log.String(), fmt.Sprintf("unsaid=%d", 20_000-noiseBurst)), "what was left out is counted")
}

// What a server can make a session keep.
func TestSession_KeepsNothingLarge(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	passed := 0
	f := newFakeServer(t, nil)
	s := New(Options{Target: f.target, Sender: f, Write: func([]byte) error {
		passed++
		return nil
	}})
	defer s.Close()
	up := s.current()
	s.receive(up, []byte(`{"jsonrpc":"2.0","id":"`+long+`","method":"roots/list"}`), nil)
	s.receive(up, []byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"`+long+`"}}`), nil)
	s.receive(up, []byte("["+strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/x"},`, maxBatch)+`{"jsonrpc":"2.0","method":"notifications/x"}]`), nil)
	assert.Empty(t, s.asked)
	assert.Zero(t, passed)
	s.receive(up, []byte("["+strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/x"},`, maxBatch-1)+`{"jsonrpc":"2.0","method":"notifications/x"}]`), nil)
	assert.Equal(t, maxBatch, passed, "so many may be in a batch")

	assert.Empty(t, revisionOf(json.RawMessage(`{"protocolVersion":"`+long+`"}`)))
	assert.Empty(t, revisionOf(json.RawMessage(`{"protocolVersion":"2025\r\nA: b"}`)))
	assert.Equal(t, "2025-06-18", revisionOf(json.RawMessage(`{"protocolVersion":"2025-06-18"}`)))
	assert.Nil(t, s.linked(up, nil, []byte("/messages?session="+long)))
	assert.NotNil(t, s.linked(up, nil, []byte("/messages?session=1")))
}

func TestSession_LongSessionIDIsRefused(t *testing.T) {
	r, s := newScript(t, answers{"initialize": func(w http.ResponseWriter, _ *http.Request, got seen) {
		w.Header().Set(sessionHeader, strings.Repeat("x", maxSessionID+1))
		reply(w, got, `"result":{"protocolVersion":"2025-06-18"}`)
	}})
	e := r.raw(t)
	e.write(anInitialize)
	assert.Contains(t, e.read(), "its name of a session has more than 1024 bytes")
	assert.Empty(t, s.requests(http.MethodDelete))
}

// An id that is too long to go back to the server leaves the stream without one, rather than
// with the one before, after which events would come twice.
func TestReadEvents_BoundsIDAndName(t *testing.T) {
	long := strings.Repeat("x", maxEventID+1)
	events := eventsOf(t, strings.NewReader("id: 1\ndata: a\n\nid: "+long+"\ndata: b\n\nevent: "+long+"\ndata: c\n\nid: 2\ndata: d\n\n"))
	require.Len(t, events, 4)
	assert.Equal(t, "1", events[0].id)
	for _, e := range events[1:3] {
		assert.Empty(t, e.id)
		assert.True(t, e.noID)
	}
	assert.Len(t, events[2].name, maxEventName)
	assert.Equal(t, "2", events[3].id)
	assert.False(t, events[3].noID)
}

// A batch of many small elements would take many times its size.
func TestSplit_BatchCostsLittle(t *testing.T) {
	raw := []byte("[" + strings.Repeat("1,", 1<<20) + "1]")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := split(raw)
	runtime.ReadMemStats(&after)
	assert.ErrorIs(t, err, errBatch)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(raw)))
}

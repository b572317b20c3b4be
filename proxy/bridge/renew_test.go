package bridge

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// restarting is a server that a test restarts: all its sessions are lost.
type restarting struct {
	now  atomic.Pointer[http.Handler]
	make func() http.Handler
}

func (s *restarting) restart() {
	next := s.make()
	s.now.Store(&next)
}

func (s *restarting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.now.Load()).ServeHTTP(w, r)
}

func TestASessionThatTheServerLostIsBegunAnew(t *testing.T) {
	var p *portal
	server := &restarting{make: func() http.Handler {
		p = newPortal(t)
		return p.streamable(mcp.StreamableHTTPOptions{})
	}}
	server.restart()
	r := newRig(t, serve(t, server))
	changed := make(news, 1)
	editor := r.connect(t, "2025-11-25", &mcp.ClientOptions{ToolListChangedHandler: changed.come})
	for range 3 {
		server.restart()
		results := make(chan error, 5)
		for range cap(results) { // which all find the session lost at once
			go func() {
				_, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{"x"}})
				results <- err
			}()
		}
		for range cap(results) {
			require.NoError(t, within(t, results, "an answer"))
		}
		n := 0
		for range p.Sessions() {
			n++
		}
		assert.Equal(t, 1, n, "one new session")
		p.toolsChange(t, changed)
	}
}

const (
	anInitialize  = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","clientInfo":{"name":"e"}}}`
	anInitialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

// losing is a script whose server has sessions, and forgets them when told.
type losing struct {
	*script
	lost     atomic.Bool
	sessions atomic.Int32
	revision atomic.Value
}

func newLosing(t *testing.T, more answers) (*rig, *losing) {
	l := &losing{}
	l.revision.Store("2025-06-18")
	r, s := newScript(t, answers{"initialize": func(w http.ResponseWriter, _ *http.Request, got seen) {
		l.lost.Store(false)
		w.Header().Set("Mcp-Session-Id", fmt.Sprint("s", l.sessions.Add(1)))
		reply(w, got, fmt.Sprintf(`"result":{"protocolVersion":%q}`, l.revision.Load()))
	}})
	for method, answer := range more {
		s.answer[method] = answer
	}
	for _, method := range []string{"tools/call", "resources/subscribe", "notifications/x"} {
		answer := s.answer[method]
		s.answer[method] = func(w http.ResponseWriter, r *http.Request, got seen) {
			switch {
			case l.lost.Load() || r.Header.Get("Mcp-Session-Id") != fmt.Sprint("s", l.sessions.Load()):
				http.Error(w, "session not found", http.StatusNotFound)
			case answer != nil:
				answer(w, r, got)
			case len(got.rpc.ID) == 0:
				w.WriteHeader(http.StatusAccepted)
			default:
				reply(w, got, `"result":{}`)
			}
		}
	}
	l.script = s
	return r, l
}

func (l *losing) begin(e *rawEditor) {
	e.write(anInitialize)
	assert.Contains(e.t, e.read(), `"protocolVersion":"2025-06-18"`)
	e.write(anInitialized)
}

func TestANewSessionHasWhatTheOldOneHad(t *testing.T) {
	r, l := newLosing(t, nil)
	e := r.raw(t)
	l.begin(e)
	for i, m := range []string{
		`"method":"logging/setLevel","params":{"level":"info"}`, `"method":"logging/setLevel","params":{"level":"error"}`,
		`"method":"resources/subscribe","params":{"uri":"a:1"}`, `"method":"resources/subscribe","params":{"uri":"b:2"}`,
		`"method":"resources/unsubscribe","params":{"uri":"a:1"}`,
	} {
		e.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,%s}`, 10+i, m))
		assert.Contains(t, e.read(), `"result":{}`)
	}
	l.lost.Store(true)
	e.write(aCall)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, e.read())

	var again []string
	for _, got := range l.all() {
		if got.header.Get("Mcp-Session-Id") == "s2" && got.method == http.MethodPost {
			assert.Equal(t, "2025-06-18", got.header.Get("Mcp-Protocol-Version"))
			again = append(again, got.rpc.Method+" "+string(got.rpc.Params))
		}
	}
	require.Len(t, again, 4)
	assert.Equal(t, `notifications/initialized `, again[0])
	assert.Equal(t, []string{`logging/setLevel {"level":"error"}`, `resources/subscribe {"uri":"b:2"}`}, again[1:3])
	begun := l.requests("initialize")
	require.Len(t, begun, 2)
	assert.JSONEq(t, string(begun[0].rpc.Params), string(begun[1].rpc.Params), "as the editor began it")
	assert.Empty(t, begun[1].header.Get("Mcp-Session-Id"))
}

func TestANotificationIsNotLostWithTheSession(t *testing.T) {
	r, l := newLosing(t, nil)
	e := r.raw(t)
	l.begin(e)
	l.lost.Store(true)
	e.write(`{"jsonrpc":"2.0","method":"notifications/x"}`)
	e.write(aCall)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, e.read())
	assert.Len(t, l.requests("notifications/x"), 2)
	assert.Len(t, l.requests("initialize"), 2)
}

func TestASessionIsNotBegunAnewInAnotherRevision(t *testing.T) {
	r, l := newLosing(t, nil)
	e := r.raw(t)
	l.begin(e)
	l.lost.Store(true)
	l.revision.Store("2025-03-26")
	e.write(aCall)
	answer := e.read()
	assert.Contains(t, answer, fmt.Sprintf(`"id":7,"error":{"code":%d`, CodeLost))
	assert.Contains(t, answer, `now speaks the revision \"2025-03-26\" instead of \"2025-06-18\": connect the editor to it again`)
}

// What a server has asked, it does not want to know any more when it has lost the session;
// and a new session may use the same ids.
func TestQuestionsOfALostSessionAreWithdrawn(t *testing.T) {
	answered := make(chan string, 10)
	r, l := newLosing(t, answers{
		"prompts/list": func(w http.ResponseWriter, _ *http.Request, got seen) {
			stream(w, `data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}`, fmt.Sprintf(`data: {"jsonrpc":"2.0","id":%s,"result":{}}`, got.rpc.ID))
		},
		"": func(w http.ResponseWriter, r *http.Request, got seen) {
			answered <- r.Header.Get("Mcp-Session-Id") + " " + got.body
			w.WriteHeader(http.StatusAccepted)
		},
	})
	e := r.raw(t)
	l.begin(e)
	e.write(`{"jsonrpc":"2.0","id":"p","method":"prompts/list"}`)
	assert.Contains(t, e.read(), "roots/list")
	assert.Contains(t, e.read(), `"id":"p"`)
	l.lost.Store(true)
	e.write(aCall)
	assert.JSONEq(t, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"the server has lost the session"}}`, e.read())
	assert.Contains(t, e.read(), `"id":7`)
	e.write(`{"jsonrpc":"2.0","id":1,"result":{"late":true}}`)
	e.write(`{"jsonrpc":"2.0","id":"p","method":"prompts/list"}`)
	assert.Contains(t, e.read(), "roots/list")
	assert.Contains(t, e.read(), `"id":"p"`)
	e.write(`{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}`)
	assert.Equal(t, `s2 {"jsonrpc":"2.0","id":1,"result":{"roots":[]}}`, within(t, answered, "the answer"))
}

// The session of the older transport ends with its stream.
func TestASessionOfTheOlderTransportIsBegunAnew(t *testing.T) {
	p := newPortal(t)
	server := httptest.NewServer(p.onlySSE())
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	r := newRig(t, server.URL)
	editor := r.connect(t, "2025-06-18", nil)
	_, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{"x"}})
	require.NoError(t, err)

	failed := make(chan error, 1)
	go func() {
		_, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait", Arguments: nothing{}})
		failed <- err
	}()
	within(t, p.waiting, "a call at the server")
	server.CloseClientConnections() // as at the end of the platform's timeout
	// It may have taken effect, and is not sent again. Which of the two ends first, the
	// stream or the message's own request, is not said.
	require.Regexp(t, "was sent, but no answer came|broke before there was an answer", within(t, failed, "the end of the call"))
	_, err = editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{"x"}})
	require.NoError(t, err)
}

// service is one with affinity, as far as a platform has it: a cookie leads to the instance
// of the first answer, mostly; and instances come and go.
type service struct {
	t         *testing.T
	mu        sync.Mutex
	instances []http.Handler
}

func (s *service) start(i int) {
	s.instances[i] = newPortal(s.t).streamable(mcp.StreamableHTTPOptions{})
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	i := rand.IntN(len(s.instances))
	if c, err := r.Cookie("affinity"); err == nil && rand.IntN(20) > 0 {
		i, _ = strconv.Atoi(c.Value) // its own
	} else {
		http.SetCookie(w, &http.Cookie{Name: "affinity", Value: strconv.Itoa(i)})
	}
	if rand.IntN(50) == 0 {
		s.start(i)
	}
	instance := s.instances[i]
	s.mu.Unlock()
	instance.ServeHTTP(w, r)
}

func TestCallsAreAnsweredWhateverBecomesOfInstances(t *testing.T) {
	s := &service{t: t, instances: make([]http.Handler, 3)}
	for i := range s.instances {
		s.start(i)
	}
	r := newRig(t, serve(t, s))
	var editors sync.WaitGroup
	for range 4 {
		editors.Go(func() {
			var editor *mcp.ClientSession
			for editor == nil { // a handshake that is cut in two is for the editor to repeat
				in, out, _ := r.stdio(t)
				editor, _ = mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
					&mcp.IOTransport{Reader: out, Writer: in}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
			}
			failed := 0
			for i := range 50 {
				text := fmt.Sprint("call ", i)
				result, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{text}})
				if err != nil {
					failed++ // three times in a row elsewhere
					continue
				}
				assert.Equal(t, map[string]any{"text": text}, result.StructuredContent)
			}
			assert.LessOrEqual(t, failed, 10, "of 50, where one that is not expected is rare") // without another session it were most
		})
	}
	editors.Wait()
}

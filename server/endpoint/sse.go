package endpoint

import (
	"context"
	"crypto/rand"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// linger is how long a stream stays open after its last answer when the process
// stops. Some clients, the SDK's own among them, throw away the events that they
// have not handled yet when the stream ends.
const linger = 100 * time.Millisecond

// sse serves protocol revision 2024-11-05: a GET opens a stream of events, the
// first of which names where to POST messages; answers come over the stream.
// Sessions live in this process.
//
// It is the SDK's transport with a handler of our own, for two reasons. The
// SDK's handler takes messages for a session from anyone who knows its id,
// although they are carried out in the name of whoever opened the stream. And
// closing a session there drops the answers of calls that are still running.
type sse struct {
	guard *guard.Guard

	mu       sync.Mutex
	sessions map[string]*sseSession
	draining bool
}

func newSSE(g *guard.Guard) *sse {
	return &sse{guard: g, sessions: make(map[string]*sseSession)}
}

func (s *sse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		s.open(w, r)
	case http.MethodPost:
		s.post(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "use GET to open a stream, POST to send a message", http.StatusMethodNotAllowed)
	}
}

// open serves one session, from its first event to its last.
func (s *sse) open(w http.ResponseWriter, r *http.Request) {
	owner, ok := identity.FromContext(r.Context())
	if !ok {
		http.Error(w, "the caller is not known", http.StatusUnauthorized)
		return
	}
	leave, wait, why := s.guard.OpenStream(r.Context())
	if why != "" {
		refuse(w, wait, why)
		return
	}
	defer leave()
	id := rand.Text()
	session := newSSESession(owner, &mcp.SSEServerTransport{
		Endpoint:            r.URL.EscapedPath() + "?sessionid=" + id,
		Response:            w,
		MaxRequestBodyBytes: MaxBody,
	})

	// The id is nobody's to use before Connect sends it.
	if !s.add(id, session) {
		http.Error(w, "this instance is stopping; connect again", http.StatusServiceUnavailable)
		return
	}
	defer s.remove(id)

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	connected, err := s.guard.Connect(r.Context(), session)
	if err != nil {
		http.Error(w, "the stream could not be opened", http.StatusInternalServerError)
		return
	}
	defer func() { _ = connected.Close() }() // nothing may write to w after this function

	select {
	case <-r.Context().Done():
		return
	case <-session.finished:
	}
	select {
	case <-r.Context().Done():
	case <-time.After(linger):
	}
}

// post hands a message to the session that it is for.
func (s *sse) post(w http.ResponseWriter, r *http.Request) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		http.Error(w, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	s.mu.Lock()
	session := s.sessions[r.URL.Query().Get("sessionid")]
	s.mu.Unlock()
	caller, ok := identity.FromContext(r.Context())
	// A call is carried out with the groups that its owner had when the stream was
	// opened: who is in others by now opens a new one.
	if session == nil || !ok || !caller.Same(session.owner) {
		http.Error(w, "there is no such session; open a new one with GET", http.StatusNotFound)
		return
	}
	session.accept(w, r)
}

// add is false when no session may be opened any more.
func (s *sse) add(id string, session *sseSession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.sessions[id] = session
	return true
}

func (s *sse) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, id)
}

func (s *sse) drain(ctx context.Context) {
	s.mu.Lock()
	s.draining = true
	var sessions []*sseSession
	for _, session := range s.sessions {
		sessions = append(sessions, session)
	}
	s.mu.Unlock()

	for _, session := range sessions {
		session.finishWhenIdle()
	}
	for _, session := range sessions {
		select {
		case <-session.finished:
		case <-ctx.Done():
			session.finish()
		}
	}
}

// sseSession is a transport that knows which of its messages are still to be
// answered.
type sseSession struct {
	owner     identity.Caller
	transport *mcp.SSEServerTransport
	finished  chan struct{} // closed when the stream is to end

	mu        sync.Mutex
	queued    int                     // messages accepted but not yet read
	calls     map[jsonrpc.ID]struct{} // calls read but not yet answered
	finishing bool                    // finish as soon as there are neither
	finish    func()
}

func newSSESession(owner identity.Caller, transport *mcp.SSEServerTransport) *sseSession {
	finished := make(chan struct{})
	return &sseSession{
		owner:     owner,
		transport: transport,
		finished:  finished,
		finish:    sync.OnceFunc(func() { close(finished) }),
		calls:     make(map[jsonrpc.ID]struct{}),
	}
}

// accept queues the message in a request.
func (s *sseSession) accept(w http.ResponseWriter, r *http.Request) {
	s.update(func() { s.queued++ })
	status := &statusWriter{ResponseWriter: w}
	s.transport.ServeHTTP(status, r)
	if status.code != http.StatusAccepted {
		s.update(func() { s.queued-- })
	}
}

func (s *sseSession) finishWhenIdle() { s.update(func() { s.finishing = true }) }

// update changes the state, and ends the session if it is its time.
func (s *sseSession) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	if s.finishing && s.queued == 0 && len(s.calls) == 0 {
		s.finish()
	}
}

// Connect implements [mcp.Transport].
func (s *sseSession) Connect(ctx context.Context) (mcp.Connection, error) {
	conn, err := s.transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return sseConnection{Connection: conn, session: s}, nil
}

// SupportsProtocolVersion implements [mcp.ProtocolVersionSupporter].
func (s *sseSession) SupportsProtocolVersion(version string) bool {
	return s.transport.SupportsProtocolVersion(version)
}

type sseConnection struct {
	mcp.Connection
	session *sseSession
}

func (c sseConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	msg, err := c.Connection.Read(ctx)
	if err != nil {
		return nil, err
	}
	c.session.update(func() {
		c.session.queued--
		if r, ok := msg.(*jsonrpc.Request); ok && r.IsCall() {
			c.session.calls[r.ID] = struct{}{}
		}
	})
	return msg, nil
}

func (c sseConnection) Write(ctx context.Context, msg jsonrpc.Message) error {
	err := c.Connection.Write(ctx, msg)
	if r, ok := msg.(*jsonrpc.Response); ok {
		c.session.update(func() { delete(c.session.calls, r.ID) })
	}
	return err
}

// Close comes from the SDK when the stream can no longer be written to.
func (c sseConnection) Close() error {
	c.session.finish()
	return c.Connection.Close()
}

// statusWriter remembers a response's status.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/berth-mcp/berth/proxy/relay"
)

const (
	// keepAliveEvery is how often a stream gets a comment: what the HTML standard advises
	// (section 9.2.7, "about 15 seconds"). Some clients give up on a stream after a minute
	// without a byte.
	keepAliveEvery = 15 * time.Second

	// maxEditors bounds the sessions of one proxy.
	maxEditors = 1024

	// bodyTimeout bounds the reading of a message from a program on this machine.
	bodyTimeout = time.Minute

	// sessionParam is the query parameter that names a session of the bridge. Its name is
	// one that no server uses for its own.
	sessionParam = "berth-session"
)

// SSE serves the 2024-11-05 transport to editors, in front of servers with Streamable HTTP.
// There the sessions of the older transport live in one instance of a server, and end
// with it; here they live in the proxy, and the server may run on as many as it likes.
type SSE struct {
	sender         Sender
	log            *slog.Logger
	keepAliveEvery time.Duration

	mu      sync.Mutex
	editors map[string]*editor
	probes  map[string]*probe // by the URL of the server
}

// NewSSE returns a server of the older transport. A nil logger logs nothing.
func NewSSE(sender Sender, log *slog.Logger) *SSE {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &SSE{sender: sender, log: log, keepAliveEvery: keepAliveEvery, editors: map[string]*editor{}, probes: map[string]*probe{}}
}

// An editor is one session of the older transport.
type editor struct {
	session *Session
	target  string // URL of the server
	posting sync.Mutex
}

// Serve answers a request to a client's /sse, unless it is one for the server itself: to
// open a session with a server that is not known to have Streamable HTTP, or to go on with
// one that the server has. The path prefix is part of the request's own path.
func (h *SSE) Serve(w http.ResponseWriter, r *http.Request, t relay.Target, _ string) (served bool) {
	switch r.Method {
	case http.MethodGet:
		if !h.hasStreamable(r.Context(), t) {
			return false
		}
		h.open(w, r, t)
		return true
	case http.MethodPost:
		id := r.URL.Query().Get(sessionParam)
		if id == "" {
			return false
		}
		h.post(w, r, t, id)
		return true
	}
	return false
}

// open serves a session from its first event to its last.
func (h *SSE) open(w http.ResponseWriter, r *http.Request, t relay.Target) {
	stream := &eventWriter{w: w, connection: http.NewResponseController(w)}
	session := New(Options{Target: t, Sender: h.sender, Header: ownHeaders(r.Header), Logger: h.log,
		Write: func(message []byte) error { return stream.event("message", message) }})
	defer session.Close()
	id := rand.Text()
	if !h.add(id, &editor{session: session, target: t.URL()}) {
		http.Error(w, fmt.Sprintf("%d editors are connected, which is the most: close one", maxEditors), http.StatusServiceUnavailable)
		return
	}
	defer h.remove(id)

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	// The path as the editor has it, whatever was taken from it on the way here.
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if stream.event("endpoint", []byte(path+"?"+url.Values{sessionParam: {id}}.Encode())) != nil {
		return
	}
	keepAlive := time.NewTicker(h.keepAliveEvery)
	defer keepAlive.Stop()
	for {
		select {
		case <-r.Context().Done():
			if f := notServed(context.Cause(r.Context())); f != nil {
				session.Fail(f)
			}
			return
		case <-session.Done():
			return
		case <-keepAlive.C:
			if stream.comment() != nil {
				return
			}
		}
	}
}

// post takes a message for a session. Its answer comes on the session's stream.
func (h *SSE) post(w http.ResponseWriter, r *http.Request, t relay.Target, id string) {
	h.mu.Lock()
	e := h.editors[id]
	h.mu.Unlock()
	if e == nil || e.target != t.URL() {
		http.Error(w, "there is no such session: connect again", http.StatusNotFound)
		return
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		http.Error(w, "the Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout)) // a test's recorder has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	_ = connection.SetReadDeadline(time.Time{})
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		http.Error(w, fmt.Sprintf("the message is larger than %d MiB, which is what Cloud Run takes: send less at once", maxMessage>>20), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the message could not be read", http.StatusBadRequest)
		return
	}
	// Messages that are posted one after another must be handled in that order.
	e.posting.Lock()
	e.session.SetHeader(ownHeaders(r.Header))
	e.session.Handle(body)
	e.posting.Unlock()
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "Accepted") // some clients read it
}

func (h *SSE) add(id string, e *editor) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.editors) >= maxEditors {
		return false
	}
	h.editors[id] = e
	return true
}

func (h *SSE) remove(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.editors, id)
}

// ownHeaders are those of an editor's request that are meant for the server, such as its
// Authorization. The others speak of this connection, this transport or this body.
func ownHeaders(h http.Header) http.Header {
	own := h.Clone()
	for name := range own {
		for _, prefix := range []string{"Accept", "Content-", "Mcp-", "Sec-", "Last-Event-Id", "Origin", "Referer", "Cache-Control", "Pragma"} {
			if strings.HasPrefix(name, prefix) {
				delete(own, name)
			}
		}
	}
	return own
}

// An eventWriter writes events as they come. What is written by Session is so one by one,
// but comments come between.
type eventWriter struct {
	mu         sync.Mutex
	w          io.Writer
	connection *http.ResponseController
}

func (e *eventWriter) event(name string, data []byte) error {
	return e.write(fmt.Sprintf("event: %s\ndata: %s\n\n", name, data))
}

func (e *eventWriter) comment() error { return e.write(": keep-alive\n\n") }

func (e *eventWriter) write(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := io.WriteString(e.w, text); err != nil {
		return err
	}
	return e.connection.Flush()
}

// probeLasts is how long it is remembered what a server speaks: it changes with a
// deployment.
const probeLasts = 10 * time.Minute

// A probe is what was found out about a server.
type probe struct {
	mu         sync.Mutex // held while it is found out
	streamable bool
	until      time.Time
}

// hasStreamable reports whether a server is known to have Streamable HTTP. It is asked when
// the first editor connects, by a ping that no server has to be prepared for. If there is
// no answer of its own, or one that asks for a login, it is not known, and the request is
// relayed: the editor then sees what there is to see.
func (h *SSE) hasStreamable(ctx context.Context, t relay.Target) bool {
	h.mu.Lock()
	p := h.probes[t.URL()]
	if p == nil {
		p = &probe{}
		h.probes[t.URL()] = p
	}
	h.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return p.streamable
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	resp, fault := h.sender.Send(ctx, t, http.MethodPost, t.Endpoint("/mcp"), http.Header{
		"Accept": {"application/json, text/event-stream"}, "Content-Type": {"application/json"}, "User-Agent": {"berth-proxy"},
	}, probeBody)
	if fault != nil {
		h.log.Debug("it is not known what the server speaks", "client", t.Name, "error", fault)
		return false
	}
	p.streamable = resp.StatusCode < 300
	if p.streamable {
		_ = resp.Body.Close() // an answer, whatever it is
	} else {
		refused := readRefusal(resp)
		p.streamable = refused.rpc != nil
		if refused.rpc == nil && (refused.status >= 500 || refused.status == http.StatusTooManyRequests) {
			return false // that says nothing
		}
	}
	p.until = time.Now().Add(probeLasts)
	return p.streamable
}

var probeBody = []byte(`{"jsonrpc":"2.0","id":"berth-proxy-probe","method":"ping"}`)

// Package bridge turns a session of MCP messages, from an editor that speaks some other
// transport, into requests of Streamable HTTP to a client's server. It serves standard
// input and output, and the 2024-11-05 transport (/sse) in front of servers that run on
// many instances.
//
// It speaks every revision from 2024-11-05 to 2026-07-28 on either side, and converts none
// into another: editor and server negotiate, and the bridge does what the transport wants
// done for the revision that they agree on. It is plain HTTP and looks into messages no
// further than it must. What a message asks for is none of its business, nor where tokens
// come from.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/berth-mcp/berth/proxy/relay"
)

const (
	// notifyTimeout bounds the wait until a server has taken a notification, behind
	// which later messages wait. A cold start takes seconds.
	notifyTimeout = 30 * time.Second

	// farewellTimeout bounds what a session does to take its leave of the server.
	farewellTimeout = time.Second
)

// A Sender sends requests to targets; [relay.Sender] is one.
type Sender interface {
	Send(ctx context.Context, t relay.Target, method string, u *url.URL, header http.Header, body []byte) (*http.Response, *relay.Fault)
	// Target is the one that is served under a client's name.
	Target(name string) (t relay.Target, served bool)
	// BeginSSE notes that messages to a URL belong to the session whose stream an answer
	// is, until the function that it returns is called.
	BeginSSE(t relay.Target, postTo *url.URL, stream *http.Response) (ended func())
}

// Options configure a [Session]. All but Header and Logger are required.
type Options struct {
	Target relay.Target
	Sender Sender
	// Write gives one message, without line breaks, to the editor. It is called by one
	// at a time, and may block: the server is then read no further. An error ends the
	// session, as the editor has gone.
	Write func(message []byte) error
	// Header is sent along with each request, such as the editor's own Authorization.
	Header http.Header
	// Follow has the session go on with another server that the client is given meanwhile.
	// Without it, the session's messages are then answered with an error. It must not be
	// combined with a Header, which is not for the other server.
	Follow bool
	// Logger gets what goes wrong, never a message. Nil: none.
	Logger *slog.Logger
}

// A Session is one editor's, from its first message to its last.
type Session struct {
	client  string // its name
	follows bool
	sender  Sender
	log     *slog.Logger
	tools   toolParams

	ctx     context.Context // of all that the session does
	end     context.CancelFunc
	work    chan func() // what must be done in the order of the editor's messages
	running sync.WaitGroup

	writing sync.Mutex
	write   func([]byte) error

	renewing sync.Mutex // held while a new session with the server begins

	mu       sync.Mutex
	header   http.Header
	calls    map[jsonrpc.ID]*call     // that are not answered
	asked    map[jsonrpc.ID]*upstream // what the server wants answered by the editor
	up       *upstream
	opening  *opening // nil: the editor has sent none
	settings settings
	ids      int  // that the bridge has given to calls of its own
	draining bool // the editor sends nothing any more

	refusing chan struct{} // holds one for each request of the server that is being refused
	noise    noise

	met atomic.Bool // the server has shown that it speaks Streamable HTTP
}

// New returns a session that has not begun: nothing is sent before the editor's first
// message. The caller ends it with Close.
func New(o Options) *Session {
	s := &Session{
		client:   o.Target.Name,
		follows:  o.Follow && o.Header == nil,
		sender:   o.Sender,
		log:      o.Logger,
		write:    o.Write,
		header:   o.Header,
		work:     make(chan func(), maxCalls),
		calls:    map[jsonrpc.ID]*call{},
		refusing: make(chan struct{}, maxRefusing),
		noise:    newNoise(),
		asked:    map[jsonrpc.ID]*upstream{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("client", o.Target.Name)
	s.ctx, s.end = context.WithCancel(context.Background())
	s.up = s.newUpstream(o.Target, "/mcp")
	s.start(s.workOff)
	return s
}

// start runs a part of the session beside the others, unless it has ended.
func (s *Session) start(part func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		s.running.Go(part)
	}
}

func (s *Session) workOff() {
	for {
		select {
		case step := <-s.work:
			step()
		case <-s.ctx.Done():
			return
		}
	}
}

// inOrder queues what must not overtake the messages before it. It blocks while the queue
// is full.
func (s *Session) inOrder(step func()) {
	select {
	case s.work <- step:
	case <-s.ctx.Done():
	}
}

// Done is closed when the session has ended, by Close or because the editor has gone.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// SetHeader replaces Options.Header for the requests from now on.
func (s *Session) SetHeader(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = h
}

// Handle takes one message of the editor, or a batch of them, as it was received. It is
// called by one at a time, in the order of the messages, and may block while the server is
// slow to take them. Of a batch each message is answered by itself, which every revision
// allows a server to do.
func (s *Session) Handle(raw []byte) {
	batch, err := split(raw)
	if errors.Is(err, errBatch) {
		s.toEditor(errorReply(jsonrpc.ID{}, jsonrpc.CodeInvalidRequest, err.Error()+": send them one by one"))
		return
	}
	if err != nil {
		s.toEditor(errorReply(jsonrpc.ID{}, jsonrpc.CodeParseError, "this is not JSON: send one JSON-RPC message"))
		return
	}
	for _, one := range batch {
		m, err := parse(one)
		switch {
		case errors.Is(err, errNotJSON):
			s.toEditor(errorReply(jsonrpc.ID{}, jsonrpc.CodeParseError, "this is not JSON: send one JSON-RPC message"))
		case err != nil:
			s.toEditor(errorReply(jsonrpc.ID{}, jsonrpc.CodeInvalidRequest, "this is not a message of JSON-RPC 2.0"))
		case m.isCall():
			s.call(m)
		case m.isResponse():
			s.reply(m)
		case m.method == methodCancelled:
			s.cancelled(m)
		default:
			s.inOrder(func() { s.notify(m) })
		}
	}
}

// RefuseTooLarge answers a message that was not read to its end.
func (s *Session) RefuseTooLarge() {
	s.toEditor(errorReply(jsonrpc.ID{}, relay.CodeTooLarge,
		fmt.Sprintf("the message to %s is larger than %d MiB, which is what Cloud Run takes: send less at once", s.client, maxMessage>>20)))
}

func (s *Session) toEditor(raw []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	if err := s.write(raw); err != nil {
		s.log.Debug("the editor has gone", "error", err)
		s.end()
	}
}

// notify sends a notification of the editor on, and waits until the server has it: what
// follows may build on it.
func (s *Session) notify(m message) {
	ctx, cancel := context.WithTimeout(s.ctx, notifyTimeout)
	defer cancel()
	up, resp, err := s.send(ctx, m)
	if err != nil {
		if s.ctx.Err() == nil {
			s.log.Warn("a notification did not reach the server", "method", m.method, "error", err)
		}
		return
	}
	drop(resp)
	if m.method == methodInitialized {
		s.stand(up)
	}
}

// reply sends the editor's answer to a question of the server on, if it is still a
// question: a session that has begun since may have used the id anew.
func (s *Session) reply(m message) {
	s.mu.Lock()
	up := s.asked[m.id]
	delete(s.asked, m.id)
	s.mu.Unlock()
	if up == nil {
		s.log.Debug("left out an answer to what the server does not ask (any more)")
		return
	}
	s.start(func() { s.post(up, m) })
}

// post sends what the server gives no answer to, and that is of no use to a later session.
func (s *Session) post(up *upstream, m message) {
	ctx, cancel := context.WithTimeout(s.ctx, notifyTimeout)
	defer cancel()
	resp, err := s.sendTo(ctx, up, m)
	if err != nil {
		if s.ctx.Err() == nil {
			s.warn("a message did not reach the server", "method", m.method, "error", err)
		}
		return
	}
	drop(resp)
}

// Drain waits until all that the editor has sent has been seen to, and all calls have been
// answered, but for those that have no end of their own. No message may be handled after it
// has begun.
func (s *Session) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	s.refuseAsked()

	queued := make(chan struct{})
	s.inOrder(func() { close(queued) })
	if err := s.wait(ctx, queued); err != nil {
		return err
	}
	s.mu.Lock()
	var waited []*call
	for _, c := range s.calls {
		if c.method != methodListen {
			waited = append(waited, c)
		}
	}
	s.mu.Unlock()
	for _, c := range waited {
		if err := s.wait(ctx, c.done); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-s.ctx.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Fail answers all calls of the editor that are under way with a fault.
func (s *Session) Fail(f *relay.Fault) {
	s.mu.Lock()
	calls := slices.Collect(maps.Values(s.calls))
	s.mu.Unlock()
	for _, c := range calls {
		if c.own == nil {
			s.conclude(c, f)
		}
	}
}

// Close ends the session: calls under way are given up, and the server is told that its
// session is over. It takes a second at most, unless Write blocks.
func (s *Session) Close() {
	s.mu.Lock()
	s.end()
	up := s.up
	s.mu.Unlock()
	s.farewell(up)
	s.running.Wait()
	s.writing.Lock() // or Write might still be at work
	defer s.writing.Unlock()
}

// drop gives the connection of a short answer back.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

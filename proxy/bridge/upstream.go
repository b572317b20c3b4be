package bridge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/berth-mcp/berth/proxy/relay"
)

// An upstream is one session with the server. Once others can see it, it does not change:
// when more is known of the session, or the server has lost it, another takes its place.
type upstream struct {
	target    relay.Target
	url       *url.URL // that messages are posted to
	sessionID string   // "" if the server has none: it is stateless
	revision  string   // negotiated; "" before, and without a handshake
	link      *link    // of the 2024-11-05 transport; nil with Streamable HTTP

	ctx context.Context // of its standing stream
	end context.CancelFunc
}

func (s *Session) newUpstream(t relay.Target, endpoint string) *upstream {
	up := &upstream{target: t, url: t.Endpoint(endpoint)}
	up.ctx, up.end = context.WithCancel(s.ctx)
	return up
}

// with returns an upstream that differs from this one.
func (up *upstream) with(change func(*upstream)) *upstream {
	changed := *up
	change(&changed)
	return &changed
}

const sessionHeader = "Mcp-Session-Id"

// A refusal is the server's own answer to a message that it did not take.
type refusal struct {
	status int
	rpc    json.RawMessage // the error of JSON-RPC that it gave; nil if it gave none
	code   int             // of that error
	text   string          // otherwise: what it said
}

func (r *refusal) Error() string {
	if r.rpc != nil {
		return string(r.rpc)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s: %s", r.status, http.StatusText(r.status), r.text))
}

func readRefusal(resp *http.Response) *refusal {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what is there must do
	r := &refusal{status: resp.StatusCode}
	if r.rpc, r.code = errorIn(body); r.rpc != nil {
		return r
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType == "text/plain" {
		const shown = 200 // bytes: a sentence or two
		text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		r.text = strings.ToValidUTF8(text[:min(len(text), shown)], "")
	}
	return r
}

// maxAttempts is how often a message is sent, or a session begun, in all. The platform may
// take a request to an instance that does not have its session, even twice in a row.
const maxAttempts = 3

// errorIn returns the error that an answer of JSON-RPC tells, or nil.
func errorIn(answer []byte) (rpc json.RawMessage, code int) {
	var response struct {
		Error json.RawMessage `json:"error"`
	}
	var details struct {
		Code    int     `json:"code"`
		Message *string `json:"message"`
	}
	if json.Unmarshal(answer, &response) != nil || json.Unmarshal(response.Error, &details) != nil || details.Message == nil {
		return nil, 0
	}
	return oneLine(response.Error), details.Code
}

// send posts a message to the server, in the session that there is. If the server has lost
// that, or shows at first contact that it has only the 2024-11-05 transport, another session
// begins, and the message is sent again: the server has not taken it. The error is a
// [*refusal] with an error of JSON-RPC, or a [*relay.Fault].
func (s *Session) send(ctx context.Context, m message) (up *upstream, resp *http.Response, err error) {
	up = s.current()
	if m.method == methodInitialize && up.revision != "" {
		up = s.beginAnew(up)
	}
	for attempt := 1; ; attempt++ {
		resp, err = s.sendTo(ctx, up, m)
		if err == nil {
			return up, resp, nil
		}
		if up, err = s.insteadOf(up, err, attempt < maxAttempts); err != nil {
			return nil, nil, err
		}
	}
}

// insteadOf returns the upstream that may take the message which one has not taken.
func (s *Session) insteadOf(up *upstream, err error, again bool) (*upstream, error) {
	var refused *refusal
	errors.As(err, &refused)
	switch {
	case again && s.mayFollow(err):
		return s.renew(up)
	case again && (errors.Is(err, errLinkGone) || refused != nil && up.hasLost(refused)):
		return s.renew(up)
	case again && refused != nil && s.mayBeOlder(refused):
		if older, found := s.tryOlder(up); found {
			return older, nil
		}
	}
	if refused != nil && refused.rpc == nil {
		return nil, refusedBy(up.target, refused)
	}
	return nil, err
}

// mayFollow reports whether an error says that the client has another server, with which
// the session may go on.
func (s *Session) mayFollow(err error) bool {
	f := notServed(err)
	return s.follows && f != nil && f.Code == relay.CodeMoved
}

// hasLost reports whether a refusal says that the server does not know the session.
func (up *upstream) hasLost(r *refusal) bool {
	return r.status == http.StatusNotFound && (up.sessionID != "" || up.link != nil)
}

// mayBeOlder reports whether a refusal is what a server without Streamable HTTP would say.
// An error of JSON-RPC is not: something at this URL speaks it.
func (s *Session) mayBeOlder(r *refusal) bool {
	return !s.met.Load() &&
		(r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed || r.status == http.StatusBadRequest)
}

// sendTo posts a message to one upstream and returns its answer, with a status of 2xx.
func (s *Session) sendTo(ctx context.Context, up *upstream, m message) (*http.Response, error) {
	if up.link != nil && up.link.isGone() {
		return nil, errLinkGone
	}
	h := s.headerFor(up)
	h.Set("Accept", "application/json, text/event-stream")
	h.Set("Content-Type", "application/json")
	if m.revision != "" {
		h.Set("Mcp-Protocol-Version", m.revision)
	}
	if m.isStateless() {
		if err := standardHeaders(h, m, &s.tools); err != nil {
			return nil, overLimit(s.client, err)
		}
	}
	resp, err := s.exchangeHTTP(ctx, http.MethodPost, up, h, m.raw)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		refused := readRefusal(resp)
		if refused.rpc != nil {
			s.met.Store(true)
		}
		return nil, refused
	}
	s.met.Store(true)
	if len(resp.Header.Get(sessionHeader)) > maxSessionID {
		_ = resp.Body.Close()
		return nil, overLimit(s.client, fmt.Errorf("its name of a session has more than %d bytes", maxSessionID))
	}
	return resp, nil
}

// headerFor returns the headers that every request in a session has.
func (s *Session) headerFor(up *upstream) http.Header {
	s.mu.Lock()
	h := s.header.Clone()
	s.mu.Unlock()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "berth-proxy")
	}
	if up.sessionID != "" {
		h.Set(sessionHeader, up.sessionID)
	}
	if up.revision >= revisionHeader {
		h.Set("Mcp-Protocol-Version", up.revision)
	}
	return h
}

func (s *Session) exchangeHTTP(ctx context.Context, method string, up *upstream, h http.Header, body []byte) (*http.Response, error) {
	resp, fault := s.sender.Send(ctx, up.target, method, up.url, h, body)
	if fault != nil {
		return nil, fault
	}
	return resp, nil
}

// exchange sends a call and passes on what comes of it. The error says why it has not been
// answered; if it has been, the error is of no concern.
func (s *Session) exchange(c *call) error {
	up, resp, err := s.send(traced(c), c.message)
	var refused *refusal
	if errors.As(err, &refused) && refused.code == codeHeaderMismatch && c.method == methodCallTool && c.isStateless() {
		if s.learnTools(c) {
			up, resp, err = s.send(traced(c), c.message)
		}
	}
	if err != nil {
		return err
	}
	if c.method == methodInitialize {
		up = up.with(func(up *upstream) { up.sessionID = resp.Header.Get(sessionHeader) })
		s.use(up)
	}
	return s.follow(c, up, resp)
}

// traced is the call's context, which notes when its request has been sent.
func traced(c *call) context.Context {
	return httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { c.isSent() }})
}

// errStreamEnded says that an event stream ended before it had the answer.
var errStreamEnded = errors.New("the stream ended without an answer")

// follow reads the answer to a call, in whichever form it comes.
func (s *Session) follow(c *call, up *upstream, resp *http.Response) error {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case up.link != nil:
		drop(resp) // the answer comes on the link
		return up.link.wait(c)
	case mediaType == "text/event-stream":
		return s.followStream(c, up, resp)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	switch {
	case len(body) > maxMessage:
		return errTooLarge
	case err != nil:
		return err
	}
	s.receive(up, body, c)
	return fmt.Errorf("the server answered with the status %d and the type %q, and no message that answers the call", resp.StatusCode, mediaType)
}

// linger is how long the rest of a stream is waited for after the answer, so that its
// connection can be used again. Servers end a stream at once.
const linger = time.Second

// followStream reads a stream until it has the answer. If the stream breaks before that,
// and the server has numbered its events, it is resumed.
func (s *Session) followStream(c *call, up *upstream, resp *http.Response) error {
	var p progress
	for {
		opened := time.Now()
		err := s.readStream(up, resp, c, &p)
		if time.Since(opened) >= steadyAfter {
			p.early = 0
		}
		switch {
		case !s.isPending(c), c.ctx.Err() != nil, errors.Is(err, errTooLarge), notServed(err) != nil && !s.mayFollow(err):
			return err
		case p.last.id == "" || c.isStateless():
			return fmt.Errorf("%w: %w", errStreamEnded, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		resp, err = s.resume(c.ctx, up, &p)
		if err != nil {
			return err
		}
	}
}

// readStream passes on what comes on the stream of a call, or on a standing one, of which
// c is nil.
func (s *Session) readStream(up *upstream, resp *http.Response, c *call, p *progress) error {
	defer resp.Body.Close()
	var rest *time.Timer
	err := readEvents(resp.Body, func(e event) bool {
		p.last.id, p.last.retry = cmp.Or(e.id, p.last.id), cmp.Or(e.retry, p.last.retry)
		if e.noID {
			p.last.id = ""
		}
		p.attempts = 0
		if len(bytes.TrimSpace(e.data)) > 0 {
			if c != nil { // which has an end, and is nearer to it
				p.early = 0
			}
			s.receive(up, e.data, c)
		}
		if c != nil && rest == nil && !s.isPending(c) {
			rest = time.AfterFunc(linger, c.cancel)
		}
		return true
	})
	if rest != nil {
		rest.Stop()
	}
	return err
}

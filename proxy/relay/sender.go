package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/token"
)

const (
	dialTimeout     = 10 * time.Second
	keepAlive       = 30 * time.Second
	pingAfter       = 30 * time.Second // of silence on an HTTP/2 connection
	pingTimeout     = 15 * time.Second // then it is given up: a laptop has slept, or moved
	idlePerUpstream = 256

	maxResponseHeader = 1 << 20 // bytes

	// streamWindow is how much of one HTTP/2 stream is read for a client that is slower, in
	// bytes: 10 MiB/s to a platform that is 100 ms away.
	streamWindow = 1 << 20

	// Kept for each HTTP/1 connection, and in none through which much passes: what is larger
	// than the buffer is read and written past it.
	connectionBuffer = 1 << 10 // bytes
)

// A TokenSource gives the developer's ID token; [token.Source] is one. Both methods are
// called by many requests at once.
type TokenSource interface {
	// Token returns a token that is good for now, and for the audience if the login can
	// choose that.
	Token(ctx context.Context, audience string) (token.Token, error)
	// Renew returns another token than the refused one, or that itself if none can be had.
	// It may be asked again if the platform refuses that other one, too.
	Renew(ctx context.Context, audience string, refused token.Token) (token.Token, error)
}

// A Sender sends requests to the servers of clients, signed with the developer's token. It
// is the only place where a token leaves, and it leaves only for targets that are served.
type Sender struct {
	tokens    TokenSource
	transport *http.Transport

	firstPause time.Duration // before a request is sent again
	account    atomic.Value  // string, whose token was sent last

	mu       sync.Mutex
	targets  []Target               // that are served
	tenures  map[identity]tenure    // of the same
	sessions map[location]*sessions // of each target that was sent to
}

// NewSender returns a Sender with connections of its own, which sends to the targets until
// [Sender.SetTargets] replaces them. Roots are the certificate authorities to believe; nil
// are the system's.
func NewSender(tokens TokenSource, roots *x509.CertPool, targets []Target) *Sender {
	s := &Sender{tokens: tokens, transport: newTransport(roots), firstPause: firstPause, sessions: map[location]*sessions{}}
	s.SetTargets(targets)
	return s
}

// newTransport waits for a response as long as the platform does, and leaves bodies as
// they are.
func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  address.Proxy,
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerStream: streamWindow},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerUpstream,
		IdleConnTimeout:        idleTimeout,
		ReadBufferSize:         connectionBuffer,
		WriteBufferSize:        connectionBuffer,
		MaxResponseHeaderBytes: maxResponseHeader,
		OnProxyConnectResponse: checkTunnel,
	}
}

// checkTunnel has a corporate proxy's refusal tell that it is one: package http would give
// the text of the status alone.
func checkTunnel(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &net.OpError{Op: opProxyConnect, Net: "tcp", Err: fmt.Errorf("the proxy %s answered %d %s", proxy.Host, resp.StatusCode, http.StatusText(resp.StatusCode))}
}

// sessionsOf returns what is known of the MCP sessions with a target. It is not kept for one
// that is not served.
func (s *Sender) sessionsOf(t Target) *sessions {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, served := s.tenures[t.identity()]; !served {
		return newSessions()
	}
	known := s.sessions[t.location()]
	if known == nil {
		known = newSessions()
		s.sessions[t.location()] = known
	}
	return known
}

// Close closes the connections that no request uses.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// maxTokens is how many tokens a request is sent with: the one at hand, a renewed one, and
// one that the login gives in another way.
const maxTokens = 3

// Send sends a request with a token, and again with another one as long as the platform
// refuses it and there is another. It sends it again, for half a minute, while there is no
// instance that takes it, or if it may safely arrive twice and the platform fails or the
// connection breaks. What the platform, and not the server, answers in the end is a fault;
// so is the context's end. It does not follow redirects. The caller closes the response's
// body.
//
// Nothing is sent to a target that is not served, see [Sender.SetTargets].
//
// The URL is one of the target's own. Of the headers, those that concern one connection,
// or this machine alone, stay behind. A request within an MCP session takes the cookies
// that lead to the session's instance.
func (s *Sender) Send(ctx context.Context, t Target, method string, u *url.URL, header http.Header, body []byte) (*http.Response, *Fault) {
	sessions, session := s.sessionsOf(t), sessionKey(header, u)
	resp, f := s.exchange(ctx, outgoing{target: t, tenure: s.tenureOf(t), method: method, url: u, header: outbound(header, sessions.cookie(session)), body: body})
	if f == nil {
		sessions.answered(session, method, header, resp)
	}
	return resp, f
}

// outbound are the headers that leave this machine.
func outbound(header http.Header, cookie string) http.Header {
	out := endToEnd(header, notUpstream)
	if cookie != "" {
		out.Set("Cookie", cookie)
	}
	return out
}

// exchange sends a request, and again while what keeps it from its server may pass.
func (s *Sender) exchange(ctx context.Context, out outgoing) (*http.Response, *Fault) {
	pauses := newPauses(s.firstPause)
	waiting, done := whileServed(ctx, out.tenure)
	defer done()
	for {
		resp, tok, f := s.admit(ctx, waiting, out)
		if out.worthRepeating(resp, f) && pauses.wait(waiting, resp) {
			discard(resp)
			continue
		}
		if f == nil && fromPlatform(resp) {
			discard(resp)
			return nil, byPlatform(out.target, tok, resp.StatusCode)
		}
		return resp, f
	}
}

// admit sends a request with a token, and with another as long as the platform refuses it.
// Tokens are waited for no longer than the target is served.
func (s *Sender) admit(ctx, waiting context.Context, out outgoing) (*http.Response, token.Token, *Fault) {
	t, audience := out.target, out.target.audience()
	tok, err := s.tokens.Token(waiting, audience)
	if gone := endedBy(out.tenure); gone != nil {
		return nil, tok, gone
	}
	if err != nil {
		return nil, tok, noLogin(t, err)
	}
	resp, f := s.once(ctx, out, tok)
	for sent := 1; sent < maxTokens && f == nil && refusedByPlatform(resp); sent++ {
		renewed, err := s.tokens.Renew(waiting, audience, tok)
		if gone := endedBy(out.tenure); gone != nil {
			discard(resp)
			return nil, tok, gone
		}
		var login *token.LoginError
		if errors.As(err, &login) {
			discard(resp)
			return nil, tok, noLogin(t, err)
		}
		if err != nil || renewed == tok {
			break
		}
		discard(resp)
		tok = renewed
		resp, f = s.once(ctx, out, tok)
	}
	return resp, tok, f
}

// An outgoing request can be sent more than once.
type outgoing struct {
	target Target
	tenure context.Context
	method string
	url    *url.URL
	header http.Header
	body   []byte
}

func (s *Sender) once(ctx context.Context, o outgoing, tok token.Token) (*http.Response, *Fault) {
	if !o.target.Holds(o.url) {
		return nil, wrongToken(o.target, errSteered)
	}
	if err := o.target.accepts(tok); err != nil {
		return nil, wrongToken(o.target, err)
	}
	if gone := endedBy(o.tenure); gone != nil {
		return nil, gone
	}
	d := newDispatch(ctx, o)
	r, err := http.NewRequestWithContext(d.ctx, o.method, "", bytes.NewReader(o.body))
	if err != nil {
		d.over()
		return nil, unreachable(o.target, err)
	}
	r.URL, r.Host = o.url, o.url.Host
	maps.Copy(r.Header, o.header) // a try before may still be writing its own
	r.Header.Set(tokenHeader, tok.Bearer())
	s.account.Store(tok.Email)
	resp, err := s.transport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close() // nobody asked to
		err = errors.New("the server answers in another protocol than HTTP")
	}
	if err != nil {
		defer d.over()
		return nil, d.fault(o.target, err)
	}
	resp.Body = dispatchedBody{resp.Body, d}
	return resp, nil
}

// discard gives a short body's connection back. There may be no response.
func discard(resp *http.Response) {
	if resp == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/berth-mcp/berth/proxy/token"
)

// A Sender sends requests to the servers of clients, signed with the developer's token. It
// is the only place where a token leaves.
type Sender struct {
	tokens    TokenSource
	transport *http.Transport
}

// NewSender returns a Sender with connections of its own.
func NewSender(tokens TokenSource) *Sender {
	return &Sender{tokens: tokens, transport: newTransport()}
}

// Close closes the connections that no request uses.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// maxTokens is how many tokens a request is sent with: the one at hand, a renewed one, and
// one that the login gives in another way.
const maxTokens = 3

// Send sends a request with a token, and again with another one as long as the platform
// refuses it and there is another. What the platform, and not the server, answers is a fault; so is the
// context's end. It does not follow redirects. The caller closes the response's body.
//
// The URL is one of the target's own. Of the headers, those that concern one connection,
// or this machine alone, stay behind.
func (s *Sender) Send(ctx context.Context, t Target, method string, u *url.URL, header http.Header, body []byte) (*http.Response, *Fault) {
	audience := t.audience()
	tok, err := s.tokens.Token(ctx, audience)
	if err != nil {
		return nil, noLogin(t, err)
	}
	out := outgoing{target: t, method: method, url: u, header: endToEnd(header, notUpstream), body: body}
	resp, f := s.once(ctx, out, tok)
	for sent := 1; sent < maxTokens && f == nil && refusedByPlatform(resp); sent++ {
		renewed, err := s.tokens.Renew(ctx, audience, tok)
		var login *token.LoginError
		if errors.As(err, &login) {
			discard(resp)
			return nil, noLogin(t, err)
		}
		if err != nil || renewed == tok {
			break
		}
		discard(resp)
		tok = renewed
		resp, f = s.once(ctx, out, tok)
	}
	if f == nil && fromPlatform(resp) {
		discard(resp)
		return nil, byPlatform(t, tok, resp.StatusCode)
	}
	return resp, f
}

// An outgoing request can be sent more than once.
type outgoing struct {
	target Target
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
	r, err := http.NewRequestWithContext(ctx, o.method, o.url.String(), bytes.NewReader(o.body))
	if err != nil {
		return nil, unreachable(o.target, err)
	}
	r.Header = o.header.Clone()
	r.Header.Set(tokenHeader, tok.Bearer())
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		return nil, unreachable(o.target, err)
	}
	return resp, nil
}

// discard gives a short body's connection back.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

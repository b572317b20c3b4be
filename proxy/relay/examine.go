package relay

import (
	"context"
	"net/http"

	"github.com/berth-mcp/berth/proxy/token"
)

// Token returns the token that requests to the target's server are first sent with.
func (s *Sender) Token(ctx context.Context, t Target) (token.Token, error) {
	return s.tokens.Token(ctx, t.audience())
}

// Knock asks for the target's endpoint without a token, as somebody would who may not use
// it. It reports whether the platform refused that. The caller closes the response's body.
func (s *Sender) Knock(ctx context.Context, t Target) (resp *http.Response, refused bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.Endpoint("/mcp").String(), nil)
	if err != nil {
		return nil, false, err
	}
	// Not an event stream, or a server that is open would begin one.
	r.Header.Set("Accept", "application/json")
	resp, err = s.transport.RoundTrip(r)
	if err != nil {
		return nil, false, err
	}
	return resp, refusedByPlatform(resp), nil
}

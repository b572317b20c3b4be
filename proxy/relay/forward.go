package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxBody is the largest request body, in bytes: Cloud Run's limit for HTTP/1.
	maxBody = 32 << 20

	// bodyTimeout bounds the reading of a body from a program on this machine.
	bodyTimeout = time.Minute
)

// forward answers a request with the target's response or with a fault, and counts it. The
// error says that the response broke off.
func (s *Relay) forward(w http.ResponseWriter, r *http.Request, rt route) (status int, err error) {
	body, err := readBody(w, r)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return s.fail(w, r, nil, rt, tooLarge(rt.backend.Target)), nil
	case err != nil:
		http.Error(w, "the request body could not be read", http.StatusBadRequest)
		return http.StatusBadRequest, nil
	}

	ctx, cancel := s.requestContext(r)
	defer cancel()
	up, start := rt.backend, time.Now()
	resp, f := s.sender.Send(ctx, up.Target, r.Method, rt.url, requestHeader(r), body)
	if ctx.Err() != nil && f != nil {
		return 0, ctx.Err() // the client has gone, or the proxy stops: a sentence has no reader
	}
	if r.Method == http.MethodPost {
		up.stats.calls.Add(1)
		up.stats.answeredAfter(time.Since(start))
		defer func() {
			if status >= http.StatusBadRequest || f != nil || err != nil && ctx.Err() == nil {
				up.stats.failed.Add(1)
			}
		}()
	}
	if f != nil {
		return s.fail(w, r, body, rt, f), nil
	}
	defer resp.Body.Close()
	if beginsWithEndpoint(r, resp) && isEncoded(resp) {
		f = compressed(up.Target)
		return s.fail(w, r, body, rt, f), nil
	}
	err = s.passOn(w, r, resp, rt)
	if errors.Is(err, errEndpoint) {
		s.log.Warn("ended the event stream of a server", "client", up.Name, "error", err)
	}
	return resp.StatusCode, err
}

// requestHeader is the header of a request as it goes on, but for what the sender does.
func requestHeader(r *http.Request) http.Header {
	header := r.Header.Clone()
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "") // or the transport would put in its own
	}
	if mayBeginWithEndpoint(r) {
		header.Del("Accept-Encoding") // a compressed stream cannot be rewritten
	}
	return header
}

func (s *Relay) fail(w http.ResponseWriter, r *http.Request, body []byte, rt route, f *Fault) int {
	s.log.Warn(f.Message, "client", rt.backend.Name, "code", f.Code)
	f.answer(w, r, body)
	return f.Status
}

// readBody reads the whole body before anything is sent. The transport may still be
// reading an HTTP/1 request's body when the response comes, and then breaks the response
// off under load (golang/go#40747); and what is sent again must be there again.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout)) // a test's recorder has none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = connection.SetReadDeadline(time.Time{})
	return body, err
}

// requestContext ends when the client goes away, and for a standing stream also shortly
// after the proxy begins to stop. Such a stream is no call that could be waited for.
func (s *Relay) requestContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	if r.Method != http.MethodGet && r.Header.Get("Mcp-Method") != "subscriptions/listen" {
		return ctx, cancel
	}
	keep := context.AfterFunc(s.stopping, func() { time.AfterFunc(streamGrace, cancel) })
	return ctx, func() { keep(); cancel() }
}

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

	up, start := rt.backend, time.Now()
	redirects, login := asksForLogin(r, body)
	if login && !up.ownLogin.Load() {
		return s.fail(w, r, nil, rt, noOwnLogin(up.Target)), nil
	}
	span := rt.gate.newSpan(r)
	resp, f := s.sender.Send(span.ctx, up.Target, r.Method, rt.url, requestHeader(r, rt.document || login), body)
	if f == nil && beginsWithEndpoint(r, resp) && isEncoded(resp) {
		_ = resp.Body.Close()
		f = compressed(up.Target)
	}
	if f == nil && (login || rt.isDocument(r, resp)) {
		if err := rt.checkDocument(resp, redirects); err != nil {
			_ = resp.Body.Close()
			f = steeredBy(up.Target, err)
		}
	}
	gone := span.ctx.Err() != nil // the client has gone, or the proxy stops: a sentence has no reader
	if r.Method == http.MethodPost && (f == nil || !gone) {
		up.stats.calls.Add(1)
		up.stats.answeredAfter(time.Since(start))
		defer func() {
			if status >= http.StatusBadRequest || f != nil || err != nil && span.ctx.Err() == nil {
				up.stats.failed.Add(1)
			}
		}()
	}
	switch {
	case f == nil:
		return resp.StatusCode, s.passOn(w, r, s.newAnswer(span, r, resp, rt))
	case gone:
		span.cancel()
		return 0, context.Canceled
	default:
		span.cancel()
		return s.fail(w, r, body, rt, f), nil
	}
}

// requestHeader is the header of a request as it goes on, but for what the sender does. An
// answer that the proxy reads must be whole, and not compressed.
func requestHeader(r *http.Request, read bool) http.Header {
	header := r.Header.Clone()
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "") // or the transport would put in its own
	}
	if mayBeginWithEndpoint(r) || read {
		header.Del("Accept-Encoding")
	}
	if read {
		header.Del("Range")
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

// A span is how long a request may take.
type span struct {
	ctx    context.Context
	cancel context.CancelFunc
	leave  func() bool // a standing stream's: its context then outlives the request
}

// newSpan returns a context that ends when the client goes away, and for a standing stream
// also shortly after the proxy begins to stop, and when the secret is replaced. It must be
// cancelled.
func (g *gate) newSpan(r *http.Request) *span {
	if !isStanding(r.Method, r.Header) {
		ctx, cancel := context.WithCancel(r.Context())
		return &span{ctx: ctx, cancel: cancel}
	}
	ctx, cancel := context.WithCancel(g.streaming)
	return &span{ctx: ctx, cancel: cancel, leave: context.AfterFunc(r.Context(), cancel)}
}

package relay

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// mayBeginWithEndpoint reports whether the answer may be the event stream of the
// 2024-11-05 transport.
func mayBeginWithEndpoint(r *http.Request) bool {
	return r.Method == http.MethodGet && hasMediaType(r.Header.Values("Accept"), "text/event-stream")
}

// beginsWithEndpoint reports whether the client will look for an endpoint in an answer. Some
// clients do so in one that says it is of another type.
func beginsWithEndpoint(r *http.Request, resp *http.Response) bool {
	return mayBeginWithEndpoint(r) && resp.StatusCode >= 200 && resp.StatusCode < 300
}

// isEncoded reports whether a body is in a coding other than those that some servers name
// for none.
func isEncoded(resp *http.Response) bool {
	return slices.ContainsFunc(resp.Header.Values("Content-Encoding"), func(coding string) bool {
		return coding != "" && coding != "identity" && coding != "none"
	})
}

// isEventStream reports whether an answer is one, that can be read.
func isEventStream(resp *http.Response) bool {
	return resp.StatusCode < 300 && hasMediaType(resp.Header.Values("Content-Type"), "text/event-stream") && !isEncoded(resp)
}

// An answer is a target's response as the client gets it.
type answer struct {
	span   *span
	client string // its name
	status int
	length int64 // -1: not known
	header http.Header
	source io.Reader
	events bool
	ended  []func() // to be called at its end
}

func (s *Relay) newAnswer(span *span, r *http.Request, resp *http.Response, rt route) *answer {
	up, body := rt.backend, resp.Body
	a := &answer{
		span: span, client: up.Name, status: resp.StatusCode, length: resp.ContentLength,
		header: s.headerOf(resp, rt), source: body, events: isEventStream(resp),
		ended: []func(){span.cancel, func() { _ = body.Close() }},
	}
	if a.events {
		up.stats.streams.Add(1)
		a.ended = append(a.ended, func() { up.stats.streams.Add(-1) }, up.sessions.streaming(sessionKey(r.Header, rt.url)))
	}
	if beginsWithEndpoint(r, resp) {
		cookies := resp.Cookies()
		a.header.Del("Content-Length")
		a.length = -1
		a.source = &endpointRewriter{source: body, rewrite: func(ref string) (string, error) {
			here, err := rt.toLocal(ref)
			if err == nil {
				a.ended = append(a.ended, up.sessions.beginSSE(rt.resolve(ref), cookies))
			}
			return here, err
		}}
	}
	resp.Header = nil // the body keeps the response, for an hour perhaps, and needs it no more
	return a
}

// close undoes what the answer has begun, the last first.
func (a *answer) close() {
	for _, f := range slices.Backward(a.ended) {
		f()
	}
}

// passOn writes an answer to the client, each part as soon as it is there. The error says
// that it broke off. A standing stream goes on when passOn has returned.
func (s *Relay) passOn(w http.ResponseWriter, r *http.Request, a *answer) error {
	if a.events && a.length < 0 && isStanding(r.Method, r.Header) && r.ProtoAtLeast(1, 1) {
		return s.passOnAlone(w, a)
	}
	defer a.close()
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	if a.length >= 0 {
		return copyParts(&wholeWriter{w: w, left: a.length}, a.source, a.length)
	}
	silence := s.keepAliveEvery
	if !a.events {
		silence = 0
	}
	live := newLiveWriter(w, http.NewResponseController(w).Flush, silence)
	defer live.Close()
	return s.noteSteering(a, copyParts(live, a.source, 0))
}

// noteSteering tells the people at the proxy of a server that would lead its clients astray.
func (s *Relay) noteSteering(a *answer, err error) error {
	if errors.Is(err, errEndpoint) {
		s.log.Warn("ended the event stream of a server", "client", a.client, "error", err)
	}
	return err
}

// headerOf is the header of the target's response as the client gets it.
func (s *Relay) headerOf(resp *http.Response, rt route) http.Header {
	header := endToEnd(resp.Header, notDownstream)
	s.localise(header, rt)
	if resp.StatusCode == http.StatusUnauthorized {
		rt.backend.ownLogin.Store(true)
	}
	// The rest of what keeps a page of one client's server from calling the others: in a
	// sandbox its origin is "null", which fromThisMachine refuses. What is no page cannot
	// be taken for one. A policy of the server's own stays; the strictest of all holds.
	header.Add("Content-Security-Policy", "sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	return header
}

// A wholeWriter passes a body of known length on. It flushes each part but the last, which
// goes out with the end of the response.
type wholeWriter struct {
	w    http.ResponseWriter
	left int64
}

func (b *wholeWriter) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	b.left -= int64(n)
	if err != nil || b.left <= 0 {
		return n, err
	}
	return n, http.NewResponseController(b.w).Flush()
}

const (
	smallBuffer = 512 // bytes; most events are smaller, and most streams are idle
	largeBuffer = 32 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// buffersFor are those for a part of so many bytes.
func buffersFor(size int64) *sync.Pool {
	if size < smallBuffer {
		return &smallBuffers
	}
	return &largeBuffers
}

// copyParts copies each part as it comes, with a large buffer only as long as the parts
// are large: an idle stream must not hold one. The first is expected to be of so many
// bytes.
func copyParts(to io.Writer, from io.Reader, first int64) error {
	pool := buffersFor(first)
	buffer := pool.Get().(*[]byte)
	defer func() { pool.Put(buffer) }()
	for {
		n, err := from.Read(*buffer)
		if n > 0 {
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if fits := buffersFor(int64(n)); fits != pool {
			pool.Put(buffer)
			pool = fits
			buffer = pool.Get().(*[]byte)
		}
	}
}

package relay

import (
	"io"
	"net/http"
	"slices"
	"sync"
)

const copyBuffer = 32 << 10 // bytes

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

// passOn writes the target's response to the client, each part as soon as it is there.
func (s *Relay) passOn(w http.ResponseWriter, r *http.Request, resp *http.Response, rt route) error {
	up := rt.backend
	header := s.headerOf(resp, rt)
	var source io.Reader = resp.Body
	if beginsWithEndpoint(r, resp) {
		header.Del("Content-Length")
		ended := func() {}
		defer func() { ended() }()
		source = &endpointRewriter{source: resp.Body, rewrite: func(ref string) (string, error) {
			here, err := rt.toLocal(ref)
			if err == nil {
				ended = up.sessions.beginSSE(rt.resolve(ref), resp)
			}
			return here, err
		}}
	}
	if isEventStream(resp) {
		up.stats.streams.Add(1)
		defer up.stats.streams.Add(-1)
		defer up.sessions.streaming(sessionKey(r.Header, rt.url))()
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	if header.Get("Content-Length") == "" {
		_ = http.NewResponseController(w).Flush() // a stream: its first part may be long in coming
	}
	return stream(w, source)
}

// headerOf is the header of the target's response as the client gets it.
func (s *Relay) headerOf(resp *http.Response, rt route) http.Header {
	header := endToEnd(resp.Header, notDownstream)
	if header.Values("Location") != nil {
		to, err := rt.toLocal(header.Get("Location"))
		if err != nil {
			s.log.Warn("left out the Location of an answer", "client", rt.backend.Name, "error", err)
			header.Del("Location")
		} else {
			header.Set("Location", to)
		}
	}
	// The rest of what keeps a page of one client's server from calling the others: in a
	// sandbox its origin is "null", which fromThisMachine refuses. What is no page cannot
	// be taken for one. A policy of the server's own stays; the strictest of all holds.
	header.Add("Content-Security-Policy", "sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	return header
}

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

func stream(w http.ResponseWriter, source io.Reader) error {
	buffer := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buffer)
	connection := http.NewResponseController(w)
	for {
		n, err := source.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := connection.Flush(); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxBody is the largest request body, in bytes: Cloud Run's limit for HTTP/1.
	maxBody = 32 << 20

	// bodyTimeout bounds the reading of a body from a program on this machine.
	bodyTimeout = time.Minute

	copyBuffer = 32 << 10
)

// ServeHTTP lets in what comes from this machine, finds its target and forwards it.
func (s *Relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		s.log.Warn("refused a request that may be a web page's", "host", r.Host, "origin", r.Header.Get("Origin"))
		http.Error(w, "only programs on this computer may use berth-proxy, by the name localhost", http.StatusForbidden)
		return
	}
	rt, found := s.routeFor(r)
	if !found || asksForOAuth(strings.TrimPrefix(r.URL.Path, rt.prefix)) {
		http.Error(w, fmt.Sprintf("nothing is here; the paths are %s", s.paths()), http.StatusNotFound)
		return
	}
	// No client of MCP navigates. A page of one client's server, opened in a browser, would
	// be of one origin with all clients, and could call them as the developer.
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		http.Error(w, "this is the address of an MCP server, for an editor and not for a browser", http.StatusForbidden)
		return
	}
	start := time.Now()
	status, err := s.forward(w, r, rt)
	// The query is left out: in it is the name of a session.
	s.log.Debug("request", "client", rt.target.Name, "method", r.Method, "path", r.URL.Path, "status", status,
		"duration", time.Since(start), "error", err)
	if err != nil {
		// What the client has so far must not look like the whole.
		panic(http.ErrAbortHandler)
	}
}

// paths lists where an editor may connect to.
func (s *Relay) paths() string {
	var paths []string
	for _, t := range s.targets {
		paths = append(paths, "/"+t.Name+"/mcp")
	}
	return strings.Join(paths, ", ")
}

// forward answers a request with the target's response or with a fault. The error says
// that the response broke off.
func (s *Relay) forward(w http.ResponseWriter, r *http.Request, rt route) (status int, err error) {
	body, err := readBody(w, r)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return s.fail(w, r, nil, rt, tooLarge(rt.target)), nil
	case err != nil:
		http.Error(w, "the request body could not be read", http.StatusBadRequest)
		return http.StatusBadRequest, nil
	}

	ctx, cancel := s.requestContext(r)
	defer cancel()
	resp, f := s.sender.Send(ctx, rt.target, r.Method, rt.url, outbound(r), body)
	if ctx.Err() != nil && f != nil {
		return 0, ctx.Err() // the client has gone, or the proxy stops: a sentence has no reader
	}
	if f != nil {
		return s.fail(w, r, body, rt, f), nil
	}
	defer resp.Body.Close()
	if beginsWithEndpoint(r, resp) && isEncoded(resp) {
		return s.fail(w, r, body, rt, compressed(rt.target)), nil
	}
	err = s.passOn(w, r, resp, rt)
	if errors.Is(err, errEndpoint) {
		s.log.Warn("ended the event stream of a server", "client", rt.target.Name, "error", err)
	}
	return resp.StatusCode, err
}

func (s *Relay) fail(w http.ResponseWriter, r *http.Request, body []byte, rt route, f *Fault) int {
	s.log.Warn(f.Message, "client", rt.target.Name, "code", f.Code)
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

// outbound returns the headers that a request has on its way to the target.
func outbound(r *http.Request) http.Header {
	header := r.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if r.Header.Get("User-Agent") == "" {
		header.Set("User-Agent", "") // or the transport would put in its own
	}
	if mayBeginWithEndpoint(r) {
		header.Del("Accept-Encoding") // a compressed stream cannot be rewritten
	}
	return header
}

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

// passOn writes the target's response to the client, each part as soon as it is there.
func (s *Relay) passOn(w http.ResponseWriter, r *http.Request, resp *http.Response, rt route) error {
	var source io.Reader = resp.Body
	header := endToEnd(resp.Header, notDownstream)
	if header.Values("Location") != nil {
		to, err := rt.toLocal(header.Get("Location"))
		if err != nil {
			s.log.Warn("left out the Location of an answer", "client", rt.target.Name, "error", err)
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
	if beginsWithEndpoint(r, resp) {
		header.Del("Content-Length")
		source = &endpointRewriter{source: resp.Body, rewrite: rt.toLocal}
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

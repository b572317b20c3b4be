package relay

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// ServeHTTP lets in what comes from this machine, and answers it with the proxy's own
// pages or with what the client's server says.
func (s *Relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		s.log.Warn("refused a request that may be a web page's", "host", r.Host, "origin", r.Header.Get("Origin"))
		http.Error(w, "only programs on this computer may use berth-proxy, by the name localhost", http.StatusForbidden)
		return
	}
	g := s.gate.Load()
	if !g.admits(r) {
		if s.outside == nil || !s.outside(w, r) {
			http.Error(w, HasSecret+": run berth-proxy install", http.StatusNotFound)
		}
		return
	}
	if below := g.below(r); s.isLocal(below) {
		s.local.ServeHTTP(w, below)
		return
	}
	if !isPreflighted(r) {
		http.Error(w, "a request with an Origin must have the Content-Type application/json", http.StatusUnsupportedMediaType)
		return
	}
	all := *s.clients.Load()
	rt, found := s.routeFor(all, g, r)
	if !found && r.Method == http.MethodPost && s.refuseMissing(w, r, all, g) {
		return
	}
	if !found || asksForOAuth(strings.TrimPrefix(r.URL.Path, rt.prefix)) && !rt.backend.ownLogin.Load() {
		http.Error(w, all.whereToGo(), http.StatusNotFound)
		return
	}
	// No client of MCP navigates. A page of one client's server, opened in a browser, would
	// be of one origin with all clients, and could call them as the developer.
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		http.Error(w, "this is the address of an MCP server, for an editor and not for a browser", http.StatusForbidden)
		return
	}
	if s.isBridged(w, r, rt) {
		return
	}
	start := time.Now()
	status, err := s.forward(w, r, rt)
	// The query is left out: in it is the name of a session.
	s.log.Debug("request", "client", rt.backend.Name, "method", r.Method, "path", g.redact(r.URL.Path), "status", status,
		"duration", time.Since(start), "error", err)
	if err != nil {
		// What the client has so far must not look like the whole.
		panic(http.ErrAbortHandler)
	}
}

// refuseMissing answers what an editor has to say to a client that is not served, and
// reports whether the request was that.
func (s *Relay) refuseMissing(w http.ResponseWriter, r *http.Request, all clients, g *gate) bool {
	name := s.missingClient(all, strings.TrimPrefix(r.URL.EscapedPath(), g.prefix))
	if name == "" {
		return false
	}
	body, err := readBody(w, r)
	if err != nil {
		return false
	}
	f := noClient(name, s.wasServed(name), s.sender.names())
	s.log.Warn(g.redact(f.Message), "code", f.Code)
	f.answer(w, r, body)
	return true
}

// isBridged has the older transport served by the bridge, and reports whether it was.
func (s *Relay) isBridged(w http.ResponseWriter, r *http.Request, rt route) bool {
	if s.sse == nil || strings.TrimPrefix(r.URL.Path, rt.prefix) != "/sse" {
		return false
	}
	span := rt.gate.newSpan(r)
	defer span.cancel()
	if r.Method == http.MethodGet {
		rt.backend.stats.streams.Add(1)
		defer rt.backend.stats.streams.Add(-1)
	}
	ctx, done := s.sender.WhileServed(span.ctx, rt.backend.Target)
	defer done()
	return s.sse(w, r.WithContext(ctx), rt.backend.Target, rt.prefix)
}

// Handle has the proxy itself answer requests of a pattern, in the form that
// [http.ServeMux] takes, behind the guard that keeps other machines and web pages out. It
// must be called before [Relay.Serve]. It panics at a pattern that could be a path of some
// client: its first segment must be no name that a client can have, and no wildcard.
//
// A GET that accepts an event stream is an MCP client's and always goes to its server:
// with one client, "GET /{$}" is where such a client may connect to.
func (s *Relay) Handle(pattern string, handler http.Handler) {
	if !ownPattern.MatchString(pattern) || CheckName(ownPattern.FindStringSubmatch(pattern)[1]) == nil {
		panic(fmt.Sprintf("relay: the pattern %q may be a path of a client", pattern))
	}
	s.local.Handle(pattern, handler)
}

// ownPattern is an optional method, and the root alone or a first segment without wildcard.
var ownPattern = regexp.MustCompile(`^(?:[A-Z]+ )?/(?:\{\$\}|([^/{}]+)(?:/[^{}]*)?)$`)

// isLocal reports whether a request is for the proxy itself.
func (s *Relay) isLocal(r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/") || mayBeginWithEndpoint(r) {
		return false
	}
	_, pattern := s.local.Handler(r)
	return pattern != ""
}

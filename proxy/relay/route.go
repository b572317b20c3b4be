package relay

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A route is where one request goes.
type route struct {
	gate     *gate // that let the request in
	backend  *backend
	all      clients  // that are served
	prefix   string   // of local paths: the gate's and "/CLIENT", or the gate's where the name was left out
	url      *url.URL // at the target
	local    *url.URL // as the client has it
	port     int      // of this proxy
	document bool     // the client reads the answer for the URLs in it
}

// routeFor finds the target of a request: /CLIENT/anything, or with one client also
// /anything. The latter is of the first client that was the only one, as long as the proxy
// runs: another that takes its place does not inherit what editors send there.
func (s *Relay) routeFor(all clients, g *gate, r *http.Request) (route, bool) {
	document, path := splitDocument(r.URL.EscapedPath())
	path = strings.TrimPrefix(path, g.prefix)
	if !strings.HasPrefix(path, "/") { // OPTIONS *, CONNECT host:port
		return route{}, false
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if u := all.named(first); u != nil {
		return s.newRoute(all, u, g, document, g.prefix+"/"+first, r), true
	}
	if len(all) == 1 && s.missingClient(all, path) == "" {
		return s.newRoute(all, all[0], g, document, g.prefix, r), true
	}
	return route{}, false
}

// missingClient is the name of the client that a path below the secret is for, if it is one
// that is not served: it was, or the path is an endpoint's. What its editor sends, its own
// login perhaps, is not for the one client that there is.
func (s *Relay) missingClient(all clients, path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if s.wasServed(name) || otherClient.MatchString(path) {
		return name
	}
	if alone, _ := s.alone.Load().(string); len(all) < 2 && s.wasServed(alone) {
		return alone
	}
	return ""
}

func (s *Relay) wasServed(name string) bool {
	_, gone := s.gone.Load(name)
	return gone
}

var otherClient = regexp.MustCompile(`^/[a-z0-9][a-z0-9-]{0,62}/(mcp|sse)(/|$)`)

// newRoute is that of a path of the target, or of a document about it.
func (s *Relay) newRoute(all clients, up *backend, g *gate, document, prefix string, r *http.Request) route {
	local := *r.URL
	local.Scheme, local.Host = "http", r.Host
	u := *up.base
	// Documents, names and secrets need no escapes, so that they are the same length in both
	// forms of the path.
	leadsTo := func(path string) string {
		return document + up.base.Path + strings.TrimPrefix(path[len(document):], prefix)
	}
	u.Path, u.RawPath = leadsTo(local.Path), leadsTo(local.EscapedPath())
	query, marked := cutDocumentMark(local.RawQuery)
	u.RawQuery = query
	u.ForceQuery = local.ForceQuery
	return route{gate: g, backend: up, all: all, prefix: prefix, url: &u, local: &local, port: s.port,
		document: r.Method == http.MethodGet && (marked || isWellKnown(local.Path))}
}

// origin is that of this proxy, as the client has it.
func (rt route) origin() string { return rt.local.Scheme + "://" + rt.local.Host }

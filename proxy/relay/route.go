package relay

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A route is where one request goes.
type route struct {
	backend *backend
	prefix  string   // of local paths: "/CLIENT", or "" where the name was left out; the secret in front
	url     *url.URL // at the target
	local   *url.URL // as the client has it
	port    int      // of this proxy
}

// routeFor finds the target of a request: /CLIENT/anything, or with one client also
// /anything.
func (s *Relay) routeFor(all clients, r *http.Request) (route, bool) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), s.prefix)
	if !strings.HasPrefix(path, "/") { // OPTIONS *, CONNECT host:port
		return route{}, false
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if u := all.named(first); u != nil {
		return s.newRoute(u, s.prefix+"/"+first, r), true
	}
	if len(all) == 1 && !otherClient.MatchString(path) {
		return s.newRoute(all[0], s.prefix, r), true
	}
	return route{}, false
}

// otherClient is the endpoint of a client that is not here (any more). What its editor sends,
// its own login perhaps, is not for the one client that is.
var otherClient = regexp.MustCompile(`^/[a-z0-9][a-z0-9-]{0,62}/(mcp|sse)(/|$)`)

func (s *Relay) newRoute(up *backend, prefix string, r *http.Request) route {
	local := *r.URL
	local.Scheme, local.Host = "http", r.Host
	u := *up.base
	// Names and secrets need no escapes, so that it is the same length in both forms of the path.
	u.Path = up.base.Path + strings.TrimPrefix(local.Path, prefix)
	u.RawPath = up.base.Path + strings.TrimPrefix(local.EscapedPath(), prefix)
	u.RawQuery = local.RawQuery
	u.ForceQuery = local.ForceQuery
	return route{backend: up, prefix: prefix, url: &u, local: &local, port: s.port}
}

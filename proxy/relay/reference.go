package relay

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-mcp/berth/proxy/address"
)

// errSteered says that a server named a URL that a client may not be given.
var errSteered = errors.New("the server refers to an address that leads out of its own paths here, or that cannot be read with certainty")

// toLocal turns a reference that the target gave, in a header or an event, into one that
// leads back through the proxy, if it points into the target. What points elsewhere stays
// as it is.
//
// All clients are paths of one origin, and what is sent to any of them is signed. No server
// may lead an editor to the path of another: that reference is errSteered, and so is one
// that editors and this function might not read alike.
func (rt route) toLocal(ref string) (string, error) {
	ref = strings.TrimSpace(ref) // as clients do
	u, err := url.Parse(ref)
	if err != nil || strings.Contains(ref, `\`) { // which browsers take for a slash
		return "", errSteered
	}
	if here, inside := rt.inside(u); inside {
		if strings.HasPrefix(here, "//") { // a path no longer, but a host
			return "", errSteered
		}
		ref = here
	}
	if !rt.mayLeadTo(ref) {
		return "", errSteered
	}
	return ref, nil
}

// resolve is where a reference that toLocal accepts leads at the target.
func (rt route) resolve(ref string) *url.URL {
	u, err := rt.url.Parse(strings.TrimSpace(ref))
	if err != nil {
		return rt.url
	}
	return u
}

// inside is the local form of a reference that points into the target.
func (rt route) inside(ref *url.URL) (here string, inside bool) {
	u := rt.url.ResolveReference(ref)
	base := rt.backend.base
	// The scheme is left out of account: behind a TLS front end servers take themselves
	// for http. The way back is to the configured origin in any case.
	if (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || canonicalHost(u) != base.Host {
		return "", false
	}
	document, path := splitDocument(u.EscapedPath())
	rest, inside := strings.CutPrefix(path, base.Path)
	if !inside || (rest != "" && rest[0] != '/') {
		return "", false
	}
	here = document + rt.prefix + rest
	if here == "" {
		here = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		here += "?" + u.RawQuery
	}
	if fragment := u.EscapedFragment(); fragment != "" {
		here += "#" + fragment
	}
	return here, true
}

// mayLeadTo reports whether a reference, resolved as the client does it, leads into this
// route's target or away from this proxy. Many clients resolve as browsers do (the WHATWG
// URL standard), who read more than RFC 3986 has: what the two read differently may not.
func (rt route) mayLeadTo(ref string) bool {
	u, err := url.Parse(ref)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "", "http", "https", "ws", "wss":
	default:
		return true // nothing that reaches a port of HTTP
	}
	path, _, _ := strings.Cut(ref, "?")
	path, _, _ = strings.Cut(path, "#")
	switch {
	case strings.HasPrefix(ref, "//") && u.Host == "": // ///host: a host
		return false
	case u.Scheme != "" && u.Host == "": // http:/path and http:path: of the base's host
		return false
	case hasEscapedDots(path):
		return false
	}
	to := rt.local.ResolveReference(u)
	switch rt.placeOf(to) {
	case elsewhere:
		return true
	case thisMachine:
		return rt.backend.Loopback()
	case thisProxy:
		_, path = splitDocument(to.EscapedPath())
		rest, inside := strings.CutPrefix(path, rt.prefix)
		return inside && (rest == "" || rest[0] == '/')
	}
	return false
}

// hasEscapedDots reports whether a segment of a path is . or .. in browsers' eyes alone.
func hasEscapedDots(path string) bool {
	for segment := range strings.SplitSeq(strings.ToLower(path), "/") {
		dots := strings.ReplaceAll(segment, "%2e", ".")
		if dots != segment && (dots == "." || dots == "..") {
			return true
		}
	}
	return false
}

// shortAddress is the last label of a name that browsers take for an IPv4 address, in one
// of its forms other than four decimal numbers.
var shortAddress = regexp.MustCompile(`(?i)(^|\.)([0-9]+|0x[0-9a-f]*)$`)

// A place is where a URL leads.
type place int

const (
	unclear   place = iota // readers may differ
	elsewhere              // not to this machine
	thisProxy              // to the port that is listened on, or that the client takes for it
	// thisMachine is another port of this machine, where another berth-proxy may listen, or a
	// program that trusts every local caller. Only a server that runs on this machine too, as in
	// the local cloud, may refer there: its authorization server may be one of those programs.
	thisMachine
)

func (rt route) placeOf(u *url.URL) place {
	port, ok := portOf(u)
	if !ok {
		return unclear
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && addr.Zone() != "":
		return unclear
	case err != nil && (!hostName.MatchString(host) || shortAddress.MatchString(host)):
		return unclear
	case !address.IsLoopback(host) && !addr.Unmap().IsUnspecified() && !strings.HasSuffix(host, ".localhost"):
		return elsewhere
	}
	if own, ok := portOf(rt.local); port == rt.port || ok && port == own {
		return thisProxy
	}
	return thisMachine
}

func portOf(u *url.URL) (port int, ok bool) {
	switch p := u.Port(); {
	case p != "":
		n, err := strconv.ParseUint(p, 10, 16)
		return int(n), err == nil
	case u.Scheme == "https", u.Scheme == "wss":
		return 443, true
	default:
		return 80, true
	}
}

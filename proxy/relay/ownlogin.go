package relay

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/proxy/address"
)

// A server may have a login of its own (OAuth, as MCP has it), beside the platform's. The
// editor goes through it, and finds by way of the proxy what the server says of it: the
// platform lets nobody else in. There the editor knows the server by its URL here, and takes
// no other (RFC 9728, section 3.3): it is what the documents must name.

// aboutResource is the path of a document about a resource, whose own path is behind it
// (RFC 9728 and RFC 8414, section 3.1; OpenID discovery, as MCP has it).
var aboutResource = regexp.MustCompile(`^(/\.well-known/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration))(/.+)$`)

// splitDocument returns the document that an escaped path leads to, "" if it is none about a
// resource, and the path of the resource.
func splitDocument(path string) (document, resource string) {
	if m := aboutResource.FindStringSubmatch(path); m != nil {
		return m[1], m[2]
	}
	return "", path
}

// asksForOAuth reports whether a client is looking for an authorization server, by a path
// below its target: RFC 9728 and RFC 8414 metadata, OpenID discovery, dynamic registration.
// The proxy itself signs the requests, and an answer of the platform would start a login
// that cannot succeed. A server with a login of its own is asked.
func asksForOAuth(path string) bool {
	return strings.Contains(path, "/.well-known/oauth-") ||
		strings.Contains(path, "/.well-known/openid-configuration") ||
		path == "/register"
}

// namesMetadata reports whether a server says where the metadata of its login are.
func namesMetadata(resp *http.Response) bool {
	return slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), resourceMetadata.MatchString)
}

// resourceMetadata is the parameter of a challenge that names the metadata's URL (RFC 9728,
// section 5.1).
var resourceMetadata = regexp.MustCompile(`(?i)\bresource_metadata\s*=\s*("[^"]*"|[^\s,"]*)`)

// localiseChallenges has a client look for a server's metadata by way of the proxy. A
// challenge that would lead it astray is left out.
func (s *Relay) localiseChallenges(header http.Header, rt route) {
	challenges := header.Values("WWW-Authenticate")
	header.Del("WWW-Authenticate")
	for _, challenge := range challenges {
		steered := false
		challenge = resourceMetadata.ReplaceAllStringFunc(challenge, func(parameter string) string {
			name, ref, _ := strings.Cut(parameter, "=")
			to, err := rt.localDocument(strings.Trim(ref, "\" \t"))
			steered = steered || err != nil
			return strings.TrimSpace(name) + `="` + to + `"`
		})
		if steered {
			s.log.Warn("left out a challenge of a server", "client", rt.backend.Name, "error", errSteered)
			continue
		}
		header.Add("WWW-Authenticate", challenge)
	}
}

// localDocument returns where a client finds a document that a server refers to.
func (rt route) localDocument(ref string) (string, error) {
	if u, err := url.Parse(ref); err == nil && u.Host != "" {
		if document, _ := splitDocument(u.EscapedPath()); document != "" {
			if here, is := rt.localURL(u); is {
				if !rt.mayLeadTo(here) { // .. in its path
					return "", errSteered
				}
				return here, nil
			}
		}
	}
	to, err := rt.toLocal(ref)
	if strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "//") { // which begins with a host
		to = rt.origin() + to
	}
	return to, err
}

// maxMetadata bounds the metadata that are read, in bytes; they are some hundred.
const maxMetadata = 64 << 10

// asksForMetadata reports whether a request is for the metadata of a protected resource.
func asksForMetadata(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/.well-known/oauth-protected-resource")
}

// localiseMetadata has a server's metadata name it by its URL here. With another the client
// would refuse them, and no client asks for a token for another than it uses (RFC 8707, as
// MCP has it). Metadata that cannot be read, or are about something else, stay as they are.
func (rt route) localiseMetadata(resp *http.Response) {
	if resp.StatusCode != http.StatusOK || isEncoded(resp) {
		return
	}
	body, err := peek(resp, maxMetadata)
	var metadata map[string]json.RawMessage
	var resource string
	if err != nil || json.Unmarshal(body, &metadata) != nil || json.Unmarshal(metadata["resource"], &resource) != nil {
		return
	}
	u, err := url.Parse(resource)
	if err != nil {
		return
	}
	here, is := rt.localURL(u)
	if !is || here == resource {
		return
	}
	delete(metadata, "signed_metadata") // which say the other, and outrank the rest
	if metadata["resource"], err = json.Marshal(here); err != nil {
		return
	}
	if body, err = json.Marshal(metadata); err != nil {
		return
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), resp.Body}
	resp.ContentLength = int64(len(body))
	resp.Header.Del("Content-Length")
	resp.Header.Del("Etag") // of what the server has said
}

// localURL returns the URL here of a resource that is the route's server, or of a document
// about it: by its own URL, or by one of this computer, as the people who run it may have
// given it the one that editors use. Those may use another port, or leave out the client's
// name.
func (rt route) localURL(u *url.URL) (here string, is bool) {
	if path, inside := rt.inside(u); inside {
		if !strings.HasSuffix(u.Path, "/") {
			path = strings.TrimSuffix(path, "/")
		}
		return rt.origin() + path, true
	}
	if !address.IsLoopback(u.Hostname()) {
		return "", false
	}
	document, path := splitDocument(u.EscapedPath())
	if rest, named := strings.CutPrefix(path, "/"+rt.backend.Name); named && (rest == "" || rest[0] == '/') {
		path = rest
	}
	return rt.origin() + document + rt.prefix + path, true
}

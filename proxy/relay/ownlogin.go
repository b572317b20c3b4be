package relay

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
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

// asksForLogin reports whether a request is one of OAuth, at whatever path: for a token, or a
// client's registration (RFC 7591). The redirect URIs of a registration are returned too, as
// the answer repeats them.
func asksForLogin(r *http.Request, body []byte) (redirects map[string]bool, is bool) {
	if r.Method != http.MethodPost {
		return nil, false
	}
	if hasMediaType(r.Header.Values("Content-Type"), "application/x-www-form-urlencoded") {
		form, _ := url.ParseQuery(string(body)) // what cannot be parsed is for the server to refuse
		return nil, form.Has("grant_type") || form.Has("client_id") || form.Has("token")
	}
	if !bytes.Contains(body, []byte(`"redirect_uris"`)) { // most requests have none, and are not parsed
		return nil, false
	}
	var registration struct {
		Version  json.RawMessage `json:"jsonrpc"`
		Redirect []string        `json:"redirect_uris"`
	}
	if json.Unmarshal(body, &registration) != nil || registration.Version != nil || registration.Redirect == nil {
		return nil, false
	}
	redirects = map[string]bool{}
	for _, to := range registration.Redirect {
		redirects[to] = true
	}
	return redirects, true
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
	return rt.asDocument(to), err
}

// localMetadata returns a server's metadata with the server's URL here in them. With another
// the client would refuse them, and no client asks for a token for another than it uses (RFC
// 8707, as MCP has it). It returns nil if there is nothing to change.
func (rt route) localMetadata(text []byte) []byte {
	var metadata map[string]json.RawMessage
	var resource string
	if json.Unmarshal(text, &metadata) != nil || json.Unmarshal(metadata["resource"], &resource) != nil {
		return nil
	}
	u, err := url.Parse(resource)
	if err != nil {
		return nil
	}
	here, is := rt.localURL(u)
	if !is || here == resource {
		return nil
	}
	delete(metadata, "signed_metadata") // which say the other, and outrank the rest
	if metadata["resource"], err = json.Marshal(here); err != nil {
		return nil
	}
	changed, err := json.Marshal(metadata)
	if err != nil {
		return nil
	}
	return changed
}

// replaceBody replaces the body of an answer, and drops the headers about the one it had.
func replaceBody(resp *http.Response, body []byte) {
	resp.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), resp.Body}
	resp.ContentLength = int64(len(body))
	resp.Header.Del("Content-Length")
	resp.Header.Del("Etag")
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

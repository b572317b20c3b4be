package relay

import (
	"net/http"
	"regexp"
	"slices"
)

// fromPlatform reports whether a failure was answered by the platform in front of the
// server. Cloud Run's front end answers in HTML. A server of MCP answers a failure in
// JSON, text or not at all, and its 401 that starts an OAuth login names the metadata of
// the resource (RFC 9728), in whatever type the body is. Other failures than these pass in
// any case: a 404 or 405 in HTML is what web frameworks say of a path or method they do
// not have, and clients choose their transport by it.
func fromPlatform(resp *http.Response) bool {
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
	default:
		return false
	}
	return !asksForOwnLogin(resp) && hasMediaType(resp.Header.Values("Content-Type"), "text/html")
}

// asksForOwnLogin reports whether a server asks for a login that is its own.
func asksForOwnLogin(resp *http.Response) bool {
	return slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), resourceMetadata.MatchString)
}

// resourceMetadata is the parameter of a challenge that names the metadata's URL (RFC 9728,
// section 5.1).
var resourceMetadata = regexp.MustCompile(`(?i)\bresource_metadata\s*=\s*("[^"]*"|[^\s,"]*)`)

// refusedByPlatform reports whether the platform did not let a request through to the
// server. It has then had no effect and may be sent again.
func refusedByPlatform(resp *http.Response) bool {
	denied := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	return denied && fromPlatform(resp)
}

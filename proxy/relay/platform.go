package relay

import "net/http"

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
	return !namesMetadata(resp) && hasMediaType(resp.Header.Values("Content-Type"), "text/html")
}

// refusedByPlatform reports whether the platform did not let a request through to the
// server. It has then had no effect and may be sent again.
func refusedByPlatform(resp *http.Response) bool {
	denied := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	return denied && fromPlatform(resp)
}

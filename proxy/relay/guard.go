package relay

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// fromThisMachine reports whether a request can be no foreign web page's doing. A page can
// reach a local port by its address; that shows in Origin, or, where a browser leaves that
// out (an image, a link), in Sec-Fetch-Site. Or it can point its own name at 127.0.0.1 (DNS
// rebinding) and be of one origin with the port; that shows in Host. Programs that are not
// browsers send neither Origin nor Sec-Fetch-Site. A sandboxed page's Origin is "null".
func fromThisMachine(r *http.Request) bool {
	if !isLocalOrigin("http://" + r.Host) {
		return false
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site"
	}
	return !slices.ContainsFunc(origins, func(o string) bool { return !isLocalOrigin(o) })
}

// isPreflighted reports whether a web page cannot have sent a request's body unless the
// browser had asked first, in a request of its own (a preflight), whether it may. What
// browsers send without asking, as HTML forms do, is plain text, a form or of no type; JSON
// is not among it. Programs that send no Origin are not browsers.
func isPreflighted(r *http.Request) bool {
	if len(r.Header.Values("Origin")) == 0 {
		return true
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true // browsers send no body with these
	case http.MethodDelete:
		if r.ContentLength == 0 {
			return true
		}
	}
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(types[0])
	return err == nil && mediaType == "application/json"
}

// isLocalOrigin accepts only the names that the listeners have, with any port.
func isLocalOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !strings.EqualFold(origin, u.Scheme+"://"+u.Host) {
		return false // not a web origin, or more than one
	}
	switch host := strings.ToLower(strings.TrimSuffix(u.Host, ":"+u.Port())); host {
	case "localhost", "127.0.0.1", "[::1]":
		return true
	}
	return false
}

package relay

import (
	"net/http"
	"strings"
)

// tokenHeader is the header that Cloud Run checks in preference to Authorization, which
// then passes to the server: that one is the editor's own.
const tokenHeader = "X-Serverless-Authorization"

// hopByHop are the headers that concern one connection alone: those of RFC 9110, section
// 7.6.1, and their de facto relatives.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// notUpstream are headers of a request that do not leave this machine.
var notUpstream = []string{
	// No editor has a token of its own for the platform; only ours is to be checked.
	tokenHeader,
	// A browser shares its cookies among all ports of localhost, so that one client's
	// would go to another's server. MCP has no use for them.
	"Cookie",
	// In a local URL there may be the secret of this proxy's paths.
	"Referer",
	// The body is read already, and with it 100 Continue was said.
	"Expect",
}

// notDownstream are headers of a response that speak of an origin that the client never
// sees.
var notDownstream = []string{"Set-Cookie", "Alt-Svc"}

// endToEnd returns a copy of the headers, without those for one connection and those to
// be left out.
func endToEnd(from http.Header, leaveOut []string) http.Header {
	to := from.Clone()
	if to == nil {
		to = http.Header{}
	}
	for _, list := range from.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			to.Del(strings.TrimSpace(name))
		}
	}
	for _, names := range [][]string{hopByHop, leaveOut} {
		for _, name := range names {
			to.Del(name)
		}
	}
	return to
}

// hasMediaType reports whether a Content-Type or one of the types in an Accept header is
// the given one, in lower case.
func hasMediaType(values []string, want string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			mediaType, _, _ := strings.Cut(element, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), want) {
				return true
			}
		}
	}
	return false
}

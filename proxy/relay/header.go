package relay

import (
	"net/http"
	"strings"
)

// tokenHeader is the header that Cloud Run checks in preference to Authorization, which
// then passes to the server: that one is the editor's own.
const tokenHeader = "X-Serverless-Authorization"

// headerNames is a table of headers: their names, and what names begin with, both in the
// form that fold gives.
type headerNames struct {
	names    []string
	prefixes []string
}

// hopByHop are the headers that concern one connection alone: those of RFC 9110, section
// 7.6.1, and their de facto relatives.
var hopByHop = headerNames{
	names: []string{
		"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
		"te", "trailer", "transfer-encoding", "upgrade",
	},
}

// notUpstream are headers of a request that do not leave this machine.
var notUpstream = headerNames{
	names: []string{
		// A browser shares its cookies among all ports of localhost, so that one client's
		// would go to another's server. MCP has no use for them.
		"cookie", "cookie2",
		// It may hold the secret in this proxy's paths, and the name of another client.
		"referer",
		// The body is read already, and with it 100 Continue was said. Its length is known.
		"expect", "content-length",
		// What proxies and platforms in front of a server tell it about the caller, and about
		// what the caller asked for. The caller must not be able to say it about itself.
		"forwarded", "via", "true-client-ip", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-proxyuser-ip",
		"client-cert", "client-cert-chain", "x-client-cert", "x-host", "x-http-host-override", "x-rewrite-url",
		"x-endpoint-api-userinfo", "x-apigateway-api-userinfo",
		// CGI turns it into the environment variable HTTP_PROXY.
		"proxy",
	},
	prefixes: []string{
		// No editor has a token of its own for the platform; only ours may be checked.
		"x-serverless-",
		// Google's own, including those of Identity-Aware Proxy and X-Cloud-Trace-Context. The
		// W3C's traceparent is for any caller to set, and passes.
		"x-goog-", "x-google-", "x-gfe-", "x-cloud-", "x-appengine-", "x-cloudtasks-", "x-cloudscheduler",
		// Those of other proxies, which may be in front of Cloud Run, or which frameworks trust.
		"x-forwarded", "x-original-", "x-envoy-", "x-amzn-", "x-amz-", "x-azure-", "x-arr-", "x-ms-client-", "cf-", "fastly-",
	},
}

// notDownstream are headers of a response that speak of an origin that the client never
// sees, or have a browser keep something for the origin that all clients share here.
var notDownstream = headerNames{
	names: []string{
		"set-cookie", "set-cookie2", "alt-svc", "clear-site-data", "origin-agent-cluster", "service-worker-allowed",
		// With these localhost would need a certificate.
		"strict-transport-security", "public-key-pins", "public-key-pins-report-only", "expect-ct",
		// Where reports about all pages of the origin go from then on.
		"report-to", "reporting-endpoints", "nel",
		// What is sent, fetched and decoded from then on.
		"accept-ch", "accept-ch-lifetime", "critical-ch", "no-vary-search", "use-as-dictionary", "speculation-rules", "supports-loading-mode",
		// Who is signed in.
		"login-status", "set-login", "activate-storage-access", "secure-session-registration", "secure-session-challenge",
		// URLs that only browsers follow; no MCP client needs them.
		"refresh", "sourcemap", "x-sourcemap",
	},
	prefixes: []string{"sec-session-", "attribution-reporting-"},
}

// cover reports whether a header, of a name that fold gives, is one of these.
func (h headerNames) cover(folded []byte) bool {
	for _, name := range h.names {
		if string(folded) == name {
			return true
		}
	}
	for _, prefix := range h.prefixes {
		if len(folded) >= len(prefix) && string(folded[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// fold appends a header's name as the most careless server reads it: CGI, and what descends
// from it, takes X_Y for X-Y, and some servers take any other sign for it, too. It appends
// to a buffer because every header of every request goes through it.
func fold(buffer []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		default:
			c = '-'
		}
		buffer = append(buffer, c)
	}
	return buffer
}

// endToEnd returns a copy of the headers, without those for one connection and those to
// be left out.
func endToEnd(from http.Header, leaveOut headerNames) http.Header {
	to := from.Clone()
	if to == nil {
		to = http.Header{}
	}
	for _, list := range from.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			to.Del(strings.TrimSpace(name))
		}
	}
	var buffer [64]byte // longer than most names are
	for name := range to {
		if folded := fold(buffer[:0], name); hopByHop.cover(folded) || leaveOut.cover(folded) {
			delete(to, name)
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

package relay

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// fromPlatform reports whether a failure was answered by the platform in front of the
// server. Cloud Run's front end answers in HTML, or with one of some sentences. A server of
// MCP answers a failure in JSON, words of its own or not at all, and its 401 that starts an
// OAuth login names the metadata of the resource (RFC 9728), in whatever type the body is.
// Other failures than these pass in any case: a 404 or 405 in HTML is what web frameworks
// say of a path or method they do not have, and clients choose their transport by it.
func fromPlatform(resp *http.Response) bool {
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
	default:
		return false
	}
	types := resp.Header.Values("Content-Type")
	switch {
	case namesMetadata(resp):
		return false
	case hasMediaType(types, "text/html"):
		return true
	case len(types) == 0, hasMediaType(types, "text/plain"):
		return hasPlatformSentence(resp)
	}
	return false
}

// platformSentences are how what the front end says in plain text begins: its own when there
// is no instance to give a request to, and those of Envoy, which it is made with, when it
// does not reach one, there is none, or one takes longer than it may. The same words of an
// Envoy that stands beside the server mean the same.
var platformSentences = map[int][]string{
	http.StatusTooManyRequests:    {"Rate exceeded."},
	http.StatusBadGateway:         {"upstream connect error or disconnect/reset before headers"},
	http.StatusServiceUnavailable: {"upstream connect error or disconnect/reset before headers", "no healthy upstream"},
	http.StatusGatewayTimeout:     {"upstream request timeout"},
}

// maxSentence is how much of a body is read to see whether it begins with one, in bytes.
const maxSentence = 64

func hasPlatformSentence(resp *http.Response) bool {
	sentences := platformSentences[resp.StatusCode]
	if len(sentences) == 0 || isEncoded(resp) {
		return false
	}
	said, err := peek(resp, maxSentence)
	if err != nil {
		return false
	}
	for _, sentence := range sentences {
		if strings.HasPrefix(string(said), sentence) {
			return true
		}
	}
	return false
}

// peek returns the first n bytes of a body, or all if it has less, and leaves the body as it
// was.
func peek(resp *http.Response, n int64) ([]byte, error) {
	body := resp.Body
	first, err := io.ReadAll(io.LimitReader(body, n))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), body), body}
	return first, err
}

// refusedByPlatform reports whether the platform did not let a request through to the
// server. It has then had no effect and may be sent again.
func refusedByPlatform(resp *http.Response) bool {
	denied := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	return denied && fromPlatform(resp)
}

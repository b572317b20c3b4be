package cloudlog

import (
	"context"
	"net/http"
	"regexp"
)

type traceKey struct{}

// traceHeaders are the headers that name a request's trace, the better one
// first. The id is the first group: 32 hexadecimal digits, not all of them
// zero.
var traceHeaders = []struct {
	name string
	id   *regexp.Regexp
}{
	{"Traceparent", regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}`)},
	{"X-Cloud-Trace-Context", regexp.MustCompile(`^([0-9a-f]{32})(?:[/;]|$)`)},
}

const noTrace = "00000000000000000000000000000000"

// WithTrace passes requests on to next with the id of their trace, if they
// have one, in the context.
func WithTrace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := traceOf(r.Header); id != "" {
			r = r.WithContext(context.WithValue(r.Context(), traceKey{}, id))
		}
		next.ServeHTTP(w, r)
	})
}

// TraceID is the id of the trace that ctx belongs to: 32 hexadecimal digits,
// or empty.
func TraceID(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}

func traceOf(h http.Header) string {
	for _, header := range traceHeaders {
		if m := header.id.FindStringSubmatch(h.Get(header.name)); m != nil && m[1] != noTrace {
			return m[1]
		}
	}
	return ""
}

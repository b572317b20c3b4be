package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

const (
	// MaxBody is the largest request body that is read, in bytes. No tool
	// takes more than a few hundred.
	MaxBody = 1 << 20

	// bodyTimeout is how long a caller has to send a request's body. The
	// server itself can have no such limit: it would end the streams too.
	bodyTimeout = 30 * time.Second
)

// guardOrigin refuses what a web page sends: one that was loaded from elsewhere
// names its Origin, and one that rebound its own name to this machine has that
// name as Host. Editors send no Origin; tools in a browser on the developer's
// own machine have a loopback one.
func guardOrigin(loopbackHostOnly bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, origin := range r.Header.Values("Origin") {
			if u, err := url.Parse(origin); err != nil || !identity.IsLoopback(u.Host) {
				http.Error(w, fmt.Sprintf("origin %q may not use this server: only pages from this machine may", origin), http.StatusForbidden)
				return
			}
		}
		if loopbackHostOnly && !identity.IsLoopback(r.Host) {
			http.Error(w, fmt.Sprintf("host %q is not this server: use localhost or 127.0.0.1", r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit lets a request through that is within its caller's limits, before its body is
// read.
func admit(g *guard.Guard, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait, why := g.Admit(r.Context()); why != "" {
			refuse(w, wait, why)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse says why not, and in how many seconds to try again.
func refuse(w http.ResponseWriter, wait int, why string) {
	w.Header().Set("Retry-After", strconv.Itoa(wait))
	http.Error(w, fmt.Sprintf("%s: try again in %d s", why, wait), http.StatusTooManyRequests)
}

// boundBody reads a request's body before next sees the request, within
// [MaxBody] and bodyTimeout.
func boundBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		// A ResponseWriter that has no deadlines (a recorder in a test) has
		// nothing to wait for either.
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		_ = control.SetReadDeadline(time.Time{})

		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, fmt.Sprintf("the request body has more than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, "the request body did not arrive in full", http.StatusRequestTimeout)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// unbuffered asks proxies on the way to pass events on as they come.
func unbuffered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Accel-Buffering", "no")
		next.ServeHTTP(w, r)
	})
}

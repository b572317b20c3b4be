package identity

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
)

// refusal says no more than the sender knows already: what exactly was wrong
// is in the operator's log.
const refusal = `{"error":"unauthenticated","message":"this server could not tell who is calling; connect through berth-proxy, and if you did, ask the operator to look into the server's log"}` + "\n"

const unavailable = `{"error":"temporarily_unavailable","message":"this server cannot verify who is calling for now; try again in a few seconds"}` + "\n"

// challenger is a Verifier whose callers can get the credentials that it wants
// from somewhere. It gives the value of WWW-Authenticate for a request.
type challenger interface {
	challenge(*http.Request) string
}

// Require passes on to next the requests whose caller v knows, with the caller
// in their context. It answers the others with 401, or with 503 if v is
// unavailable, and logs why.
func Require(v Verifier, logger *slog.Logger, next http.Handler) http.Handler {
	// No resource_metadata parameter: there is no OAuth server to send a client to.
	challenge := func(*http.Request) string { return `Bearer error="invalid_token"` }
	if c, ok := v.(challenger); ok {
		challenge = c.challenge
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := v.Verify(r)
		if err == nil {
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), caller)))
			return
		}
		logger.WarnContext(r.Context(), "refused a request: its caller is not known",
			"outcome", "refused", "reason", err.Error(), "method", r.Method, "path", r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		if errors.Is(err, ErrUnavailable) {
			w.Header().Set("Retry-After", strconv.Itoa(int(askEvery.Seconds())))
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(unavailable))
			return
		}
		w.Header().Set("WWW-Authenticate", challenge(r))
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(refusal))
	})
}

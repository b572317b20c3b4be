package identity

import (
	"log/slog"
	"net/http"
)

// refusal says no more than the sender knows already: what exactly was wrong
// is in the operator's log.
const refusal = `{"error":"unauthenticated","message":"this server could not tell who is calling; connect through berth-proxy, and if you did, ask the operator to look into the server's log"}` + "\n"

// Require passes on to next the requests whose caller v knows, with the caller
// in their context. It answers the others with 401 and logs why.
func Require(v Verifier, logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := v.Verify(r)
		if err != nil {
			logger.WarnContext(r.Context(), "refused a request: its caller is not known",
				"reason", err.Error(), "method", r.Method, "path", r.URL.Path)
			// No resource_metadata parameter: there is no OAuth server to
			// send a client to.
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(refusal))
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), caller)))
	})
}

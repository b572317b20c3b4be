// Package operate tells programs that watch over a proxy how it is: whether it is up and can
// serve, and its figures for Prometheus. All of it is behind the relay's guard, on loopback.
package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/relay"
)

// patience bounds a check, whose asker commonly gives up after ten seconds.
const patience = 5 * time.Second

// Register has the relay answer for itself at
//
//	/startup    200 when it listens
//	/liveness   200 as long as it answers, with an [Identity] in JSON
//	/readiness  200 if there is a client, and a token for it can be had; 503 and why, if not
//	/metrics    figures, in Prometheus' text format
//
// If its paths have a secret, it answers a request for /liveness without the secret only with
// a proof that it knows it; see [Ask]. Tokens come from the sender. Register must be called
// before the relay serves.
func Register(r *relay.Relay, sender *relay.Sender, version string) {
	r.Handle("GET /startup", http.HandlerFunc(up))
	identity := func() Identity { return identityOf(r, version) }
	r.Handle("GET "+livenessPath, liveness(identity))
	r.HandleOutside(prover(r, identity))
	r.Handle("GET /readiness", readiness(r, sender))
	r.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(r, version), promhttp.HandlerOpts{}))
}

func identityOf(r *relay.Relay, version string) Identity {
	me := Identity{Program: Program, Version: version, Clients: []string{}}
	for _, client := range r.Snapshot() {
		me.Clients = append(me.Clients, client.Target.Name)
	}
	return me
}

func liveness(identity func() Identity) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		head(w, "application/json", http.StatusOK)
		_ = json.NewEncoder(w).Encode(identity()) // whoever asked may have gone
	})
}

func up(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }

// readiness asks for a token, which is one that is kept unless its end is near. Servers are
// not asked: one that sleeps would be woken for nothing.
func readiness(r *relay.Relay, sender *relay.Sender) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		clients := r.Snapshot()
		if len(clients) == 0 {
			say(w, http.StatusServiceUnavailable, "no client is configured: add one with `berth-proxy add`")
			return
		}
		ctx, cancel := context.WithTimeout(request.Context(), patience)
		defer cancel()
		// Where each client has tokens of its own, they come of the same login.
		if _, err := sender.Token(ctx, clients[0].Target); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
}

func say(w http.ResponseWriter, status int, sentence string) {
	head(w, "text/plain; charset=utf-8", status)
	_, _ = fmt.Fprintln(w, plaintext.Line(sentence)) // whoever asked may have gone
}

func head(w http.ResponseWriter, contentType string, status int) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}

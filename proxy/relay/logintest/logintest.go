// Package logintest plays the authorization server of an MCP server that has a login of its
// own.
package logintest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// New starts an authorization server that registers every client and logs everybody in. It
// gives tokens for the resource that a client asks for in both of its requests (RFC 8707).
func New(t testing.TB) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{
			"issuer": server.URL, "authorization_endpoint": server.URL + "/authorize",
			"token_endpoint": server.URL + "/token", "registration_endpoint": server.URL + "/register",
			"response_types_supported": []string{"code"}, "grant_types_supported": []string{"authorization_code"},
			"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none"},
		})
	})
	mux.HandleFunc("POST /register", func(w http.ResponseWriter, r *http.Request) {
		var metadata map[string]any
		if err := json.NewDecoder(r.Body).Decode(&metadata); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		metadata["client_id"] = "editor"
		answer(w, http.StatusCreated, metadata)
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query()
		back := url.Values{"code": {asked.Get("resource")}, "state": {asked.Get("state")}}
		http.Redirect(w, r, asked.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("code") != r.FormValue("resource") {
			answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_target"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"access_token": TokenFor(r.FormValue("resource")), "token_type": "Bearer", "expires_in": 3600})
	})
	return server
}

// TokenFor is the token that is given for a resource.
func TokenFor(resource string) string { return "for:" + resource }

func answer(w http.ResponseWriter, status int, v map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone needs none
}

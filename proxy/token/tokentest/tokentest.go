// Package tokentest is a token endpoint on loopback for tests, with a developer's login
// for it. Its tokens are signed by nobody: it is for tests of what carries tokens, not of
// what checks them.
package tokentest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// RefreshToken is in every login file that [WriteLogin] writes.
const RefreshToken = "1//a-refresh-token-that-nobody-may-see"

// AccessToken is what all access tokens begin with.
const AccessToken = "an-access-token"

// An Endpoint is a running token endpoint. Its fields may be changed under Lock.
type Endpoint struct {
	sync.Mutex
	Issuer   string        // of the tokens; by default the endpoint's own URL
	Email    string        // in the tokens; by default ada@example.com
	Lifetime time.Duration // of the tokens; by default an hour
	// Answer, if set, is called in place of the endpoint's own answer.
	Answer http.HandlerFunc

	URL       string // of the token endpoint
	server    *httptest.Server
	exchanges int
	tokens    []string

	accesses       map[string]string // access tokens, and whose they are
	impersonations []Impersonation
}

// New starts an endpoint that is gone at the end of the test.
func New(t testing.TB) *Endpoint {
	e := &Endpoint{Email: "ada@example.com", Lifetime: time.Hour}
	e.server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.server.Close)
	e.Issuer, e.URL = e.server.URL, e.server.URL+"/token"
	return e
}

func (e *Endpoint) serve(w http.ResponseWriter, r *http.Request) {
	e.Lock()
	e.exchanges++
	answer := e.Answer
	e.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	if e.serveAccounts(w, r) {
		return
	}
	if r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("refresh_token") != RefreshToken {
		Refuse("invalid_grant", "")(w, r)
		return
	}
	e.Issue(w)
}

// Issue answers with a new token.
func (e *Endpoint) Issue(w http.ResponseWriter) {
	e.Lock()
	email := e.Email
	e.Unlock()
	e.answer(w, map[string]any{
		"access_token": e.access(email), "token_type": "Bearer", "expires_in": 3600, "id_token": e.mint(email, "client.apps.example"),
	})
}

// mint makes an ID token.
func (e *Endpoint) mint(email, audience string) string {
	e.Lock()
	defer e.Unlock()
	raw := JWT(map[string]any{
		"iss": e.Issuer, "email": email, "email_verified": true, "aud": audience,
		"exp": time.Now().Add(e.Lifetime).Unix(), "jti": len(e.tokens),
	})
	e.tokens = append(e.tokens, raw)
	return raw
}

func (e *Endpoint) answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// Refuse answers as Google does with an OAuth error.
func Refuse(code, subtype string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_subtype": subtype, "error_description": "for " + RefreshToken})
	}
}

// Set changes the endpoint.
func (e *Endpoint) Set(change func(*Endpoint)) {
	e.Lock()
	defer e.Unlock()
	change(e)
}

// Exchanges is how often the endpoint was asked.
func (e *Endpoint) Exchanges() int {
	e.Lock()
	defer e.Unlock()
	return e.exchanges
}

// Tokens are all that were issued, the oldest first.
func (e *Endpoint) Tokens() []string {
	e.Lock()
	defer e.Unlock()
	return append([]string(nil), e.tokens...)
}

// JWT is a token with these claims and a signature that verifies with no key.
func JWT(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // a test's own mistake
	}
	segment := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf("%s.%s.%s", segment([]byte(`{"alg":"RS256","typ":"JWT"}`)), segment(payload), segment([]byte("signature")))
}

// WriteLogin writes a developer's login file for a token endpoint, in place of an older one,
// as a cloud on this machine does, and returns its name.
func WriteLogin(t testing.TB, dir, tokenURL, refreshToken string) string {
	t.Helper()
	content, err := json.Marshal(map[string]string{
		"type": "authorized_user", "client_id": "client.apps.example", "client_secret": "client-secret", "refresh_token": refreshToken,
		"token_uri": tokenURL,
	})
	require.NoError(t, err)
	return WriteFile(t, dir, string(content))
}

// WriteFile writes any content as the login file.
func WriteFile(t testing.TB, dir, content string) string {
	t.Helper()
	file := filepath.Join(dir, "application_default_credentials.json")
	temporary := file + ".new"
	require.NoError(t, os.WriteFile(temporary, []byte(content), 0o600))
	require.NoError(t, os.Rename(temporary, file))
	return file
}

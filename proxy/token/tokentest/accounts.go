package tokentest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"
)

const (
	// Account is the service account whose key [WriteKey] writes.
	Account = "agent@my-project.iam.gserviceaccount.com"
	// SubjectToken is what an external account is known by.
	SubjectToken = "a-subject-token-that-nobody-may-see"
)

var silentLog = log.New(io.Discard, "", 0)

var accountKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// An Impersonation is a request to act as an account.
type Impersonation struct {
	By, Account, Method string
	Audience            string
	IncludeEmail        bool
	Delegates           []string
}

// serveAccounts answers what concerns accounts other than a developer's own, and reports
// whether it did.
func (e *Endpoint) serveAccounts(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"):
		e.impersonate(w, r)
	case r.PostFormValue("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
		e.assertion(w, r)
	case r.PostFormValue("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange":
		e.exchangeSubject(w, r)
	default:
		return false
	}
	return true
}

// assertion answers the grant of RFC 7523 as Google does: with an ID token if an audience
// is named, or else with an access token.
func (e *Endpoint) assertion(w http.ResponseWriter, r *http.Request) {
	key, err := accountKey()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var claims struct {
		jwt.Claims
		Target string `json:"target_audience"`
		Scope  string `json:"scope"`
	}
	signed, err := jwt.ParseSigned(r.PostFormValue("assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || signed.Claims(key.Public(), &claims) != nil || claims.Issuer != Account || !claims.Audience.Contains(e.URL) || claims.Expiry.Time().Before(time.Now()) {
		Refuse("invalid_grant", "")(w, r)
		return
	}
	if claims.Target == "" {
		e.answer(w, map[string]any{"access_token": e.access(Account), "token_type": "Bearer", "expires_in": 3600})
		return
	}
	e.answer(w, map[string]any{"id_token": e.mint(Account, claims.Target)})
}

// exchangeSubject is the Security Token Service.
func (e *Endpoint) exchangeSubject(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("subject_token") != SubjectToken {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"for %s"}`, r.PostFormValue("subject_token"))
		return
	}
	e.answer(w, map[string]any{
		"access_token": e.access("principal://pool/subject"), "token_type": "Bearer", "expires_in": 3600,
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
	})
}

// impersonate is the IAM Credentials API.
func (e *Endpoint) impersonate(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Audience     string   `json:"audience"`
		IncludeEmail bool     `json:"includeEmail"`
		Delegates    []string `json:"delegates"`
	}
	account, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/projects/-/serviceAccounts/"), ":")
	e.Lock()
	by, known := e.accesses[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	e.Unlock()
	switch {
	case !known:
		http.Error(w, r.Header.Get("Authorization"), http.StatusUnauthorized)
		return
	case json.NewDecoder(r.Body).Decode(&request) != nil:
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	e.Lock()
	e.impersonations = append(e.impersonations, Impersonation{by, account, method, request.Audience, request.IncludeEmail, request.Delegates})
	e.Unlock()
	if method == "generateAccessToken" {
		e.answer(w, map[string]any{"accessToken": e.access(account), "expireTime": time.Now().Add(time.Hour).Format(time.RFC3339)})
		return
	}
	e.answer(w, map[string]any{"token": e.mint(account, request.Audience)})
}

// Impersonations are all requests to act as an account, the oldest first.
func (e *Endpoint) Impersonations() []Impersonation {
	e.Lock()
	defer e.Unlock()
	return append([]Impersonation(nil), e.impersonations...)
}

// access makes an access token.
func (e *Endpoint) access(email string) string {
	e.Lock()
	defer e.Unlock()
	if e.accesses == nil {
		e.accesses = map[string]string{}
	}
	token := fmt.Sprintf("%s-%d", AccessToken, len(e.accesses))
	e.accesses[token] = email
	return token
}

// WriteKey writes the key of [Account], for a token endpoint, as the login file.
func WriteKey(t testing.TB, dir, tokenURL string) string {
	t.Helper()
	return WriteFile(t, dir, KeyJSON(t, tokenURL))
}

// KeyJSON is what [WriteKey] writes.
func KeyJSON(t testing.TB, tokenURL string) string {
	t.Helper()
	key, err := accountKey()
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	content, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": Account, "private_key_id": "1", "token_uri": tokenURL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	require.NoError(t, err)
	return string(content)
}

// Payload is what an ID token says, as JSON.
func Payload(t testing.TB, raw string) []byte {
	t.Helper()
	segments := strings.Split(raw, ".")
	require.Len(t, segments, 3)
	payload, err := base64.RawURLEncoding.DecodeString(segments[1])
	require.NoError(t, err)
	return payload
}

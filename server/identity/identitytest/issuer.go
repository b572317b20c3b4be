package identitytest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// Issuer is an OpenID provider on loopback, with a discovery document and keys.
type Issuer struct {
	URL string

	mu   sync.Mutex
	keys []jose.JSONWebKey // the newest last
	made int               // keys, ever
	down bool
	asks int
}

// NewIssuer starts an issuer that stops with the test.
func NewIssuer(t *testing.T) *Issuer {
	t.Helper()
	i := &Issuer{}
	mux := http.NewServeMux()
	server := httptest.NewServer(i.count(mux))
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.Rotate(t)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer":                                i.URL,
			"jwks_uri":                              i.URL + "/keys",
			"authorization_endpoint":                i.URL + "/authorize",
			"token_endpoint":                        i.URL + "/token",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		keys := []any{map[string]string{"kty": "AKP", "kid": "of a kind to come", "alg": "ML-DSA-44", "pub": "AA"}}
		for _, key := range i.PublicKeys().Keys {
			keys = append(keys, key)
		}
		answer(w, map[string]any{"keys": keys})
	})
	return i
}

// count counts what is asked, and answers nothing while the issuer is down.
func (i *Issuer) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.asks++
		down := i.down
		i.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Asks is how many questions came.
func (i *Issuer) Asks() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asks
}

// SetDown makes every question fail, or no longer.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Rotate adds a key, with which tokens are signed from now on.
func (i *Issuer) Rotate(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	i.keys = append(i.keys, jose.JSONWebKey{Key: key, KeyID: strconv.Itoa(i.made), Algorithm: "RS256", Use: "sig"})
}

// Withdraw puts a new key in the place of all that there were.
func (i *Issuer) Withdraw(t *testing.T) {
	t.Helper()
	i.Rotate(t)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// PublicKeys is the issuer's key set.
func (i *Issuer) PublicKeys() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// Token is a user token for the audience "berth", valid for an hour. overrides
// replace single claims; a nil value takes the claim out.
func (i *Issuer) Token(t *testing.T, email string, overrides Claims) string {
	t.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return Sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: key}, i.Claims(email, overrides))
}

// Claims are those of a [Issuer.Token].
func (i *Issuer) Claims(email string, overrides Claims) Claims {
	now := time.Now()
	claims := Claims{
		"iss":            i.URL,
		"aud":            "berth",
		"sub":            "sub-of-" + email,
		"email":          email,
		"email_verified": true,
		"iat":            now.Unix(),
		"exp":            now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, overrides)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// TokenOf is a user token of claims as they are written, such as some that are there
// twice.
func (i *Issuer) TokenOf(t *testing.T, claims string) string {
	t.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: key}, []byte(claims))
}

// Sign makes a JWT of claims.
func Sign(t *testing.T, key jose.SigningKey, claims Claims) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	return sign(t, key, payload)
}

func sign(t *testing.T, key jose.SigningKey, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}

// PrivateKey is the key that tokens are signed with now.
func (i *Issuer) PrivateKey() crypto.Signer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1].Key.(*rsa.PrivateKey)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a test that does not get it fails
}

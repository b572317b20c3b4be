package identity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/identity"
)

// clock is moved by hand.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func segment(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestVerifyIDToken(t *testing.T) {
	now := time.Now()
	d := populated(t)
	publicKey := publicKey(t, d)
	foreignKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)

	valid, err := d.IDToken("ana@example.com", "https://service.example")
	require.NoError(t, err)
	parts := strings.Split(valid, ".")

	claims := func(changes map[string]any) map[string]any {
		c := map[string]any{
			"iss": issuer, "aud": "https://service.example", "sub": "1", "email": "ana@example.com", "email_verified": true,
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		maps.Copy(c, changes)
		return c
	}
	sign := func(key jose.SigningKey, c map[string]any) string {
		signer, err := jose.NewSigner(key, nil)
		require.NoError(t, err)
		token, err := jwt.Signed(signer).Claims(c).Serialize()
		require.NoError(t, err)
		return token
	}
	foreign := jose.SigningKey{Algorithm: jose.RS256, Key: foreignKey}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(publicKey)})
	jsonSerialization := `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`

	tests := []struct {
		name, token string
	}{
		{"an empty token", ""},
		{"not a token", "abc"},
		{"two segments", parts[0] + "." + parts[1]},
		{"an empty signature", parts[0] + "." + parts[1] + "."},
		{"a signature that was removed", parts[0] + "." + parts[1] + ".SIGNATURE_REMOVED_BY_GOOGLE"},
		{"a tampered payload", parts[0] + "." + segment(t, claims(map[string]any{"email": "bob@example.com"})) + "." + parts[2]},
		{"alg none", segment(t, map[string]string{"alg": "none"}) + "." + parts[1] + ".AA"},
		{"alg none in capitals", segment(t, map[string]string{"alg": "None"}) + "." + parts[1] + "." + parts[2]},
		{"another key", sign(foreign, claims(nil))},
		{"HMAC with the public key", sign(jose.SigningKey{Algorithm: jose.HS256, Key: publicPEM}, claims(nil))},
		{"the JSON serialization of a valid token", jsonSerialization},
		{"two tokens joined", valid + "," + valid},
		{"a very long token", valid + strings.Repeat("A", 20<<10)},
	}
	for _, tt := range tests {
		t.Run(tt.name+" is refused", func(t *testing.T) {
			_, err := d.VerifyIDToken(t.Context(), tt.token)
			require.ErrorIs(t, err, identity.ErrInvalidToken)
			if len(tt.token) > 20 {
				assert.NotContains(t, err.Error(), tt.token[:20], "the error holds token text")
			}
		})
	}

	got, err := d.VerifyIDToken(t.Context(), valid)
	require.NoError(t, err)
	assert.Equal(t, "ana@example.com", got.Email)
	assert.True(t, got.EmailVerified)
	assert.Equal(t, []string{"https://service.example"}, got.Audience)
	assert.Len(t, got.Subject, 21)
	assert.WithinDuration(t, now.Add(time.Hour), got.Expires, time.Minute)
}

func TestVerifyIDTokenHoldsToTheTimeOfTheToken(t *testing.T) {
	c := &clock{now: time.Now()}
	d, err := identity.New(identity.Options{Issuer: issuer, TokenLifetime: 10 * time.Minute, Now: c.Now})
	require.NoError(t, err)
	require.NoError(t, d.AddPerson("ana@example.com"))
	token, err := d.IDToken("ana@example.com", "a")
	require.NoError(t, err)
	access, err := d.AccessToken("ana@example.com")
	require.NoError(t, err)

	c.now = c.now.Add(9 * time.Minute)
	_, err = d.VerifyIDToken(t.Context(), token)
	require.NoError(t, err, "before it expires")
	_, err = d.Authenticate(access)
	require.NoError(t, err, "before it expires")

	c.now = c.now.Add(2 * time.Minute)
	_, err = d.VerifyIDToken(t.Context(), token)
	require.ErrorContains(t, err, "expired")
	_, err = d.Authenticate(access)
	require.ErrorIs(t, err, identity.ErrInvalidToken)

	c.now = c.now.Add(-time.Hour)
	_, err = d.VerifyIDToken(t.Context(), token)
	require.ErrorContains(t, err, "issued in the future")
}

func TestATokenOfAnotherDirectoryIsRefused(t *testing.T) {
	ours, theirs := populated(t), populated(t)
	token, err := theirs.IDToken("ana@example.com", "a")
	require.NoError(t, err)
	_, err = ours.VerifyIDToken(t.Context(), token)
	require.ErrorIs(t, err, identity.ErrInvalidToken)
}

func TestTokensAreForPeopleAndServiceAccountsInTheDirectory(t *testing.T) {
	d := populated(t)
	for _, email := range []string{"eve@example.com", "team@example.com", "not an address"} {
		_, err := d.IDToken(email, "a")
		require.Error(t, err, email)
		_, err = d.AccessToken(email)
		require.Error(t, err, email)
		_, err = d.Login(email)
		require.Error(t, err, email)
	}
	_, err := d.IDToken("agent@p.iam.gserviceaccount.com", "a")
	require.NoError(t, err)
	_, err = d.Login("agent@p.iam.gserviceaccount.com")
	require.ErrorIs(t, err, identity.ErrNotFound, "a service account does not log in")
}

// login is the credentials file.
type login struct {
	Type         string `json:"type"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
	TokenURI     string `json:"token_uri"`
}

func logIn(t *testing.T, d *identity.Directory, email string) login {
	t.Helper()
	file, err := d.Login(email)
	require.NoError(t, err)
	var l login
	require.NoError(t, json.Unmarshal(file, &l))
	return l
}

func (l login) form() url.Values {
	return url.Values{
		"grant_type": {"refresh_token"}, "client_id": {l.ClientID}, "client_secret": {l.ClientSecret}, "refresh_token": {l.RefreshToken},
	}
}

// post returns the status and the decoded body.
func post(t *testing.T, d *identity.Directory, form url.Values) (int, map[string]any) {
	t.Helper()
	server := httptest.NewServer(d.Handler())
	defer server.Close()
	res, err := http.PostForm(server.URL+"/token", form)
	require.NoError(t, err)
	defer res.Body.Close()
	var body map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
	return res.StatusCode, body
}

func TestTheTokenEndpointAnswersARefreshTokenWithAnIDToken(t *testing.T) {
	d := populated(t)
	l := logIn(t, d, "ana@example.com")
	assert.Equal(t, "authorized_user", l.Type)
	assert.Equal(t, d.ClientID(), l.ClientID)
	assert.Equal(t, issuer+"/token", l.TokenURI, "a login says where it belongs")

	status, body := post(t, d, l.form())
	require.Equal(t, http.StatusOK, status, body)
	assert.Equal(t, "Bearer", body["token_type"])
	assert.EqualValues(t, 3600, body["expires_in"])
	assert.Contains(t, body["scope"], "openid")

	email, err := d.Authenticate(body["access_token"].(string))
	require.NoError(t, err)
	assert.Equal(t, "ana@example.com", email)
	claims, err := d.VerifyIDToken(t.Context(), body["id_token"].(string))
	require.NoError(t, err)
	assert.Equal(t, "ana@example.com", claims.Email)
	assert.Equal(t, []string{d.ClientID()}, claims.Audience)
}

func TestTheTokenEndpointRefusesAsGoogleDoes(t *testing.T) {
	d := populated(t)
	fresh := logIn(t, d, "bob@example.com").form()
	with := func(field, value string) url.Values {
		form := maps.Clone(fresh)
		form[field] = []string{value}
		return form
	}
	loggedOut := logIn(t, d, "ana@example.com").form()
	_, before := post(t, d, loggedOut)
	d.Logout("ana@example.com")
	_, err := d.Authenticate(before["access_token"].(string))
	require.ErrorIs(t, err, identity.ErrInvalidToken, "a logout revokes access tokens")

	require.NoError(t, d.AddPerson("cy@example.com"))
	removed := logIn(t, d, "cy@example.com").form()
	require.NoError(t, d.RemovePerson("cy@example.com"))
	require.NoError(t, d.AddPerson("cy@example.com"))

	tests := []struct {
		name              string
		form              url.Values
		status            int
		code, description string
	}{
		{"a login that was ended", loggedOut, 400, "invalid_grant", "Token has been expired or revoked."},
		{"a login of a person removed and added again", removed, 400, "invalid_grant", "Token has been expired or revoked."},
		{"an unknown refresh token", with("refresh_token", "1//x"), 400, "invalid_grant", "Bad Request"},
		{"a wrong client", with("client_id", "x"), 401, "invalid_client", "The OAuth client was not found."},
		{"a wrong client secret", with("client_secret", "x"), 401, "invalid_client", "The OAuth client was not found."},
		{"another grant", with("grant_type", "password"), 400, "unsupported_grant_type", "Invalid grant_type: only refresh_token is served here."},
		{"a form too large", with("x", strings.Repeat("x", 70<<10)), 400, "invalid_request", "Malformed or too large form."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := post(t, d, tt.form)
			assert.Equal(t, tt.status, status)
			assert.Equal(t, map[string]any{"error": tt.code, "error_description": tt.description}, body)
		})
	}
	status, _ := post(t, d, fresh)
	assert.Equal(t, http.StatusOK, status, "others are untouched")
}

// publicKey fetches the key from the JWKS as a relying party would.
func publicKey(t *testing.T, d *identity.Directory) *rsa.PublicKey {
	t.Helper()
	recorder := httptest.NewRecorder()
	d.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/certs", nil))
	var keys jose.JSONWebKeySet
	require.NoError(t, json.NewDecoder(recorder.Body).Decode(&keys))
	require.Len(t, keys.Keys, 1)
	key, ok := keys.Keys[0].Key.(*rsa.PublicKey)
	require.True(t, ok)
	assert.Equal(t, 2048, key.N.BitLen())
	return key
}

func TestAnOrdinaryRelyingPartyVerifiesATokenByDiscovery(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	d, err := identity.New(identity.Options{Issuer: server.URL})
	require.NoError(t, err)
	mux.Handle("/", d.Handler())
	require.NoError(t, d.AddPerson("ana@example.com"))
	token, err := d.IDToken("ana@example.com", "party")
	require.NoError(t, err)

	provider, err := oidc.NewProvider(t.Context(), server.URL)
	require.NoError(t, err)
	verified, err := provider.Verifier(&oidc.Config{ClientID: "party"}).Verify(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, server.URL, verified.Issuer)

	res, err := http.Get(server.URL + "/token")
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, res.Body)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
}

func TestATokenWithoutItsEMailIsStillTheAccounts(t *testing.T) {
	d := populated(t)
	token, err := d.IDTokenWithoutEmail("ana@example.com", "https://service.example")
	require.NoError(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	assert.NotContains(t, string(payload), "email")
	claims, err := d.VerifyIDToken(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, "ana@example.com", claims.Email)
	assert.True(t, claims.EmailVerified)

	require.NoError(t, d.RemovePerson("ana@example.com"))
	claims, err = d.VerifyIDToken(t.Context(), token)
	require.NoError(t, err)
	assert.Empty(t, claims.Email, "nobody any more")
	assert.False(t, claims.EmailVerified)
}

func TestAShortLivedTokenEndsWhenItSays(t *testing.T) {
	at := &clock{now: time.Now()}
	d, err := identity.New(identity.Options{Issuer: issuer, Now: at.Now, TokenLifetime: time.Hour})
	require.NoError(t, err)
	require.NoError(t, d.AddPerson("ana@example.com"))
	for asked, given := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: time.Minute, 5 * time.Hour: time.Hour} {
		start := at.now
		token, expires, err := d.ShortLivedAccessToken("ana@example.com", asked)
		require.NoError(t, err)
		assert.Equal(t, start.Add(given), expires)
		at.now = expires.Add(-time.Second)
		email, err := d.Authenticate(token)
		require.NoError(t, err)
		assert.Equal(t, "ana@example.com", email)
		at.now = expires
		_, err = d.Authenticate(token)
		assert.ErrorIs(t, err, identity.ErrInvalidToken)
	}
	_, _, err = d.ShortLivedAccessToken("nobody@example.com", 0)
	assert.ErrorIs(t, err, identity.ErrNotFound)
}

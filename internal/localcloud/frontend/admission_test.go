package frontend_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/frontend"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
)

const (
	authorization = "Authorization"
	serverless    = "X-Serverless-Authorization"
	removed       = ".SIGNATURE_REMOVED_BY_GOOGLE"
	invalidToken  = `Bearer error="invalid_token" error_description="The access token could not be verified"`
)

// bare is a token without its signature.
func bare(token string) string { return token[:strings.LastIndexByte(token, '.')] }

func bearers(tokens ...string) []string {
	var values []string
	for _, token := range tokens {
		values = append(values, "Bearer "+token)
	}
	return values
}

func TestWhoGetsIn(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	svc.CustomAudiences = []string{"https://custom.example"}
	url := w.deploy(svc, "acme-00001-abc")
	w.grant(acme, "group:team@example.com", "serviceAccount:agent@project.iam.gserviceaccount.com")

	ana, bob := w.token("ana@example.com", w.directory.ClientID()), w.token("bob@example.com", w.directory.ClientID())
	forged := bare(bob) + removed
	tests := []struct {
		name   string
		header http.Header
		want   int
		// passes are the headers that the instance sees.
		passes http.Header
	}{
		{"a member of the group by a login", http.Header{authorization: bearers(ana)}, 200, http.Header{authorization: bearers(bare(ana) + removed)}},
		{"the scheme in lower case", http.Header{authorization: {"bearer " + ana}}, 200, http.Header{authorization: bearers(bare(ana) + removed)}},
		{"in the platform's header", http.Header{serverless: bearers(ana)}, 200, http.Header{serverless: bearers(bare(ana) + removed)}},
		{"in the platform's header, with a token for the service itself", http.Header{serverless: bearers(ana), authorization: {"Bearer mine"}}, 200,
			http.Header{serverless: bearers(bare(ana) + removed), authorization: {"Bearer mine"}}},
		{"in the platform's header, with someone else's forged in the other", http.Header{serverless: bearers(ana), authorization: bearers(forged)}, 200,
			http.Header{serverless: bearers(bare(ana) + removed), authorization: bearers(forged)}},
		{"a service account for the service's URL", http.Header{authorization: bearers(w.token("agent@project.iam.gserviceaccount.com", url))}, 200, nil},
		{"a custom audience", http.Header{authorization: bearers(w.token("ana@example.com", "https://custom.example"))}, 200, nil},

		{"a person outside of the group", http.Header{authorization: bearers(bob)}, 403, nil},
		{"a person outside of the group, with a member's in the header that does not count", http.Header{serverless: bearers(bob), authorization: bearers(ana)}, 403, nil},

		{"no token", nil, 401, nil},
		{"another service's audience", http.Header{authorization: bearers(w.token("ana@example.com", "http://127.0.0.1:9"))}, 401, nil},
		{"an audience that begins like the URL", http.Header{authorization: bearers(w.token("ana@example.com", url+"0"))}, 401, nil},
		{"a token signed with another key", http.Header{authorization: bearers(foreignToken(t))}, 401, nil},
		{"alg none", http.Header{authorization: bearers(noneToken(ana))}, 401, nil},
		{"HMAC with the public key", http.Header{authorization: bearers(hmacToken(t, w.directory))}, 401, nil},
		{"a token whose signature was removed", http.Header{authorization: bearers(bare(ana) + removed)}, 401, nil},
		{"a tampered token", http.Header{authorization: bearers(strings.Split(ana, ".")[0] + "." + strings.Split(bob, ".")[1] + "." + strings.Split(ana, ".")[2])}, 401, nil},
		{"an access token", http.Header{authorization: bearers("ya29.x")}, 401, nil},
		{"another scheme", http.Header{authorization: {"Basic " + ana}}, 401, nil},
		{"an empty token", http.Header{authorization: {"Bearer "}}, 401, nil},
		{"the same header twice", http.Header{authorization: bearers(ana, ana)}, 401, nil},
		{"a valid one and a forged one", http.Header{authorization: bearers(ana, forged)}, 401, nil},
		{"the platform's header twice", http.Header{serverless: bearers(ana, forged)}, 401, nil},
		{"two tokens in one header", http.Header{authorization: {"Bearer " + ana + ", Bearer " + forged}}, 401, nil},
		{"an invalid platform header, although the other is valid", http.Header{serverless: {"x"}, authorization: bearers(ana)}, 401, nil},
		{"an empty platform header, although the other is valid", http.Header{serverless: {""}, authorization: bearers(ana)}, 401, nil},
		{"the checked header to be dropped on the way, in favour of a forged one", http.Header{serverless: bearers(ana), authorization: bearers(forged), "Connection": {"X-Serverless-Authorization"}}, 401, nil},
		{"no token in a header to be dropped", http.Header{authorization: bearers(ana), "Connection": {"close, authorization"}}, 401, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := get(t, url+"/mcp", tt.header)
			require.Equal(t, tt.want, res.StatusCode, res.body)
			switch tt.want {
			case http.StatusUnauthorized:
				challenge := invalidToken
				if strings.HasPrefix(tt.name, "no token") {
					challenge = "Bearer"
				}
				assert.Equal(t, challenge, res.Header.Get("WWW-Authenticate"))
				assert.Contains(t, res.body, "Error: Unauthorized")
			case http.StatusForbidden:
				assert.Empty(t, res.Header.Get("WWW-Authenticate"))
				assert.Contains(t, res.body, "<h1>Error: Forbidden</h1>")
				assert.Contains(t, res.body, "Your client does not have permission to get URL <code>/mcp</code> from this server.")
			case http.StatusOK:
				saw := res.seen(t)
				for name, values := range tt.passes {
					assert.Equal(t, values, saw.Header[name], name)
				}
				return
			}
			assert.Equal(t, "text/html; charset=UTF-8", res.Header.Get("Content-Type"))
			assert.Equal(t, "Google Frontend", res.Header.Get("Server"))
			assert.Empty(t, res.Header.Get("X-From-Instance"))
		})
	}
	assert.NotContains(t, w.log.String(), strings.Split(ana, ".")[1], "a token in the log")
}

func TestAccessFollowsMembershipAndPolicyAtOnce(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	status := func() int { return get(t, url+"/", w.as("bob@example.com")).StatusCode }
	require.Equal(t, 403, status())

	require.NoError(t, w.directory.AddGroup("contractors@example.com"))
	require.NoError(t, w.directory.AddMember("team@example.com", "contractors@example.com"))
	require.NoError(t, w.directory.AddMember("contractors@example.com", "bob@example.com"))
	assert.Equal(t, 200, status(), "in a group in the group")
	require.NoError(t, w.directory.RemoveMember("contractors@example.com", "bob@example.com"))
	assert.Equal(t, 403, status(), "removed")
	w.grant(acme, "user:bob@example.com")
	assert.Equal(t, 200, status(), "named in the policy")
	w.grant(acme)
	assert.Equal(t, 403, status(), "no longer named")

	w.grant(acme, "user:bob@example.com")
	held := w.as("bob@example.com")
	require.NoError(t, w.directory.RemovePerson("bob@example.com"))
	assert.Equal(t, 403, get(t, url+"/", held).StatusCode, "a person who is gone, with a token that is still in its time")
}

func TestATokenIsGoodForItsTimeOnly(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	header := w.as("ana@example.com")
	w.ahead.Store(int64(59 * time.Minute))
	assert.Equal(t, 200, get(t, url+"/", header).StatusCode)
	w.ahead.Store(int64(61 * time.Minute))
	res := get(t, url+"/", header)
	assert.Equal(t, 401, res.StatusCode)
	assert.Equal(t, invalidToken, res.Header.Get("WWW-Authenticate"))
	w.ahead.Store(-int64(time.Hour))
	assert.Equal(t, 401, get(t, url+"/", header).StatusCode, "before it was issued")
}

func TestADeveloperOfOneClientIsRefusedAtAnother(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	w.grant(globex, "user:bob@example.com")
	urls := map[string]string{
		"ana@example.com": w.deploy(w.service(acme), "acme-00001-abc"),
		"bob@example.com": w.deploy(w.service(globex), "globex-00001-abc"),
	}
	for email := range urls {
		for owner, url := range urls {
			want := 403
			if owner == email {
				want = 200
			}
			assert.Equal(t, want, get(t, url+"/", w.as(email)).StatusCode, "%s at the server of %s", email, owner)
		}
	}
}

func TestAnOpenServiceAsksNobodyAndPassesTokensAsTheyAre(t *testing.T) {
	for name, open := range map[string]func(*world) string{
		"by allUsers in the policy": func(w *world) string {
			w.grant(acme, "allUsers")
			return w.deploy(w.service(acme), "acme-00001-abc")
		},
		"by invokerIamDisabled": func(w *world) string {
			svc := w.service(acme)
			svc.InvokerIamDisabled = true
			return w.deploy(svc, "acme-00001-abc")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, frontend.Options{})
			url := open(w)
			get(t, url+"/", nil).seen(t)
			header := w.as("bob@example.com")
			assert.Equal(t, header[authorization], get(t, url+"/", header).seen(t).Header[authorization])
		})
	}
}

// foreignToken is right in all but its key.
func foreignToken(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return signed(t, jose.SigningKey{Algorithm: jose.RS256, Key: key})
}

func signed(t *testing.T, key jose.SigningKey) string {
	t.Helper()
	signer, err := jose.NewSigner(key, nil)
	require.NoError(t, err)
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": issuer, "aud": "local-cloud.apps.googleusercontent.com", "sub": "1", "email": "ana@example.com", "email_verified": true,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	require.NoError(t, err)
	return token
}

func noneToken(token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(token, ".")[1] + ".AA"
}

func hmacToken(t *testing.T, d *identity.Directory) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	d.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/certs", nil))
	var keys jose.JSONWebKeySet
	require.NoError(t, json.NewDecoder(recorder.Body).Decode(&keys))
	public, err := x509.MarshalPKIXPublicKey(keys.Keys[0].Key)
	require.NoError(t, err)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return signed(t, jose.SigningKey{Algorithm: jose.HS256, Key: secret})
}

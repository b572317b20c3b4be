package identity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
)

func nowhere(string) string { return "" }

func oidcOf(issuers ...identity.Issuer) identity.OIDCConfig {
	return identity.OIDCConfig{Resource: "http://localhost:3030/acme/mcp", Issuers: issuers}
}

func newOIDC(t *testing.T, getenv func(string) string, issuers ...identity.Issuer) identity.Verifier {
	t.Helper()
	v, err := identity.New(identity.Options{Mode: identity.ModeOIDC, Getenv: getenv, OIDC: oidcOf(issuers...)})
	require.NoError(t, err)
	return v
}

func TestOIDCTakesTheIssuersOwnTokensAndNoOther(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	other := identitytest.NewIssuer(t)
	v := newOIDC(t, nowhere, identity.Issuer{URL: issuer.URL, Audiences: []string{"other", "berth"}})

	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	publicKey, err := x509.MarshalPKIXPublicKey(issuer.PrivateKey().Public())
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey})
	sign := func(algorithm jose.SignatureAlgorithm, key any) string {
		return identitytest.Sign(t, jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, issuer.Claims("ada@example.com", nil))
	}
	valid := issuer.Token(t, "ada@example.com", nil)
	segments := strings.Split(valid, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims, err := json.Marshal(issuer.Claims("eve@example.com", nil))
	require.NoError(t, err)

	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	with := func(overrides identitytest.Claims) string { return issuer.Token(t, "ada@example.com", overrides) }
	for name, c := range map[string]struct {
		token   string
		refused string // empty: taken
	}{
		"valid":                           {valid, ""},
		"several audiences":               {with(identitytest.Claims{"aud": []string{"x", "berth"}}), ""},
		"expired within the clock skew":   {with(identitytest.Claims{"exp": at(-time.Second)}), ""},
		"valid soon, within the skew":     {with(identitytest.Claims{"nbf": at(20 * time.Second)}), ""},
		"verified, as a string":           {with(identitytest.Claims{"email_verified": "true"}), ""},
		"missing":                         {"", "not of the form"},
		"expired":                         {with(identitytest.Claims{"exp": at(-time.Minute)}), "expired"},
		"without expiry":                  {with(identitytest.Claims{"exp": nil}), "expired"},
		"not yet valid":                   {with(identitytest.Claims{"nbf": at(4 * time.Minute)}), "not valid for another"},
		"not before, and no number":       {with(identitytest.Claims{"nbf": "later"}), "not one that its issuer has signed"},
		"wrong audience":                  {with(identitytest.Claims{"aud": "another-server"}), "another audience"},
		"no audience":                     {with(identitytest.Claims{"aud": nil}), "another audience"},
		"wrong issuer":                    {other.Token(t, "ada@example.com", nil), "not configured"},
		"the issuer with a slash":         {with(identitytest.Claims{"iss": issuer.URL + "/"}), "not configured"},
		"another issuer's key":            {other.Token(t, "ada@example.com", identitytest.Claims{"iss": issuer.URL}), "not one that its issuer has signed"},
		"wrong key under the right name":  {sign(jose.RS256, foreign), "not one that its issuer has signed"},
		"an algorithm not offered":        {sign(jose.PS256, issuer.PrivateKey()), "not one that its issuer has signed"},
		"HMAC with the public key":        {sign(jose.HS256, publicPEM), "not one that its issuer has signed"},
		"alg none":                        {encode(`{"alg":"none","typ":"JWT"}`) + "." + segments[1] + ".", "not one that its issuer has signed"},
		"alg none with a signature":       {encode(`{"alg":"none","typ":"JWT"}`) + "." + segments[1] + "." + segments[2], "not one that its issuer has signed"},
		"tampered":                        {segments[0] + "." + base64.RawURLEncoding.EncodeToString(claims) + "." + segments[2], "not one that its issuer has signed"},
		"signature taken off":             {segments[0] + "." + segments[1] + ".", "not one that its issuer has signed"},
		"the platform's placeholder":      {segments[0] + "." + segments[1] + ".SIGNATURE_REMOVED_BY_GOOGLE", "not one that its issuer has signed"},
		"not a JWT":                       {"ya29.opaque", "not a JWT"},
		"larger than any token":           {valid + strings.Repeat("A", 20<<10), "has more than"},
		"no e-mail":                       {with(identitytest.Claims{"email": nil}), "names no e-mail"},
		"an e-mail that is none":          {with(identitytest.Claims{"email": "ada"}), "names no e-mail"},
		"an e-mail of another type":       {with(identitytest.Claims{"email": 7}), "names no e-mail"},
		"e-mail not verified":             {with(identitytest.Claims{"email_verified": false}), "not verified"},
		"nothing said of the verifcation": {with(identitytest.Claims{"email_verified": nil}), "not verified"},
		"no subject":                      {with(identitytest.Claims{"sub": nil}), "no subject"},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := v.Verify(request([2]string{authorization, "Bearer " + c.token}))
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
				assert.NotErrorIs(t, err, identity.ErrUnavailable)
				assert.Zero(t, caller)
				if c.token != "" {
					assert.NotContains(t, err.Error(), c.token)
				}
				return
			}
			require.NoError(t, err)
			assert.Equal(t, identity.Caller{Email: "ada@example.com", Subject: "sub-of-ada@example.com", Issuer: issuer.URL, ClaimsByEmail: true, Mode: identity.ModeOIDC}, caller)
		})
	}
	t.Run("twice", func(t *testing.T) {
		_, err := v.Verify(request([2]string{authorization, "Bearer " + valid}, [2]string{authorization, "Bearer " + valid}))
		assert.ErrorContains(t, err, "more than once")
	})
}

func TestBehindCloudRunOneTokenOpensTheDoorAndTheOtherSaysForWhom(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	v := newOIDC(t, onCloudRun, identity.Issuer{URL: issuer.URL, Audiences: []string{"berth"}})
	door := "Bearer " + identitytest.PlatformToken("dev@agency.example", nil)
	forgedDoor := "Bearer " + identitytest.Token("dev@agency.example", nil, "c2lnbmF0dXJl")
	user := "Bearer " + issuer.Token(t, "ada@example.com", nil)
	for _, c := range []struct {
		name    string
		lines   [][2]string
		refused string
	}{
		{"both", [][2]string{{serverless, door}, {authorization, user}}, ""},
		{"both, the other way round", [][2]string{{authorization, user}, {serverless, door}}, ""},
		{"the user's alone", [][2]string{{authorization, user}}, "opens the door: it is missing"},
		{"the developer's alone", [][2]string{{serverless, door}}, "for whom: it is missing"},
		{"the developer's in both", [][2]string{{serverless, door}, {authorization, door}}, "not configured"},
		{"exchanged", [][2]string{{serverless, user}, {authorization, door}}, "still has its signature"},
		{"a door that nobody checked", [][2]string{{serverless, forgedDoor}, {authorization, user}}, "still has its signature"},
		{"two doors", [][2]string{{serverless, door}, {serverless, door}, {authorization, user}}, "more than once"},
		{"an empty door", [][2]string{{serverless, ""}, {authorization, user}}, "not of the form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := v.Verify(request(c.lines...))
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "ada@example.com", caller.Email)
			assert.Equal(t, "dev@agency.example", caller.Via)
		})
	}
}

func TestAnIssuerIsBelievedAboutItsOwnPeopleAlone(t *testing.T) {
	inside, partner := identitytest.NewIssuer(t), identitytest.NewIssuer(t)
	v := newOIDC(t, nowhere,
		identity.Issuer{URL: inside.URL, Audiences: []string{"berth"}, Domains: []string{"Example.com"}},
		identity.Issuer{URL: partner.URL, Audiences: []string{"berth"}, Domains: []string{"partner.example"}, GroupPrefix: "partner/",
			EmailClaim: "upn", GroupsClaim: "roles", UnverifiedEmail: true},
	)
	verify := func(token string) (identity.Caller, error) {
		return v.Verify(request([2]string{authorization, "Bearer " + token}))
	}
	ada, err := verify(inside.Token(t, "Ada@example.com", identitytest.Claims{"groups": []string{"managers", "staff"}}))
	require.NoError(t, err)
	assert.Equal(t, []string{"managers", "staff"}, ada.Groups)

	bob, err := verify(partner.Token(t, "", identitytest.Claims{"upn": "bob@partner.example", "roles": "managers", "email_verified": nil}))
	require.NoError(t, err)
	assert.Equal(t, "bob@partner.example", bob.Email)
	assert.Equal(t, []string{"partner/managers"}, bob.Groups)

	_, err = verify(partner.Token(t, "", identitytest.Claims{"upn": "ada@example.com", "email_verified": nil}))
	require.ErrorContains(t, err, "does not speak for")
	_, err = verify(partner.Token(t, "", identitytest.Claims{"upn": "bob@partner.example", "email_verified": false}))
	require.ErrorContains(t, err, "not verified")
}

func TestAllThatIsWrongWithIssuersIsTold(t *testing.T) {
	err := identity.OIDCConfig{
		Resource: "http://acme.example/mcp",
		Issuers: []identity.Issuer{
			{URL: "https://ada:secret@issuer.example"},
			{URL: "ftp://issuer.example", Audiences: []string{"berth"}, Domains: []string{"example.com"}},
			{URL: "ftp://issuer.example", Audiences: []string{""}, Domains: []string{"example.com"}, GroupPrefix: "p/"},
		},
	}.Check()
	for _, want := range []string{
		`oidc.resource: "http://acme.example/mcp" is not https`,
		"oidc.issuers[0].issuer: ", "oidc.issuers[0].audiences: ", "oidc.issuers[0].domains: ",
		`oidc.issuers[1].issuer: "ftp://issuer.example" is not https`, "oidc.issuers[1].group_prefix: ",
		`oidc.issuers[2].issuer: "ftp://issuer.example" is there twice`, "oidc.issuers[2].audiences: ",
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "secret")
	assert.ErrorContains(t, identity.OIDCConfig{}.Check(), "oidc.issuers: there is none")
}

func TestAClientIsToldWhereToLogIn(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	v := newOIDC(t, nowhere, identity.Issuer{URL: issuer.URL, Audiences: []string{"berth"}})
	handler := identity.Require(v, slog.New(slog.DiscardHandler), http.NotFoundHandler())
	challenge := func(lines ...[2]string) string {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request(lines...))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		return w.Header().Get("WWW-Authenticate")
	}
	const metadata = `Bearer resource_metadata="http://localhost:3030/.well-known/oauth-protected-resource/acme/mcp"`
	assert.Equal(t, metadata, challenge())
	assert.Equal(t, metadata+`, error="invalid_token"`, challenge([2]string{authorization, "Bearer nonsense"}))

	w := httptest.NewRecorder()
	v.(*identity.OIDC).MetadataHandler("Acme portal").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/oauth-protected-resource/mcp", nil))
	raw, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	assert.JSONEq(t, `{"resource":"http://localhost:3030/acme/mcp","authorization_servers":["`+issuer.URL+`"],"bearer_methods_supported":["header"],"resource_name":"Acme portal"}`, string(raw))
}

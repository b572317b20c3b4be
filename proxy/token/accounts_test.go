package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

const (
	target = "target@my-project.iam.gserviceaccount.com"
	other  = "https://other.example"
)

// secrets may be in no message, whatever goes wrong.
var secrets = []string{tokentest.RefreshToken, tokentest.AccessToken, tokentest.SubjectToken, "PRIVATE KEY", "client-secret"}

func assertNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range secrets {
		assert.NotContains(t, text, secret)
	}
}

// origin is the endpoint's, without the path.
func origin(e *tokentest.Endpoint) string { return strings.TrimSuffix(e.URL, "/token") }

func actAsURL(e *tokentest.Endpoint) string {
	return origin(e) + "/v1/projects/-/serviceAccounts/" + target + ":generateAccessToken"
}

// file writes JSON as the login file.
func file(t *testing.T, content map[string]any) string {
	t.Helper()
	b, err := json.Marshal(content)
	require.NoError(t, err)
	return tokentest.WriteFile(t, t.TempDir(), string(b))
}

func impersonatedFile(t *testing.T, e *tokentest.Endpoint, source string) string {
	t.Helper()
	return file(t, map[string]any{
		"type": "impersonated_service_account", "service_account_impersonation_url": actAsURL(e),
		"delegates": []string{"between@my-project.iam.gserviceaccount.com"}, "source_credentials": json.RawMessage(source),
	})
}

func externalFile(t *testing.T, e *tokentest.Endpoint, changes map[string]any) string {
	t.Helper()
	subject := filepath.Join(t.TempDir(), "subject")
	require.NoError(t, os.WriteFile(subject, []byte(tokentest.SubjectToken), 0o600))
	content := map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": origin(e) + "/v1/token",
		"service_account_impersonation_url": actAsURL(e), "credential_source": map[string]any{"file": subject},
	}
	for key, value := range changes {
		if content[key] = value; value == nil {
			delete(content, key)
		}
	}
	return file(t, content)
}

func userJSON(e *tokentest.Endpoint) string {
	return fmt.Sprintf(`{"type":"authorized_user","client_id":"i","client_secret":"client-secret","refresh_token":%q,"token_uri":%q}`, tokentest.RefreshToken, e.URL)
}

func claims(t *testing.T, raw string) (email, audience string) {
	t.Helper()
	var c struct {
		Email string `json:"email"`
		Aud   string `json:"aud"`
	}
	require.NoError(t, json.Unmarshal(tokentest.Payload(t, raw), &c))
	return c.Email, c.Aud
}

func TestEveryTypeOfCredentialGivesATokenForItsAudience(t *testing.T) {
	between := []string{"projects/-/serviceAccounts/between@my-project.iam.gserviceaccount.com"}
	for name, test := range map[string]struct {
		options func(t *testing.T, e *tokentest.Endpoint) token.Options
		email   string
		shared  bool // one token serves all audiences
		by      string
		chain   []string
	}{
		"a developer's own login": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)}
			}, email: "ada@example.com", shared: true},
		"a service account's key": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: tokentest.WriteKey(t, t.TempDir(), e.URL)}
			}, email: tokentest.Account},
		"a developer who acts as a service account, by file": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: impersonatedFile(t, e, userJSON(e))}
			}, email: target, by: "ada@example.com", chain: between},
		"a service account that acts as another, by file": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: impersonatedFile(t, e, tokentest.KeyJSON(t, e.URL))}
			}, email: target, by: tokentest.Account, chain: between},
		"a developer who acts as a service account, by option": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken), Impersonate: []string{target}}
			}, email: target, by: "ada@example.com"},
		"the same through another account": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken), Impersonate: []string{"between@my-project.iam.gserviceaccount.com", target}}
			}, email: target, by: "ada@example.com", chain: between},
		"an external account that acts as a service account, by file": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: externalFile(t, e, nil)}
			}, email: target, by: "principal://pool/subject"},
		"the same by option": {
			options: func(t *testing.T, e *tokentest.Endpoint) token.Options {
				return token.Options{File: externalFile(t, e, map[string]any{"service_account_impersonation_url": nil}), Impersonate: []string{target}}
			}, email: target, by: "principal://pool/subject"},
	} {
		t.Run(name, func(t *testing.T) {
			e := tokentest.New(t)
			o := test.options(t, e)
			o.TokenURL, o.IAMURL = e.URL, origin(e)
			s := token.NewSource(o)
			first, err := s.Token(t.Context(), audience)
			require.NoError(t, err)
			assert.Equal(t, test.email, first.Email)
			again, err := s.Token(t.Context(), audience)
			require.NoError(t, err)
			assert.Equal(t, first, again)
			second, err := s.Token(t.Context(), other)
			require.NoError(t, err)
			if test.shared {
				assert.Equal(t, first, second)
				return
			}
			assert.Equal(t, test.email, second.Email)
			for tok, want := range map[token.Token]string{first: audience, second: other} {
				_, aud := claims(t, strings.TrimPrefix(tok.Bearer(), "Bearer "))
				assert.Equal(t, want, aud)
			}
			for _, i := range e.Impersonations() {
				assert.Equal(t, test.by, i.By)
				assert.Equal(t, target, i.Account)
				assert.Equal(t, "generateIdToken", i.Method)
				assert.True(t, i.IncludeEmail, "servers know people by their address")
				assert.Equal(t, test.chain, i.Delegates)
			}
		})
	}
}

func TestEveryTypeOfCredentialOpensTheAPIs(t *testing.T) {
	e := tokentest.New(t)
	for name, o := range map[string]token.Options{
		"user":         {File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)},
		"key":          {File: tokentest.WriteKey(t, t.TempDir(), e.URL)},
		"impersonated": {File: impersonatedFile(t, e, userJSON(e))},
		"external":     {File: externalFile(t, e, map[string]any{"service_account_impersonation_url": nil})},
	} {
		o.TokenURL = e.URL
		access, err := token.NewSource(o).AccessToken(t.Context(), "API", e.URL)
		require.NoError(t, err, name)
		assert.True(t, strings.HasPrefix(access, tokentest.AccessToken), name)
	}
	_, err := token.NewSource(token.Options{Given: fromGcloud("ada@example.com")}).AccessToken(t.Context(), "API", "https://run.googleapis.com")
	assert.ErrorContains(t, err, "the token in BERTH_PROXY_TOKEN is an ID token, which opens no API of Google's")
}

// What a login is worth must not reach a place that a file was made to name.
func TestALoginGoesOnlyWhereItBelongs(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was asked") }))
	t.Cleanup(evil.Close)
	local := tokentest.New(t)
	google, roots := tokentest.NewGoogle(t, network)
	actAsEvil := strings.Replace(actAsURL(google), "https://oauth2.googleapis.com", evil.URL, 1)
	impersonate := func(url, source string) string {
		return file(t, map[string]any{"type": "impersonated_service_account", "service_account_impersonation_url": url, "source_credentials": json.RawMessage(source)})
	}
	for name, o := range map[string]token.Options{
		"a key of Google's to a local endpoint":   {File: tokentest.WriteKey(t, t.TempDir(), google.URL), TokenURL: local.URL},
		"a key to an endpoint in its file":        {File: tokentest.WriteKey(t, t.TempDir(), evil.URL)},
		"a developer's token to act as another":   {File: impersonate(actAsEvil, userJSON(google))},
		"a token to a host that is nearly Google": {File: impersonate("https://iamcredentials.googleapis.com.evil.example/v1/projects/-/serviceAccounts/"+target+":generateAccessToken", userJSON(google))},
		"a token to Google in the clear":          {File: impersonate("http://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"+target+":generateAccessToken", userJSON(google))},
		"a token to another path":                 {File: impersonate("https://iamcredentials.googleapis.com/v1/x?"+target+":generateAccessToken", userJSON(google))},
		"a local token to Google":                 {File: impersonate(actAsURL(google), userJSON(local)), TokenURL: local.URL},
		"a token to an API that is configured":    {File: tokentest.WriteLogin(t, t.TempDir(), google.URL, tokentest.RefreshToken), Impersonate: []string{target}, IAMURL: evil.URL},
		"what an external account is known by":    {File: externalFile(t, google, map[string]any{"token_url": evil.URL})},
		"an external account's token":             {File: externalFile(t, google, map[string]any{"service_account_impersonation_url": actAsEvil})},
		"an external account without an endpoint": {File: externalFile(t, google, map[string]any{"token_url": nil})},
	} {
		t.Run(name, func(t *testing.T) {
			before := google.Exchanges() + local.Exchanges()
			o.RootCAs = roots
			_, err := token.NewSource(o).Token(t.Context(), audience)
			var login *token.LoginError
			require.ErrorAs(t, err, &login)
			assertNoSecret(t, err.Error())
			assert.Equal(t, before, google.Exchanges()+local.Exchanges(), "nothing is sent")
		})
	}
}

// An access token opens every API of the developer's account, so that a configured API gets
// none unless it belongs to the cloud of the login.
func TestSource_AccessTokenIsForAPIsOfTheLoginsCloud(t *testing.T) {
	local := tokentest.New(t)
	google, roots := tokentest.NewGoogle(t, network)
	ofGoogle := token.Options{File: tokentest.WriteLogin(t, t.TempDir(), google.URL, tokentest.RefreshToken), RootCAs: roots}
	ofLocal := token.Options{File: tokentest.WriteLogin(t, t.TempDir(), local.URL, tokentest.RefreshToken), TokenURL: local.URL}
	for name, test := range map[string]struct {
		login token.Options
		api   string
		given bool
	}{
		"Google's":                             {ofGoogle, "https://run.googleapis.com", true},
		"Google's in a region":                 {ofGoogle, "https://europe-west1-run.googleapis.com", true},
		"another host":                         {ofGoogle, "https://run.example", false},
		"a host that is nearly Google's":       {ofGoogle, "https://run.googleapis.com.example", false},
		"Google's in the clear":                {ofGoogle, "http://run.googleapis.com", false},
		"a port of this machine":               {ofGoogle, "http://127.0.0.1:9", false},
		"another port of the local cloud":      {ofLocal, "http://127.0.0.1:9", true},
		"Google's, with a local cloud's login": {ofLocal, "https://run.googleapis.com", false},
	} {
		t.Run(name, func(t *testing.T) {
			before := google.Exchanges() + local.Exchanges()
			access, err := token.NewSource(test.login).AccessToken(t.Context(), "Cloud Run API", test.api)
			if test.given {
				require.NoError(t, err)
				assert.NotEmpty(t, access)
				return
			}
			var login *token.LoginError
			require.ErrorAs(t, err, &login)
			assert.ErrorContains(t, err, "as its Cloud Run API, which does not belong to the token endpoint")
			assert.Empty(t, access)
			assert.Equal(t, before, google.Exchanges()+local.Exchanges(), "none is asked for")
		})
	}
}

func TestWhatIsWrongWithAnAccountIsSaidInWords(t *testing.T) {
	refuse := func(path string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, path) {
				http.Error(w, "for "+r.Header.Get("Authorization")+r.PostFormValue("subject_token")+r.PostFormValue("assertion"), status)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600,"id_token":"x"}`, tokentest.AccessToken)
		}
	}
	key := func(t *testing.T, e *tokentest.Endpoint) string { return tokentest.WriteKey(t, t.TempDir(), e.URL) }
	impersonated := func(t *testing.T, e *tokentest.Endpoint) string { return impersonatedFile(t, e, userJSON(e)) }
	external := func(changes map[string]any) func(*testing.T, *tokentest.Endpoint) string {
		return func(t *testing.T, e *tokentest.Endpoint) string { return externalFile(t, e, changes) }
	}
	asIs := func(content string) func(*testing.T, *tokentest.Endpoint) string {
		return func(t *testing.T, e *tokentest.Endpoint) string {
			return tokentest.WriteFile(t, t.TempDir(), strings.ReplaceAll(content, "TOKEN_URL", e.URL))
		}
	}
	missing := filepath.Join(t.TempDir(), "subject")
	for name, test := range map[string]struct {
		file   func(t *testing.T, e *tokentest.Endpoint) string
		answer http.HandlerFunc
		login  bool
		want   []string
	}{
		"a key without its half":       {asIs(`{"type":"service_account","client_email":"a@b.example","token_uri":"TOKEN_URL"}`), nil, true, []string{"the service account's key in", "is not complete"}},
		"a key that is none":           {asIs(`{"type":"service_account","client_email":"a@b.example","private_key":"PRIVATE KEY","token_uri":"TOKEN_URL"}`), nil, true, []string{"cannot be read: make a new one"}},
		"a key that was withdrawn":     {key, tokentest.Refuse("invalid_grant", ""), true, []string{"the service account's key in", "make a new key", "clock"}},
		"an endpoint that fails":       {key, refuse("/", 503), false, []string{"answered 503"}},
		"acting that is not allowed":   {impersonated, refuse("/v1/", 403), true, []string{"acting as " + target, "roles/iam.serviceAccountTokenCreator on " + target}},
		"acting as nobody":             {impersonated, refuse("/v1/", 404), true, []string{"there is no such account"}},
		"acting with an ended login":   {impersonated, refuse("/v1/", 401), true, []string{"the login is not accepted", "gcloud auth application-default login"}},
		"acting in a wrong way":        {impersonated, refuse("/v1/", 400), true, []string{"refused (400)"}},
		"an API that fails":            {impersonated, refuse("/v1/", 500), false, []string{"the IAM Credentials API", "answered 500"}},
		"an API that talks nonsense":   {impersonated, refuse("/nothing", 500), false, []string{"not a JWT"}},
		"a source that is missing":     {asIs(`{"type":"impersonated_service_account","service_account_impersonation_url":"x"}`), nil, true, []string{"is not complete", "--impersonate-service-account=ACCOUNT`"}},
		"a source that has ended":      {impersonated, tokentest.Refuse("invalid_grant", ""), true, []string{"your login in", "gcloud auth application-default login"}},
		"an external one of no pool":   {external(map[string]any{"audience": nil}), nil, true, []string{"the external account in"}},
		"an external one of no source": {external(map[string]any{"credential_source": nil}), nil, true, []string{"is not complete"}},
		"an external one by itself":    {external(map[string]any{"service_account_impersonation_url": nil}), nil, true, []string{"gives no ID tokens by itself", "--impersonate-service-account"}},
		"a source that is not there":   {external(map[string]any{"credential_source": map[string]any{"file": missing}}), nil, true, []string{missing, "see to it that the file's source is there"}},
		"a source that is a token":     {external(map[string]any{"credential_source": map[string]any{"file": tokentest.SubjectToken}}), nil, true, []string{"its source: must be the path of a file"}},
		"a source that is a program":   {external(map[string]any{"credential_source": map[string]any{"executable": map[string]any{"command": "/bin/false"}}}), nil, true, []string{"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"}},
		"a pool that refuses":          {external(nil), refuse("/v1/token", 400), true, []string{"/v1/token answered 400", "check that identity pool and source"}},
		"a pool that fails":            {external(nil), refuse("/v1/token", 503), false, []string{"answered 503", "try again"}},
		"a person of a workforce":      {asIs(`{"type":"external_account_authorized_user","token_url":"TOKEN_URL","client_id":"i","client_secret":"client-secret","refresh_token":"r","audience":"a"}`), nil, true, []string{"gives no ID tokens by itself"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := tokentest.New(t)
			e.Set(func(e *tokentest.Endpoint) { e.Answer = test.answer })
			_, err := token.NewSource(token.Options{File: test.file(t, e), TokenURL: e.URL}).Token(t.Context(), audience)
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
			var login *token.LoginError
			assert.Equal(t, test.login, errors.As(err, &login), err.Error())
			assertNoSecret(t, err.Error())
		})
	}
}

func TestAnImpersonationIsNotSentWhereTheAPIPoints(t *testing.T) {
	e, elsewhere := tokentest.New(t), tokentest.New(t)
	file := impersonatedFile(t, e, userJSON(e))
	e.Set(func(e *tokentest.Endpoint) {
		e.Answer = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				e.Issue(w)
				return
			}
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}
	})
	_, err := token.NewSource(token.Options{File: file, TokenURL: e.URL}).Token(t.Context(), audience)
	require.ErrorContains(t, err, "answered 307")
	assert.Zero(t, elsewhere.Exchanges())
}

func TestAGivenTokenIsUsedAsItIs(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "nothing.json"))
	raw := fromGcloud("ci@example.com")
	tok, err := token.NewSource(token.Options{Given: raw}).Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, "Bearer "+raw, tok.Bearer())

	file := filepath.Join(t.TempDir(), "token")
	s := token.NewSource(token.Options{GivenFile: file})
	_, err = s.Token(t.Context(), audience)
	assert.ErrorContains(t, err, "there is no login at "+file+": it is where --token-file looks for an ID token")
	for _, raw := range []string{raw, fromGcloud("another@example.com")} {
		require.NoError(t, os.WriteFile(file+".new", []byte(raw+"\n"), 0o600))
		require.NoError(t, os.Rename(file+".new", file))
		tok, err = s.Token(t.Context(), audience)
		require.NoError(t, err, "the file is read again when it changes")
		assert.Equal(t, "Bearer "+raw, tok.Bearer())
		same, err := s.Renew(t.Context(), audience, tok)
		require.NoError(t, err)
		assert.Equal(t, tok.Bearer(), same.Bearer(), "there is no other")
	}
}

func TestAGivenTokenThatIsOfNoUseIsSaid(t *testing.T) {
	ended := tokentest.JWT(map[string]any{"iss": "https://accounts.google.com", "exp": time.Now().Add(-time.Minute).Unix()})
	for given, want := range map[string]string{
		ended: "the token in BERTH_PROXY_TOKEN expired at",
		"ya29.an-access-token-that-nobody-may-see": "the token in BERTH_PROXY_TOKEN cannot be used",
	} {
		_, err := token.NewSource(token.Options{Given: given}).Token(t.Context(), audience)
		var login *token.LoginError
		require.ErrorAs(t, err, &login)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), given)
	}
}

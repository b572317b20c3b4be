package token_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// onMachine has this process take itself for one on a machine of Google Cloud.
func onMachine(t *testing.T, answer http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			http.Error(w, "no flavor", http.StatusForbidden)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
}

func metadataServer(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/computeMetadata/v1/instance/service-accounts/default/identity":
			assert.Equal(t, "full", r.URL.Query().Get("format"), "or the account's address would be left out")
			fmt.Fprint(w, tokentest.JWT(map[string]any{"iss": "https://accounts.google.com", "email": "vm@my-project.iam.gserviceaccount.com", "aud": r.URL.Query().Get("audience"), "exp": 1 << 40}))
		case "/computeMetadata/v1/instance/service-accounts/default/token":
			fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, tokentest.AccessToken)
		default:
			http.NotFound(w, r)
		}
	}
}

func TestTheMachinesAccountServesIfAskedForOrIfNothingElseIsThere(t *testing.T) {
	onMachine(t, metadataServer(t))
	gcloud := installGcloud(t)
	gcloud.logIn(t, "", fromGcloud("ada@example.com"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	account := func(o token.Options) string {
		tok, err := token.NewSource(o).Token(t.Context(), audience)
		require.NoError(t, err)
		return tok.Email
	}
	const vm = "vm@my-project.iam.gserviceaccount.com"
	assert.Equal(t, vm, account(token.Options{Kind: token.Metadata}), "asked for")
	assert.Equal(t, "ada@example.com", account(token.Options{}), "the developer comes before the machine that they work on")

	t.Setenv("PATH", t.TempDir())
	s := token.NewSource(token.Options{})
	tok, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	_, aud := claims(t, strings.TrimPrefix(tok.Bearer(), "Bearer "))
	assert.Equal(t, vm, tok.Email)
	assert.Equal(t, audience, aud)
	access, err := s.AccessToken(t.Context(), "API", "https://run.googleapis.com")
	require.NoError(t, err)
	assert.Equal(t, tokentest.AccessToken, access)

	e := tokentest.New(t)
	_, err = token.NewSource(token.Options{TokenURL: e.URL}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, "there is no login at", "a cloud on this machine has nothing to do with what the machine is")
	_, err = token.NewSource(token.Options{Kind: token.ADC}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, "there is no login at")
}

func TestWhatIsWrongWithTheMachineIsSaidInWords(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"no account": {http.NotFound, "this machine has no service account: give it one, or run `gcloud auth application-default login`"},
		"a refusal": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, tokentest.AccessToken, http.StatusForbidden)
		}, "the metadata server answered 403"},
		"something else": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tokentest.AccessToken) }, "not a JWT"},
	} {
		t.Run(name, func(t *testing.T) {
			onMachine(t, test.answer)
			_, err := token.NewSource(token.Options{Kind: token.Metadata}).Token(t.Context(), audience)
			require.ErrorContains(t, err, test.want)
			assertNoSecret(t, err.Error())
		})
	}
	t.Setenv("GCE_METADATA_HOST", "127.0.0.1:1")
	_, err := token.NewSource(token.Options{Kind: token.Metadata}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, "reach the metadata server, which only a machine of Google Cloud has")
}

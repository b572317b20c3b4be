package token_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// fromGcloud is an ID token as gcloud prints it.
func fromGcloud(email string) string {
	return tokentest.JWT(map[string]any{
		"iss": "https://accounts.google.com", "aud": "32555940559.apps.googleusercontent.com", "email": email, "exp": time.Now().Add(time.Hour).Unix(),
	})
}

const printIdentity = "auth print-identity-token --quiet"

func TestGcloudsLoginServesWhereNoOtherIs(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv(token.GivenVariable, "a-given-token")
	gcloud := installGcloud(t)
	s := token.NewSource(token.Options{})
	_, err := s.Token(t.Context(), audience)
	var login *token.LoginError
	require.ErrorAs(t, err, &login)
	assert.ErrorContains(t, err, "`gcloud auth print-identity-token` failed (exit status 1): run `gcloud auth login`")

	ada, grace := fromGcloud("ada@example.com"), fromGcloud("grace@example.com")
	gcloud.logIn(t, "", ada)
	tok, err := s.Token(t.Context(), audience)
	require.NoError(t, err, "it recovers by itself")
	assert.Equal(t, "Bearer "+ada, tok.Bearer())
	again, err := s.Token(t.Context(), "https://other.example")
	require.NoError(t, err)
	assert.Equal(t, tok, again)
	assert.Equal(t, []string{printIdentity, printIdentity}, gcloud.calls(t), "one process serves all audiences, and knows nothing that it need not")

	gcloud.logIn(t, "", grace)
	tok, err = s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, "grace@example.com", tok.Email, "another account is used at once")

	// A login that is preferred may come later.
	e, roots := tokentest.NewGoogle(t, network)
	s = token.NewSource(token.Options{RootCAs: roots})
	_, err = s.Token(t.Context(), audience)
	require.NoError(t, err)
	tokentest.WriteLogin(t, os.Getenv("CLOUDSDK_CONFIG"), e.URL, tokentest.RefreshToken)
	tok, err = s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, "Bearer "+e.Tokens()[0], tok.Bearer())
}

func TestGcloudsAnswerIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   string
	}{
		"that is none":       {"hello", "not a JWT"},
		"that has ended":     {tokentest.JWT(map[string]any{"iss": "https://accounts.google.com", "exp": 1}), "before it arrived"},
		"that has no end":    {string(make([]byte, 1<<20)), "wrote more than a token"},
		"that is not needed": {fromGcloud("ada@example.com"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			gcloud := installGcloud(t)
			gcloud.logIn(t, "", test.answer)
			_, err := token.NewSource(token.Options{Kind: token.Gcloud}).Token(t.Context(), audience)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestWithoutGcloudThatIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CLOUDSDK_CONFIG", t.TempDir())
	_, err := token.NewSource(token.Options{Kind: token.Gcloud}).Token(t.Context(), audience)
	var login *token.LoginError
	require.ErrorAs(t, err, &login)
	assert.ErrorContains(t, err, "there is no gcloud command: install it from https://cloud.google.com/sdk/docs/install")
}

// refusedTwice has a platform refuse a login's token, and then the renewed one.
func refusedTwice(t *testing.T, s *token.Source, audience string) token.Token {
	t.Helper()
	first, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	second, err := s.Renew(t.Context(), audience, first)
	require.NoError(t, err)
	if second == first {
		return first
	}
	third, err := s.Renew(t.Context(), audience, second)
	require.NoError(t, err)
	return third
}

func TestAPlatformThatRefusesALoginIsGivenGcloudsTokenOfTheSameAccount(t *testing.T) {
	gcloud := installGcloud(t)
	e, roots := tokentest.NewGoogle(t, network)
	s := token.NewSource(token.Options{RootCAs: roots, File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)})
	ada := fromGcloud("ada@example.com")
	gcloud.logIn(t, "ada@example.com", ada)

	third := refusedTwice(t, s, audience)
	assert.Equal(t, "Bearer "+ada, third.Bearer())
	assert.Equal(t, []string{printIdentity + " --account=ada@example.com"}, gcloud.calls(t))
	kept, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, third, kept, "what served once is the first to be tried from then on")
	other, err := s.Token(t.Context(), "https://other.example")
	require.NoError(t, err)
	assert.Equal(t, "Bearer "+e.Tokens()[1], other.Bearer(), "where nothing was refused, nothing changes")

	back, err := s.Renew(t.Context(), audience, third)
	require.NoError(t, err)
	assert.Equal(t, third, back, "there is no fourth")
	for range 10 {
		assert.Equal(t, "Bearer "+e.Tokens()[1], refusedTwice(t, s, audience).Bearer())
	}
	assert.Len(t, gcloud.calls(t), 1, "gcloud is not asked again for what was of no use")
	assert.LessOrEqual(t, e.Exchanges(), 2)
}

func TestGcloudsTokenOfAnotherAccountIsNotUsed(t *testing.T) {
	gcloud := installGcloud(t)
	e, roots := tokentest.NewGoogle(t, network)
	s := token.NewSource(token.Options{RootCAs: roots, File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)})
	gcloud.logIn(t, "ada@example.com", fromGcloud("grace@example.com"))
	third := refusedTwice(t, s, audience)
	assert.Equal(t, "Bearer "+e.Tokens()[1], third.Bearer())
	assert.Len(t, gcloud.calls(t), 1)
}

func TestGcloudIsNotAskedForOtherLoginsThanADevelopersWithGoogle(t *testing.T) {
	gcloud := installGcloud(t)
	gcloud.logIn(t, "ada@example.com", fromGcloud("ada@example.com"))
	gcloud.logIn(t, "", fromGcloud("ada@example.com"))
	local := tokentest.New(t)
	google, roots := tokentest.NewGoogle(t, network)
	for name, s := range map[string]*token.Source{
		"a login of a cloud on this machine": token.NewSource(token.Options{TokenURL: local.URL, File: tokentest.WriteLogin(t, t.TempDir(), local.URL, tokentest.RefreshToken)}),
		"a service account":                  token.NewSource(token.Options{RootCAs: roots, File: tokentest.WriteKey(t, t.TempDir(), google.URL)}),
		"a given token":                      token.NewSource(token.Options{Given: fromGcloud("ada@example.com")}),
	} {
		t.Run(name, func(t *testing.T) {
			tok := refusedTwice(t, s, audience)
			assert.NotEmpty(t, tok.Bearer())
			assert.Empty(t, gcloud.calls(t))
		})
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	_, err := token.NewSource(token.Options{TokenURL: local.URL}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, "there is no login at")
	assert.Empty(t, gcloud.calls(t), "nor in place of a missing one")
}

func TestAnExtraAuthorityIsBelievedOnlyIfConfigured(t *testing.T) {
	e, roots := tokentest.NewGoogle(t, network)
	file := tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)
	_, err := token.NewSource(token.Options{File: file}).Token(t.Context(), audience)
	require.ErrorContains(t, err, "reach the token endpoint https://oauth2.googleapis.com/token: tls: failed to verify certificate")
	assert.Zero(t, e.Exchanges())

	_, err = token.NewSource(token.Options{File: file, RootCAs: roots}).Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, []string{"CONNECT oauth2.googleapis.com:443", "CONNECT oauth2.googleapis.com:443"}, network.Asked(), "by way of the corporate proxy")
}

package token_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// audience is what a token is asked for, where it does not matter.
const audience = "https://acme.example"

func newSource(t *testing.T, e *tokentest.Endpoint) (s *token.Source, dir string) {
	dir = t.TempDir()
	file := tokentest.WriteLogin(t, dir, e.URL, tokentest.RefreshToken)
	return token.NewSource(token.Options{File: file, TokenURL: e.URL}), dir
}

func TestATokenIsExchangedOnceAndThenKept(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	require.Zero(t, e.Exchanges(), "nothing is fetched before it is needed")
	first, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	second, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, 1, e.Exchanges())
	assert.Equal(t, first, second)
	assert.Equal(t, "ada@example.com", first.Email)
	assert.Equal(t, e.Issuer, first.Issuer)
	assert.Equal(t, "Bearer "+e.Tokens()[0], first.Bearer())
	assert.WithinDuration(t, time.Now().Add(time.Hour), first.Expires, time.Minute)
}

func TestManyRequestsAtOnceShareOneExchange(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	asked, release := make(chan struct{}, 100), make(chan struct{})
	e.Set(func(e *tokentest.Endpoint) {
		e.Answer = func(w http.ResponseWriter, _ *http.Request) {
			asked <- struct{}{}
			<-release
			e.Issue(w)
		}
	})

	// The one who started the exchange leaves; the others must still get its result.
	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := s.Token(impatient, audience); left <- err }()
	<-asked
	results := make(chan error)
	const callers = 50
	for range callers {
		go func() { _, err := s.Token(t.Context(), audience); results <- err }()
	}
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	close(release)
	for range callers {
		require.NoError(t, <-results)
	}
	assert.Equal(t, 1, e.Exchanges())
}

func TestATokenNearItsEndServesWhileItIsRenewed(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	e.Set(func(e *tokentest.Endpoint) { e.Lifetime = 2 * time.Minute })
	old, err := s.Token(t.Context(), audience)
	require.NoError(t, err)

	release := make(chan struct{})
	e.Set(func(e *tokentest.Endpoint) {
		e.Lifetime = time.Hour
		e.Answer = func(w http.ResponseWriter, _ *http.Request) { <-release; e.Issue(w) }
	})
	served, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.Equal(t, old, served, "the renewal is not waited for")
	close(release)
	require.Eventually(t, func() bool {
		now, err := s.Token(t.Context(), audience)
		return err == nil && now != old
	}, time.Minute, 5*time.Millisecond)
	assert.Equal(t, 2, e.Exchanges())
}

func TestARenewalThatFailsLeavesTheTokenInUse(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	e.Set(func(e *tokentest.Endpoint) { e.Lifetime = 2 * time.Minute })
	old, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	e.Set(func(e *tokentest.Endpoint) { e.Answer = tokentest.Refuse("invalid_grant", "") })
	for range 200 {
		served, err := s.Token(t.Context(), audience)
		require.NoError(t, err)
		require.Equal(t, old, served)
	}
	assert.LessOrEqual(t, e.Exchanges(), 5, "failing renewals must not follow every request")
}

func TestATokenThatHasEndedIsNotServed(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	e.Set(func(e *tokentest.Endpoint) { e.Lifetime = 5 * time.Second }) // less than a request may take
	first, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	second, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	assert.NotEqual(t, first, second)
}

func TestARefusedTokenIsExchangedForANewOne(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	old, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	renewed, err := s.Renew(t.Context(), audience, old)
	require.NoError(t, err)
	assert.NotEqual(t, old.Bearer(), renewed.Bearer(), "a remembered token is not a new one")
	again, err := s.Renew(t.Context(), audience, old)
	require.NoError(t, err)
	assert.Equal(t, renewed, again, "it was renewed already by another request")
	assert.Equal(t, 2, e.Exchanges())
}

func TestConstantRefusalsDoNotReachTheEndpointEveryTime(t *testing.T) {
	e := tokentest.New(t)
	s, _ := newSource(t, e)
	tok, err := s.Token(t.Context(), audience)
	require.NoError(t, err)
	for range 200 {
		tok, err = s.Renew(t.Context(), audience, tok)
		require.NoError(t, err)
	}
	assert.LessOrEqual(t, e.Exchanges(), 5)
}

func TestANewLoginIsUsedAtOnce(t *testing.T) {
	e := tokentest.New(t)
	s, dir := newSource(t, e)
	_, err := s.Token(t.Context(), audience)
	require.NoError(t, err)

	tokentest.WriteLogin(t, dir, e.URL, "1//of-an-account-that-was-removed")
	_, err = s.Token(t.Context(), audience)
	var login *token.LoginError
	require.ErrorAs(t, err, &login, "the old login's token must not outlive it")
	assert.ErrorContains(t, err, "run `gcloud auth application-default login`")

	tokentest.WriteLogin(t, dir, e.URL, tokentest.RefreshToken)
	_, err = s.Token(t.Context(), audience)
	require.NoError(t, err, "it recovers by itself")

	require.NoError(t, os.Remove(filepath.Join(dir, "application_default_credentials.json")))
	_, err = s.Token(t.Context(), audience)
	require.ErrorAs(t, err, &login, "logged out")
}

func TestWhatIsWrongWithALoginIsSaidInWords(t *testing.T) {
	expired := tokentest.JWT(map[string]any{"iss": "https://accounts.google.com", "exp": time.Now().Add(-time.Minute).Unix()})
	idToken := func(raw string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token":"an-access-token","id_token":%q}`, raw)
		}
	}
	for name, test := range map[string]struct {
		file   string // content of the login file; "": a good one
		answer http.HandlerFunc
		login  bool // a person has to log in
		want   []string
	}{
		"a login that has expired":            {answer: tokentest.Refuse("invalid_grant", ""), login: true, want: []string{"expired or was revoked", "gcloud auth application-default login"}},
		"a login that must be confirmed":      {answer: tokentest.Refuse("invalid_grant", "invalid_rapt"), login: true, want: []string{"log in again (invalid_rapt)", "gcloud auth application-default login"}},
		"a program that was withdrawn":        {answer: tokentest.Refuse("deleted_client", ""), login: true, want: []string{"deleted_client", "gcloud auth application-default login"}},
		"a login without an ID token":         {answer: idToken(""), login: true, want: []string{"scope openid", "gcloud auth application-default login"}},
		"a credential of another kind":        {file: `{"type":"gdch_service_account"}`, login: true, want: []string{`type "gdch_service_account", which are not supported`}},
		"a file that is not JSON":             {file: `hello`, login: true, want: []string{"is not JSON"}},
		"a file that is no login":             {file: `{"type":"authorized_user","token_uri":"TOKEN_URL"}`, login: true, want: []string{"not complete"}},
		"a file that is far too large":        {file: strings.Repeat(" ", 1<<20), login: true, want: []string{"too large for a login"}},
		"an ID token that is none":            {answer: idToken("abc"), want: []string{"not a JWT"}},
		"an ID token that could end a header": {answer: idToken("a.b\r\nX: y.c"), want: []string{"not base64url"}},
		"an ID token that has ended":          {answer: idToken(expired), want: []string{"set this computer's clock"}},
		"an endpoint that fails": {answer: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, tokentest.RefreshToken, http.StatusBadGateway)
		}, want: []string{"answered 502", "try again"}},
		"an endpoint that talks nonsense": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "<"+tokentest.RefreshToken)
		}, want: []string{"not a token"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := tokentest.New(t)
			e.Set(func(e *tokentest.Endpoint) { e.Answer = test.answer })
			s, dir := newSource(t, e)
			if test.file != "" {
				tokentest.WriteFile(t, dir, strings.ReplaceAll(test.file, "TOKEN_URL", e.URL))
			}
			_, err := s.Token(t.Context(), audience)
			require.Error(t, err)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
			var login *token.LoginError
			assert.Equal(t, test.login, errors.As(err, &login))
			assert.NotContains(t, err.Error(), tokentest.RefreshToken)
			assert.NotContains(t, err.Error(), "an-access-token")
		})
	}
}

func TestAnEndpointOutOfReachIsNotALoginProblem(t *testing.T) {
	e := tokentest.New(t)
	server := httptest.NewServer(nil)
	server.Close()
	file := tokentest.WriteLogin(t, t.TempDir(), server.URL, tokentest.RefreshToken)
	s := token.NewSource(token.Options{File: file, TokenURL: server.URL})
	_, err := s.Token(t.Context(), audience)
	require.ErrorContains(t, err, "reach the token endpoint "+server.URL)
	assert.ErrorContains(t, err, "check the network")
	assert.Zero(t, e.Exchanges())
}

func TestALoginIsNotSentWhereItsEndpointPoints(t *testing.T) {
	e, elsewhere := tokentest.New(t), tokentest.New(t)
	e.Set(func(e *tokentest.Endpoint) {
		e.Answer = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect) // which repeats the body
		}
	})
	s, _ := newSource(t, e)
	_, err := s.Token(t.Context(), audience)
	require.Error(t, err)
	assert.Zero(t, elsewhere.Exchanges())
}

// A refresh token that reaches a foreign endpoint is the developer's account given away.
func TestALoginIsSentOnlyToTheEndpointItBelongsTo(t *testing.T) {
	const asGcloudWritesIt = `{"account":"","client_id":"764086051850.apps.googleusercontent.com","client_secret":"s","quota_project_id":"p",
		"refresh_token":"` + tokentest.RefreshToken + `","type":"authorized_user","universe_domain":"googleapis.com"}`
	for name, test := range map[string]struct{ file, belongs string }{
		"a real login":              {asGcloudWritesIt, "https://oauth2.googleapis.com/token"},
		"one that says it is real":  {strings.Replace(asGcloudWritesIt, "{", `{"token_uri":"https://oauth2.googleapis.com/token",`, 1), "https://oauth2.googleapis.com/token"},
		"one of another cloud":      {strings.Replace(asGcloudWritesIt, "{", `{"token_uri":"http://127.0.0.1:9/token?a-secret",`, 1), "http://127.0.0.1:9/token"},
		"one of nowhere":            {strings.Replace(asGcloudWritesIt, "{", `{"token_uri":"http://a-secret:port",`, 1), "a URL that cannot be read"},
		"one with an empty address": {strings.Replace(asGcloudWritesIt, "{", `{"token_uri":"",`, 1), "https://oauth2.googleapis.com/token"},
	} {
		t.Run(name, func(t *testing.T) {
			e := tokentest.New(t)
			file := tokentest.WriteFile(t, t.TempDir(), test.file)
			_, err := token.NewSource(token.Options{File: file, TokenURL: e.URL}).Token(t.Context(), audience)
			var login *token.LoginError
			require.ErrorAs(t, err, &login)
			assert.ErrorContains(t, err, fmt.Sprintf("the login in %s belongs to the token endpoint %s, so that it was not sent to %s: set --token-url", file, test.belongs, e.URL))
			assert.NotContains(t, err.Error(), "a-secret")
			assert.Zero(t, e.Exchanges(), "nothing is sent")
		})
	}
}

func TestALoginOfACloudOnThisMachineIsNotSentToGoogle(t *testing.T) {
	e := tokentest.New(t)
	file := tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)
	_, err := token.NewSource(token.Options{File: file}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, "belongs to the token endpoint "+e.URL)
}

func TestALoginIsARegularFile(t *testing.T) {
	for _, file := range []string{t.TempDir(), os.DevNull} {
		_, err := token.NewSource(token.Options{File: file}).Token(t.Context(), audience)
		var login *token.LoginError
		require.ErrorAs(t, err, &login, file)
		assert.ErrorContains(t, err, file+" is not a regular file")
	}
}

func TestTheLoginIsWhereGcloudPutsIt(t *testing.T) {
	e := tokentest.New(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("APPDATA", filepath.Join(home, ".config"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	dir := filepath.Join(home, ".config", "gcloud")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	tokentest.WriteLogin(t, dir, e.URL, tokentest.RefreshToken)
	_, err := token.NewSource(token.Options{TokenURL: e.URL}).Token(t.Context(), audience)
	require.NoError(t, err)

	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "nothing.json"))
	_, err = token.NewSource(token.Options{TokenURL: e.URL}).Token(t.Context(), audience)
	assert.ErrorContains(t, err, filepath.Join(home, "nothing.json"))
}

func TestATokenIsNeverPrinted(t *testing.T) {
	// The auth library writes what it sends and gets if this is set.
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug")
	e := tokentest.New(t)
	log := &logtest.Buffer{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := token.NewSource(token.Options{
		File: tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken), TokenURL: e.URL, Logger: logger,
	})
	var stderr string
	var tok token.Token
	stderr = captureStderr(t, func() {
		var err error
		tok, err = s.Token(t.Context(), audience)
		require.NoError(t, err)
	})
	encoded, err := json.Marshal(tok)
	require.NoError(t, err)
	logger.Info("here", "token", tok, "held", struct{ tok token.Token }{tok})
	inside := struct{ tok token.Token }{tok}
	all := fmt.Sprint(tok, &tok, inside) + fmt.Sprintf("%v %+v %#v %s %q %+v %#v", tok, tok, tok, tok, tok, inside, inside) +
		string(encoded) + log.String() + stderr
	assert.Contains(t, all, "ada@example.com", "the capture works")
	raw := e.Tokens()[0]
	for _, secret := range append(strings.Split(raw, "."), tokentest.RefreshToken, "an-access-token") {
		assert.NotContains(t, all, secret)
	}
}

// captureStderr returns what is written to the process's standard error meanwhile.
func captureStderr(t *testing.T, during func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	old := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = old }()
	read := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r)
		read <- b.String()
	}()
	during()
	require.NoError(t, w.Close())
	return <-read
}

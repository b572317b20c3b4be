package locate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/locate"
)

const accessToken = "ya29.an-access-token-that-nobody-may-see"

var service = locate.Service{Project: "my-project", Region: "europe-west1", Name: "berth-acme"}

func locator(t *testing.T, answer http.HandlerFunc) *locate.Locator {
	t.Helper()
	api := httptest.NewServer(answer)
	t.Cleanup(api.Close)
	return locate.New(locate.Options{URL: api.URL, AccessToken: func(context.Context) (string, error) { return accessToken, nil }})
}

func TestAServiceIsAskedForByItsExactName(t *testing.T) {
	asked := make(chan *http.Request, 1)
	l := locator(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"name":"projects/my-project/locations/europe-west1/services/berth-acme","uri":"https://berth-acme-abc-ew.a.run.app","etag":"x"}`)
	})
	url, err := l.URL(t.Context(), service)
	require.NoError(t, err)
	assert.Equal(t, "https://berth-acme-abc-ew.a.run.app", url)
	r := <-asked
	assert.Equal(t, "GET /v2/projects/my-project/locations/europe-west1/services/berth-acme", r.Method+" "+r.URL.Path)
	assert.Equal(t, "Bearer "+accessToken, r.Header.Get("Authorization"))
}

func TestAFailedLookSaysWhatToDo(t *testing.T) {
	refuse := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"code":%d,"message":"of %s","status":"X"}}`, status, accessToken)
		}
	}
	const who = "service berth-acme in europe-west1 of project my-project"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"no such service":      {refuse(http.StatusNotFound), "there is no " + who + ": check the three names"},
		"no right to look":     {refuse(http.StatusForbidden), "your account may not look up the " + who + ": check the names, ask for roles/run.viewer"},
		"no valid login":       {refuse(http.StatusUnauthorized), "does not accept your login, to look up the " + who + ": run `gcloud auth application-default login`"},
		"an API that fails":    {refuse(http.StatusBadRequest), "answered 400"},
		"not deployed so far":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }, "has no URL yet"},
		"an answer that isn't": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<`) }, "look up the " + who},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := locator(t, test.answer).URL(t.Context(), service)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), accessToken)
		})
	}
}

func TestAnAccessTokenIsNotSentWhereTheAPIPoints(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was followed") }))
	t.Cleanup(elsewhere.Close)
	_, err := locator(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}).URL(t.Context(), service)
	require.ErrorContains(t, err, "answered 307")
}

func TestNoLoginIsNotTakenForAFailureOfTheAPI(t *testing.T) {
	noLogin := errors.New("there is no login")
	l := locate.New(locate.Options{URL: "http://127.0.0.1:1", AccessToken: func(context.Context) (string, error) { return "", noLogin }})
	_, err := l.URL(t.Context(), service)
	require.ErrorIs(t, err, noLogin)
	assert.ErrorContains(t, err, "cannot sign in to look up the service berth-acme")
}

func TestAnAPIOutOfReachIsSaid(t *testing.T) {
	api := httptest.NewServer(nil)
	api.Close()
	l := locate.New(locate.Options{URL: api.URL, AccessToken: func(context.Context) (string, error) { return accessToken, nil }})
	_, err := l.URL(t.Context(), service)
	require.ErrorContains(t, err, "reach the Cloud Run API")
	assert.ErrorContains(t, err, "check the network")
}

func TestAnAccessTokenIsNeverPrinted(t *testing.T) {
	t.Setenv("GOOGLE_SDK_GO_LOGGING_LEVEL", "debug") // at which the client library writes what it sends
	r, w, err := os.Pipe()
	require.NoError(t, err)
	old := os.Stderr
	os.Stderr = w
	_, err = locator(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"uri":"https://a.example"}`) }).URL(t.Context(), service)
	os.Stderr = old
	require.NoError(t, w.Close())
	require.NoError(t, err)
	written, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.False(t, bytes.Contains(written, []byte(accessToken)))
}

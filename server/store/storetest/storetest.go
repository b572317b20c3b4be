// Package storetest gives tests a Cloud Storage bucket on loopback, and the
// metadata server that an instance gets its credentials from.
package storetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/require"
)

// AccessToken is what the instance gets for a token.
const AccessToken = "token-of-this-instance"

// NewBucket starts Cloud Storage with one empty bucket, and gives its endpoint.
// It refuses requests without the instance's token. The test's environment is
// that of an instance.
func NewBucket(t testing.TB, name string) (endpoint string) {
	t.Helper()
	storage, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, ExternalURL: "http://127.0.0.1"})
	require.NoError(t, err)
	storage.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: name})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+AccessToken {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		storage.HTTPHandler().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		if !strings.HasSuffix(r.URL.Path, "/service-accounts/default/token") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, AccessToken)
	}))
	t.Cleanup(metadata.Close)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	return front.URL + "/storage/v1/"
}

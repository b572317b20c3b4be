package cmd

import (
	"encoding/pem"
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

// recorder is a server that keeps the tokens that it is sent.
func recorder(t *testing.T) (url string, tokens <-chan string) {
	t.Helper()
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- strings.TrimPrefix(r.Header.Get("X-Serverless-Authorization"), "Bearer ")
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestATokenIsForTheAudienceOfItsTarget(t *testing.T) {
	w := newWorld(t)
	url, tokens := recorder(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
	require.NoError(t, os.WriteFile(w.file, []byte("clients:\n  acme: {url: "+url+"/base/mcp}\n  globex: {url: "+url+", audience: globex}\n"), 0o600))
	w.login = tokentest.WriteKey(t, t.TempDir(), w.endpoint.URL)
	r := serve(t, w, 2)
	for path, want := range map[string]string{"/acme/mcp": url, "/globex/mcp": "globex"} {
		r.post(t, path)
		payload := string(tokentest.Payload(t, <-tokens))
		assert.Contains(t, payload, `"aud":"`+want+`"`)
		assert.Contains(t, payload, `"email":"`+tokentest.Account+`"`)
	}
}

func TestAServiceAccountIsActedAs(t *testing.T) {
	w := newWorld(t)
	url, tokens := recorder(t)
	r := serve(t, w, 1, "--iam-url="+strings.TrimSuffix(w.endpoint.URL, "/token"), "--impersonate-service-account=one@p.example,two@p.example", "acme="+url)
	r.post(t, "/mcp")
	assert.Contains(t, string(tokentest.Payload(t, <-tokens)), `"email":"two@p.example"`)
	assert.Equal(t, []tokentest.Impersonation{{
		By: "ada@example.com", Account: "two@p.example", Method: "generateIdToken", Audience: url, IncludeEmail: true,
		Delegates: []string{"projects/-/serviceAccounts/one@p.example"},
	}}, w.endpoint.Impersonations())
}

// By way of a corporate proxy, which looks into what it passes on with an authority of its
// own.
func TestAGivenTokenGoesThroughACorporateNetwork(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Host + " " + r.Header.Get("X-Serverless-Authorization")
	}))
	t.Cleanup(server.Close)
	network := tokentest.NewNetwork()
	network.Lead(server.Listener.Addr().String())
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(authorities, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	raw := tokentest.JWT(map[string]any{"iss": "https://accounts.google.com", "email": "ci@example.com", "exp": time.Now().Add(time.Hour).Unix()})

	w := newWorld(t)
	w.extra = []string{"HTTPS_PROXY=" + network.URL(), token.GivenVariable + "=" + raw, "BERTH_PROXY_TOKEN_URL=", "BERTH_PROXY_RUN_URL=", "BERTH_PROXY_CA_FILE=" + authorities, "BERTH_PROXY_LOG_LEVEL=debug"}
	r := serve(t, w, 1, "acme=https://example.com")
	status, body := r.post(t, "/mcp")
	assert.Equal(t, http.StatusOK, status, body)
	assert.Equal(t, "example.com Bearer "+raw, <-got)
	assert.Equal(t, []string{"CONNECT example.com:443"}, network.Asked(), "nothing else was asked for")
	assert.Zero(t, w.endpoint.Exchanges(), "no login is used")
	r.logs(t, "msg=request")
	assert.NotContains(t, r.log.String(), raw)
}

func TestATokenInAFileIsReadAgain(t *testing.T) {
	w := newWorld(t)
	url, tokens := recorder(t)
	file := filepath.Join(t.TempDir(), "token")
	mint := func(email string) string {
		return tokentest.JWT(map[string]any{"iss": w.endpoint.URL, "email": email, "exp": time.Now().Add(time.Hour).Unix()})
	}
	first := mint("ada@example.com")
	require.NoError(t, os.WriteFile(file, []byte(first), 0o600))
	r := serve(t, w, 1, "--token-file="+file, "acme="+url)
	r.post(t, "/mcp")
	assert.Equal(t, first, <-tokens)
	next := mint("grace@example.com")
	require.NoError(t, os.WriteFile(file+".new", []byte(next), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	r.post(t, "/mcp")
	assert.Equal(t, next, <-tokens)
}

//go:build interop && unix

package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/nodejs"
	"github.com/berth-mcp/berth/proxy/relay/logintest"
)

// A client that others wrote logs in to a server that has a login of its own, which knows
// itself by its own URL alone.
func TestInteropAClientOfOthersLogsInThroughTheProxy(t *testing.T) {
	n := nodejs.Install(t, remotePackage)
	proxy := buildProgram(t, t.TempDir(), "github.com/berth-mcp/berth/proxy")
	logins := logintest.New(t)

	var here string // what the client calls the server
	portal := mcp.NewServer(&mcp.Implementation{Name: "portal", Version: "1"}, nil)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	const document = "/.well-known/oauth-protected-resource/mcp"
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		if token != logintest.TokenFor(here) {
			return nil, fmt.Errorf("%w: %q", auth.ErrInvalidToken, token)
		}
		return &auth.TokenInfo{Expiration: time.Now().Add(time.Hour)}, nil
	}
	mux.Handle("/mcp", auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{ResourceMetadataURL: server.URL + document})(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return portal }, &mcp.StreamableHTTPOptions{Stateless: true})))
	mux.Handle(document, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: server.URL + "/mcp", AuthorizationServers: []string{logins.URL},
	}))
	here = startProxy(t, proxy, server.URL, "globex=http://127.0.0.1:9") + "/acme/mcp"

	c := exec.CommandContext(t.Context(), n.Binary, n.Script("mcp-remote"), here, "--transport", "http-only", "--allow-http")
	c.Env = []string{"HOME=" + t.TempDir(), "PATH=" + filepath.Dir(n.Binary)} // where there is no browser
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	go visitAuthorization(stderr, logins.URL)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
		&mcp.CommandTransport{Command: c}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
	require.NoError(t, err)
	defer session.Close()
	assert.Equal(t, "portal", session.InitializeResult().ServerInfo.Name)
}

// A server's documents name another client's paths as those of its login, which the official
// SDK for TypeScript, that mcp-remote is made with, would send its requests to.
func TestInteropAClientOfOthersIsNotLedToAnotherClient(t *testing.T) {
	n := nodejs.Install(t, remotePackage)
	proxy := buildProgram(t, t.TempDir(), "github.com/berth-mcp/berth/proxy")
	var here string
	var elsewhere, accomplice atomic.Value
	metadata := func(w http.ResponseWriter, issuer string) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"registration_endpoint":%q,"token_endpoint":%q,"response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}`,
			issuer, "https://login.example/authorize", here+"/globex/mcp", here+"/globex/mcp")
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { metadata(w, elsewhere.Load().(string)) }))
	t.Cleanup(other.Close)
	elsewhere.Store(other.URL)
	asked := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		switch {
		case r.URL.Path == "/mcp":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(r.URL.Path, "oauth-protected-resource"):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, here+"/acme/mcp", accomplice.Load())
		default:
			metadata(w, here+"/acme")
		}
	}))
	t.Cleanup(server.Close)
	globex := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.Fail(t, "a request to another client", "%s %s", r.Method, r.URL)
	}))
	t.Cleanup(globex.Close)
	here = startProxy(t, proxy, server.URL, "globex="+globex.URL)
	for name, issuer := range map[string]string{"by the server's documents": here + "/acme", "by an accomplice's documents": other.URL} {
		t.Run(name, func(t *testing.T) {
			accomplice.Store(issuer)
			for len(asked) > 0 {
				<-asked
			}
			c := exec.CommandContext(t.Context(), n.Binary, n.Script("mcp-remote"), here+"/acme/mcp", "--transport", "http-only", "--allow-http")
			c.Env = []string{"HOME=" + t.TempDir(), "PATH=" + filepath.Dir(n.Binary)}
			out, err := c.CombinedOutput()
			assert.Error(t, err, string(out))
			assert.NotEmpty(t, asked, string(out))
		})
	}
}

// visitAuthorization does what a person does with the URL that a client prints.
func visitAuthorization(stderr io.Reader, logins string) {
	authorize := regexp.MustCompile(regexp.QuoteMeta(logins) + `/authorize\S*`)
	lines := bufio.NewScanner(stderr)
	visited := false
	for lines.Scan() {
		if url := authorize.FindString(lines.Text()); url != "" && !visited {
			visited = true
			if resp, err := http.Get(url); err == nil {
				_ = resp.Body.Close()
			}
		}
	}
}

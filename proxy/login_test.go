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

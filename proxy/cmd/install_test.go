package cmd

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// newHome is a developer's home with Cursor and Codex in it.
func newHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"HOME", "USERPROFILE", "APPDATA", "LocalAppData"} {
		t.Setenv(name, home)
	}
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"} {
		t.Setenv(name, "")
	}
	for _, dir := range []string{".cursor", ".codex"} {
		require.NoError(t, os.Mkdir(filepath.Join(home, dir), 0o700))
	}
	return home
}

func runs(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	require.Equal(t, want, Main(args, &out, &errs), errs.String())
	return out.String(), errs.String()
}

// asOfGoRun is the real program in a directory like those where "go run" puts programs.
func asOfGoRun(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "go-build1", filepath.Base(build(t)))
	require.NoError(t, os.Mkdir(filepath.Dir(program), 0o700))
	require.NoError(t, os.Link(build(t), program))
	return program
}

// refuses runs a program in the test's environment and returns what it says of wrong usage.
func refuses(t *testing.T, program string, args ...string) (stderr string) {
	t.Helper()
	c := exec.Command(program, args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	_ = c.Run() // the exit code tells
	require.Equal(t, exitUsage, c.ProcessState.ExitCode(), errs.String())
	return errs.String()
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}

func TestEditorsAreConnectedToTheClientsOfTheFile(t *testing.T) {
	newWorld(t)
	home := newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	runs(t, exitOK, "add", "globex=http://127.0.0.1:10")

	shown, _ := runs(t, exitOK, "install", "--all", "--dry-run", "--port=4040")
	assert.Contains(t, shown, `+      "url": "http://localhost:4040/globex/mcp"`)
	assert.NoFileExists(t, filepath.Join(home, ".cursor", "mcp.json"))

	said, _ := runs(t, exitOK, "install", "--all")
	cursor, codex := filepath.Join(home, ".cursor", "mcp.json"), filepath.Join(home, ".codex", "config.toml")
	assert.Equal(t, "Codex CLI: wrote "+codex+"\nCursor: wrote "+cursor+"\nRestart the editor, or have it load its servers again.\n", said)
	assert.Contains(t, read(t, cursor), `"url": "http://localhost:3030/acme/mcp"`)
	assert.Contains(t, read(t, codex), "[mcp_servers.globex]\nurl = \"http://localhost:3030/globex/mcp\"")
	said, _ = runs(t, exitOK, "install", "cursor", "--client=acme")
	assert.Equal(t, "Cursor: nothing to change in "+cursor+"\n", said)

	said, _ = runs(t, exitOK, "install", "--list", "--json")
	var all []listed
	require.NoError(t, json.Unmarshal([]byte(said), &all))
	connected := map[string][]string{}
	for _, e := range all {
		assert.Equal(t, e.ID == "cursor" || e.ID == "codex", e.Found, e.ID)
		if len(e.Clients) > 0 {
			connected[e.ID] = e.Clients
		}
	}
	assert.Equal(t, map[string][]string{"cursor": {"acme", "globex"}, "codex": {"acme", "globex"}}, connected)
	said, _ = runs(t, exitOK, "install", "--list")
	assert.Regexp(t, `cursor +yes +\[acme globex\] +`, said)

	runs(t, exitOK, "uninstall", "--all", "--client=acme")
	assert.NotContains(t, read(t, cursor), "acme")
	runs(t, exitOK, "uninstall", "--all")
	assert.NotContains(t, read(t, cursor)+read(t, codex), "globex")
}

func TestAnEditorThatStartsTheProxyFindsTheSameFileAndCloud(t *testing.T) {
	// It is known again although it has another name.
	program := filepath.Join(t.TempDir(), "proxy")
	require.NoError(t, os.Link(build(t), program)) // before the home, with its build cache, is another
	gone := asOfGoRun(t)
	w := newWorld(t)
	home := newHome(t)
	does := func(args ...string) {
		t.Helper()
		c := exec.Command(program, args...)
		c.Env = os.Environ()
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	does("add", "acme=http://127.0.0.1:9")
	does("install", "cursor", "--stdio")
	var config struct {
		Servers map[string]struct {
			Command string   `json:"command"`
			Args    []string `json:"args"`
		} `json:"mcpServers"`
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, filepath.Join(home, ".cursor", "mcp.json"))), &config))
	assert.Equal(t, program, config.Servers["acme"].Command)
	assert.Equal(t, []string{"stdio", "acme", "--config", w.file, "--token-url", w.endpoint.URL, "--run-url", w.api.URL}, config.Servers["acme"].Args)
	does("install", "cursor")
	does("install", "cursor", "--stdio")
	does("uninstall", "cursor")
	assert.NotContains(t, read(t, filepath.Join(home, ".cursor", "mcp.json")), "acme")

	errs := refuses(t, gone, "install", "cursor", "--stdio")
	assert.Contains(t, errs, "this berth-proxy is one of `go run`")
}

func TestAProjectsConfigurationIsForAllWhoWorkOnIt(t *testing.T) {
	newWorld(t)
	newHome(t)
	project := t.TempDir()
	t.Chdir(project)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	runs(t, exitOK, "install", "vscode", "--scope=project", "--stdio")
	assert.Contains(t, read(t, filepath.Join(project, ".vscode", "mcp.json")), `"command": "berth-proxy"`)
	_, said := runs(t, exitFailed, "install", "windsurf", "cursor", "--scope=project")
	assert.Equal(t, "berth-proxy: windsurf: Windsurf has no configuration of a project: leave --scope out\n", said)
	assert.FileExists(t, filepath.Join(project, ".cursor", "mcp.json"), "whatever becomes of the others")
}

func TestLinksArePrintedAndNothingIsChanged(t *testing.T) {
	newWorld(t)
	home := newHome(t)
	said, _ := runs(t, exitOK, "install", "cursor", "vscode", "--client=acme", "--link")
	lines := strings.Split(said, "\n")
	require.Len(t, lines, 3)
	assert.True(t, strings.HasPrefix(lines[0], "cursor://"), lines[0])
	assert.True(t, strings.HasPrefix(lines[1], "vscode:"), lines[1])
	assert.NoFileExists(t, filepath.Join(home, ".cursor", "mcp.json"))
	_, errs := runs(t, exitFailed, "install", "zed", "--client=acme", "--link")
	assert.Contains(t, errs, "Zed has no such link")
}

func TestWrongUseOfInstallIsToldAllAtOnce(t *testing.T) {
	program := asOfGoRun(t) // before the home, with its build cache, is another
	newWorld(t)
	newHome(t)
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"nothing": {[]string{"install"}, []string{"no editor is given", "no client is given"}},
		"everything": {[]string{"install", "cursr", "claude-desktop", "--all", "--client=acme,B", "--scope=both", "--name=a b", "--port=0"}, []string{
			"--port 0 is another port each time", `--scope "both": use user or project`, `editor "cursr" is not known`, "--all means every editor",
			`--client "acme": Claude Desktop starts berth-proxy by itself`, `--client "B": use 1 to 63`, `--name "a b": use 1 to 64`, "--name is for one client",
			"this berth-proxy is one of `go run`"}},
		"nothing to take out of": {[]string{"uninstall"}, []string{"no editor is given"}},
	} {
		t.Run(name, func(t *testing.T) {
			stderr := refuses(t, program, test.args...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			require.Len(t, lines, len(test.want), stderr)
			for i, want := range test.want {
				assert.True(t, strings.HasPrefix(lines[i], "berth-proxy: "+want), "%q does not begin with %q", lines[i], want)
			}
		})
	}
}

func TestTheDoctorTellsOfEveryClientAndEndsWithACode(t *testing.T) {
	newWorld(t)
	newHome(t)
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK || r.Header.Get("X-Serverless-Authorization") == "" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"portal","version":"1"}}}`))
	}))
	t.Cleanup(server.Close)
	runs(t, exitOK, "add", "acme="+server.URL, "--access-hint=acme-developers@example.com")

	said, errs := runs(t, exitFailed, "doctor", "--port=1")
	assert.Regexp(t, `failed +acme: access +ada@example.com may not use acme`, said)
	assert.Equal(t, "berth-proxy: something has failed: see above\n", errs)

	status = http.StatusOK
	said, _ = runs(t, exitOK, "doctor", "acme", "--json", "--port=1")
	var results []doctor.Result
	require.NoError(t, json.Unmarshal([]byte(said), &results))
	assert.Contains(t, results, doctor.Result{Client: "acme", Check: doctor.MCP, Status: doctor.OK, Message: "portal 1 speaks MCP 2025-11-25"})

	_, errs = runs(t, exitUsage, "doctor", "initech")
	assert.Contains(t, errs, "argument 1 is neither CLIENT=URL, nor a client in")
}

func TestEditorsThatStillLeadToARemovedClientAreNamed(t *testing.T) {
	w := newWorld(t)
	newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	runs(t, exitOK, "add", "globex=http://127.0.0.1:9")
	runs(t, exitOK, "install", "cursor", "codex", "--client=globex")
	runs(t, exitOK, "install", "cursor", "--client=acme")
	said, _ := runs(t, exitOK, "remove", "globex")
	assert.Equal(t, "removed globex from "+w.file+"\n"+
		"Codex CLI still leads to globex: run berth-proxy uninstall codex --client globex\n"+
		"Cursor still leads to globex: run berth-proxy uninstall cursor --client globex\n", said)
	runs(t, exitOK, "uninstall", "cursor", "codex", "--client", "globex")
	said, _ = runs(t, exitOK, "list")
	assert.NotContains(t, said, "globex")
}

func TestASecretOfThePathIsMadeOnceAndKeptPrivate(t *testing.T) {
	w := newWorld(t)
	home := newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	cursor, file := filepath.Join(home, ".cursor", "mcp.json"), filepath.Join(filepath.Dir(w.file), "path-secret")

	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			var out, errs bytes.Buffer
			assert.Equal(t, exitOK, Main([]string{"install", "cursor", "--path-secret"}, &out, &errs), errs.String())
		})
	}
	together.Wait()
	secret := strings.TrimSpace(read(t, file))
	require.NoError(t, relay.CheckSecret(secret))
	assert.Contains(t, read(t, cursor), `"url": "http://localhost:3030/`+secret+`/acme/mcp"`)
	t.Setenv("BERTH_PROXY_PATH_SECRET", "true")
	said, _ := runs(t, exitOK, "install", "cursor")
	assert.Equal(t, "Cursor: nothing to change in "+cursor+"\n", said)

	said, _ = runs(t, exitFailed, "doctor", "--json") // as nothing listens there
	assert.Contains(t, said, "Cursor has it as acme")
	assert.NotContains(t, said, "without the secret")
	runs(t, exitOK, "install", "cursor", "--path-secret=false")
	said, _ = runs(t, exitFailed, "doctor", "--json")
	assert.Contains(t, said, "but without the secret of the path: run berth-proxy install cursor --client acme --path-secret")
	_, errs := runs(t, exitUsage, "install", "cursor", "--scope=project")
	assert.Contains(t, errs, "the file of a project is for others, too")

	if runtime.GOOS != "windows" { // whose permissions are others
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		require.NoError(t, os.Chmod(file, 0o644))
		_, errs = runs(t, exitFailed, "install", "cursor")
		assert.Contains(t, errs, "is open to others (mode 0644): run `chmod 600 "+file+"`")
		require.NoError(t, os.Chmod(file, 0o600))
	}
	require.NoError(t, os.WriteFile(file, []byte("too-short\n"), 0o600))
	_, errs = runs(t, exitFailed, "serve", "--port=0")
	assert.Contains(t, errs, "the secret in "+file+": use 16 to 128 of")
	assert.NotContains(t, errs, "too-short")
}

func TestShellsAreOfferedEditorsAndClients(t *testing.T) {
	newWorld(t)
	newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	for _, test := range []struct {
		typed []string
		want  []string
	}{
		{[]string{"install", "zed", "c"}, []string{"claude-code", "claude-desktop", "cline", "codex", "cursor"}},
		{[]string{"uninstall", "--scope", ""}, []string{"user", "project"}},
		{[]string{"install", "zed", "--client", ""}, []string{"acme"}},
	} {
		said, _ := runs(t, exitOK, append([]string{"__complete"}, test.typed...)...)
		offered := strings.Split(strings.TrimSpace(said), "\n")
		assert.Subset(t, offered, test.want, test.typed)
		assert.NotContains(t, offered, "zed")
	}
}

func TestTheDoctorNamesTheCorporateProxyThatIsInTheWay(t *testing.T) {
	corporate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden) // nothing of this test leaves the machine
	}))
	t.Cleanup(corporate.Close)
	host := strings.TrimPrefix(corporate.URL, "http://")
	login := tokentest.WriteLogin(t, t.TempDir(), token.GoogleTokenURL, tokentest.RefreshToken)
	c := command(t, build(t), []string{"GOOGLE_APPLICATION_CREDENTIALS=" + login, "HTTPS_PROXY=http://ada:secret@" + host}, "doctor", "acme=https://acme.example", "--port=1")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, string(out))
	assert.Equal(t, exitFailed, exit.ExitCode())
	assert.Regexp(t, `failed +acme: reach +no answer from https://acme.example \(.*Forbidden\): check the proxy `+host+`, which HTTPS_PROXY names`, string(out))
	assert.Regexp(t, `failed +token +`, string(out))
	assert.NotContains(t, string(out), "secret")
}

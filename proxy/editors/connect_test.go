package editors

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var acme = Server{Name: "acme", URL: "http://localhost:3030/acme/mcp"}

// place is a home that is empty but for the test's own files. The lock is in it too.
func place(t *testing.T) Place {
	t.Helper()
	dir := t.TempDir()
	for _, v := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(v, dir)
	}
	return Place{System: System{OS: "linux", Home: dir, Getenv: func(string) string { return "" }}}
}

func named(t *testing.T, id string) Editor {
	t.Helper()
	e, err := Named(id)
	require.NoError(t, err)
	return e
}

func write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(content), mode))
	require.NoError(t, os.Chmod(file, mode))
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func TestEveryEditorIsConnectedSeenAndDisconnected(t *testing.T) {
	command := Server{Name: "acme", Command: []string{"/usr/bin/berth-proxy", "stdio", "acme"}}
	for _, e := range All() {
		t.Run(e.ID, func(t *testing.T) {
			p := place(t)
			assert.False(t, e.Found(p.System))
			s := acme
			if !e.TakesURL() {
				_, err := e.Install(p, false, acme)
				require.ErrorContains(t, err, "no entry for a URL")
				s = command
			}
			done, err := e.Install(p, false, s)
			require.NoError(t, err)
			assert.Equal(t, e.UserFile(p.System), done.File)
			assert.Empty(t, done.Backup)
			assert.True(t, e.Found(p.System))
			snippet, err := e.Snippet(s)
			require.NoError(t, err)
			assert.Equal(t, snippet, content(t, done.File))
			info, err := os.Stat(done.File)
			require.NoError(t, err)
			if runtime.GOOS != "windows" {
				assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			}

			done, err = e.Install(p, false, s)
			require.NoError(t, err)
			assert.Empty(t, done.Diff, "a second time changes nothing")
			assert.NoFileExists(t, e.UserFile(p.System)+backupSuffix)

			_, err = e.Install(p, false, command) // from a URL to a command
			require.NoError(t, err)
			found, err := e.Installed(p)
			require.NoError(t, err)
			assert.Equal(t, []Installed{{Name: "acme", Client: "acme", Command: "/usr/bin/berth-proxy"}}, found)

			_, err = e.Uninstall(p, 3030, nil)
			require.NoError(t, err)
			found, err = e.Installed(p)
			require.NoError(t, err)
			assert.Empty(t, found)
		})
	}
}

func TestFilesAreWhereEachSystemHasThem(t *testing.T) {
	const home = "/h"
	for id, want := range map[string][3]string{ // linux, darwin, windows
		"claude-code":    {"/h/.claude.json", "/h/.claude.json", "/h/.claude.json"},
		"claude-desktop": {"/h/.config/Claude/claude_desktop_config.json", "/h/Library/Application Support/Claude/claude_desktop_config.json", "/h/AppData/Roaming/Claude/claude_desktop_config.json"},
		"codex":          {"/h/.codex/config.toml", "/h/.codex/config.toml", "/h/.codex/config.toml"},
		"cursor":         {"/h/.cursor/mcp.json", "/h/.cursor/mcp.json", "/h/.cursor/mcp.json"},
		"gemini":         {"/h/.gemini/settings.json", "/h/.gemini/settings.json", "/h/.gemini/settings.json"},
		"vscode":         {"/h/.config/Code/User/mcp.json", "/h/Library/Application Support/Code/User/mcp.json", "/h/AppData/Roaming/Code/User/mcp.json"},
		"windsurf":       {"/h/.codeium/windsurf/mcp_config.json", "/h/.codeium/windsurf/mcp_config.json", "/h/.codeium/windsurf/mcp_config.json"},
		"zed":            {"/h/.config/zed/settings.json", "/h/.config/zed/settings.json", "/h/AppData/Roaming/zed/settings.json"},
	} {
		for i, system := range []string{"linux", "darwin", "windows"} {
			got := named(t, id).UserFile(System{OS: system, Home: home, Getenv: func(string) string { return "" }})
			assert.Equal(t, want[i], filepath.ToSlash(got), "%s on %s", id, system)
		}
	}
	moved := System{OS: "linux", Home: home, Getenv: func(v string) string { return "/moved/" + v }}
	assert.Equal(t, "/moved/CODEX_HOME/config.toml", filepath.ToSlash(named(t, "codex").UserFile(moved)))
	assert.Equal(t, "/moved/CLAUDE_CONFIG_DIR/.claude.json", filepath.ToSlash(named(t, "claude-code").UserFile(moved)))
	assert.Equal(t, "/moved/XDG_CONFIG_HOME/Code/User/mcp.json", filepath.ToSlash(named(t, "vscode").UserFile(moved)))
	moved.OS = "windows"
	assert.Equal(t, "/moved/APPDATA/Code/User/mcp.json", filepath.ToSlash(named(t, "vscode").UserFile(moved)))
	_, err := Named("emacs")
	assert.ErrorContains(t, err, `editor "emacs" is not known: use claude-code, claude-desktop,`)
}

func TestSomebodyElsesEntryIsReplacedOnlyByForce(t *testing.T) {
	for name, other := range map[string]string{
		"a distant server":            `{"url": "https://acme.example/mcp", "headers": {"Authorization": "Bearer theirs"}}`,
		"another server here":         `{"url": "http://localhost:3845/mcp"}`,
		"another command":             `{"command": "npx", "args": ["stdio", "acme"], "headers": {"Authorization": "Bearer theirs"}}`,
		"another command of its name": `{"command": "berth-proxy", "args": ["serve"]}`,
		"no entry at all":             `null`,
	} {
		t.Run(name, func(t *testing.T) {
			p := place(t)
			cursor := named(t, "cursor")
			before := `{"mcpServers": {"acme": ` + other + `, "b": {}}}`
			write(t, cursor.UserFile(p.System), before, 0o600)
			_, err := cursor.Install(p, false, acme)
			require.ErrorContains(t, err, `it has another server under the name "acme"`)
			_, err = cursor.Uninstall(p, 3845, []string{"acme"})
			require.NoError(t, err)
			assert.Equal(t, before, content(t, cursor.UserFile(p.System)))
			_, err = cursor.Install(p, true, acme)
			require.NoError(t, err)
			after := content(t, cursor.UserFile(p.System))
			assert.Contains(t, after, acme.URL)
			assert.NotContains(t, after, "theirs", "a header of theirs is not sent to acme")
			assert.Contains(t, after, `"b": {}`)
		})
	}
}

func TestUninstallTakesOnlyWhatIsMeant(t *testing.T) {
	const before = `{"mcpServers": {
  "acme": {"url": "http://localhost:3030/acme/mcp"},
  "globex": {"url": "http://127.0.0.1:3030/0123456789abcdef0123/globex/sse"},
  "elsewhere": {"url": "http://localhost:4040/acme/mcp"},
  "local": {"url": "http://localhost:3030/mcp"},
  "far": {"url": "https://example.com/acme/mcp"},
  "bridge": {"command": "C:\\bin\\berth-proxy.exe", "args": ["stdio", "initech"]}
}}`
	for name, test := range map[string]struct {
		clients, gone []string
	}{
		"everything of this port": {nil, []string{"acme", "globex", "bridge"}},
		"one client's":            {[]string{"acme"}, []string{"acme", "elsewhere"}},
		"a command's":             {[]string{"initech"}, []string{"bridge"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := place(t)
			cursor := named(t, "cursor")
			write(t, cursor.UserFile(p.System), before, 0o600)
			_, err := cursor.Uninstall(p, 3030, test.clients)
			require.NoError(t, err)
			left, err := cursor.format.entries([]byte(content(t, cursor.UserFile(p.System))), "mcpServers")
			require.NoError(t, err)
			var names []string
			for _, e := range left {
				names = append(names, e.name)
			}
			assert.Len(t, names, 6-len(test.gone))
			for _, gone := range test.gone {
				assert.NotContains(t, names, gone)
			}
		})
	}
}

func TestManyRunsAtOnceLoseNothing(t *testing.T) {
	p := place(t)
	var wait sync.WaitGroup
	const runs = 20
	for i := range runs {
		wait.Go(func() {
			name := fmt.Sprintf("client-%d", i)
			_, err := named(t, "cursor").Install(p, false, Server{Name: name, URL: "http://localhost:3030/" + name + "/mcp"})
			assert.NoError(t, err)
		})
	}
	wait.Wait()
	found, err := named(t, "cursor").Installed(p)
	require.NoError(t, err)
	assert.Len(t, found, runs)
	left, err := os.ReadDir(filepath.Dir(named(t, "cursor").UserFile(p.System)))
	require.NoError(t, err)
	assert.Len(t, left, 2, "the file and its backup")
}

func TestAnEditorThatWritesInBetweenIsNoticed(t *testing.T) {
	p := place(t)
	cursor := named(t, "cursor")
	path := cursor.UserFile(p.System)
	write(t, path, "{}", 0o600)
	_, err := file{path: path, format: cursor.format}.change(func([]byte) ([]byte, error) {
		write(t, path, `{"theirs": 1}`, 0o600)
		return []byte("ours"), nil
	}, false)
	require.ErrorContains(t, err, "changed by another program")
	assert.Equal(t, `{"theirs": 1}`, content(t, path))
}

func TestLinksLeadToTheEditors(t *testing.T) {
	for id, want := range map[string]string{
		"cursor": "cursor://anysphere.cursor-deeplink/mcp/install?name=acme&config=eyJ1cmwiOiJodHRwOi8vbG9jYWxob3N0OjMwMzAvYWNtZS9tY3AifQ%3D%3D",
		"vscode": "vscode:mcp/install?%7B%22name%22:%22acme%22%2C%22type%22:%22http%22%2C%22url%22:%22http:%2F%2Flocalhost:3030%2Facme%2Fmcp%22%7D",
		"zed":    "",
		"codex":  "",
	} {
		link, err := named(t, id).Link(acme)
		require.NoError(t, err)
		assert.Equal(t, want, link)
	}
}

func TestNamesOfEntriesAreThoseThatEditorsTake(t *testing.T) {
	for _, good := range []string{"acme", "A", "acme_2-b", strings.Repeat("a", 64)} {
		assert.NoError(t, CheckName(good), good)
	}
	for _, bad := range []string{"", "-a", "a b", "a.b", "ä", "a\n", strings.Repeat("a", 65)} {
		assert.Error(t, CheckName(bad), bad)
	}
}

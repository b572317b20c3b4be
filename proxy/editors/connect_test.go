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
				_, err := e.Install(p, acme, false)
				require.ErrorContains(t, err, "no entry for a URL")
				s = command
			}
			done, err := e.Install(p, s, false)
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

			done, err = e.Install(p, s, false)
			require.NoError(t, err)
			assert.Empty(t, done.Diff, "a second time changes nothing")
			assert.NoFileExists(t, e.UserFile(p.System)+backupSuffix)

			_, err = e.Install(p, command, false) // from a URL to a command
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

func TestAChangeKeepsModeAndLinkAndLeavesABackup(t *testing.T) {
	p := place(t)
	cursor := named(t, "cursor")
	real, link := filepath.Join(p.System.Home, "dotfiles", "cursor.json"), cursor.UserFile(p.System)
	write(t, real, "{}\n", 0o640)
	require.NoError(t, os.MkdirAll(filepath.Dir(link), 0o755))
	require.NoError(t, os.Symlink(filepath.Join("..", "dotfiles", "cursor.json"), link))

	shown, err := cursor.Install(Place{System: p.System, DryRun: true}, acme, false)
	require.NoError(t, err)
	assert.Contains(t, shown.Diff, `+      "url": "http://localhost:3030/acme/mcp"`)
	assert.Equal(t, "{}\n", content(t, real), "only shown")

	done, err := cursor.Install(p, acme, false)
	require.NoError(t, err)
	assert.Equal(t, shown.Diff, done.Diff)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink, "the link is still one")
	assert.Contains(t, content(t, real), "acme")
	assert.Equal(t, link+backupSuffix, done.Backup)
	assert.Equal(t, "{}\n", content(t, done.Backup))
	for _, file := range []string{real, done.Backup} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o640), info.Mode().Perm(), file)
		}
	}
}

func TestABackupDoesNotFollowALink(t *testing.T) {
	p := place(t)
	cursor := named(t, "cursor")
	precious := filepath.Join(p.System.Home, "precious")
	write(t, precious, "mine", 0o600)
	write(t, cursor.UserFile(p.System), "{}", 0o600)
	require.NoError(t, os.Symlink(precious, cursor.UserFile(p.System)+backupSuffix))
	_, err := cursor.Install(p, acme, false)
	require.NoError(t, err)
	assert.Equal(t, "mine", content(t, precious))
}

func TestAProjectsLinkDoesNotLeadOutOfIt(t *testing.T) {
	p := place(t)
	p.Project = filepath.Join(p.System.Home, "project")
	outside := filepath.Join(p.System.Home, "outside")
	write(t, filepath.Join(outside, "mcp.json"), "{}", 0o600)
	require.NoError(t, os.MkdirAll(filepath.Join(p.Project, ".cursor"), 0o755))

	require.NoError(t, os.Symlink(outside, filepath.Join(p.Project, ".vscode")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "new.json"), filepath.Join(p.Project, ".cursor", "mcp.json")))
	for _, id := range []string{"vscode", "cursor"} {
		_, err := named(t, id).Install(p, acme, false)
		require.ErrorContains(t, err, "outside of the project", id)
	}
	assert.Equal(t, "{}", content(t, filepath.Join(outside, "mcp.json")))
	assert.NoFileExists(t, filepath.Join(outside, "new.json"))

	done, err := named(t, "claude-code").Install(p, acme, false)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(p.Project, ".mcp.json"), done.File)
	_, err = named(t, "windsurf").Install(p, acme, false)
	assert.ErrorContains(t, err, "no configuration of a project")
}

func TestAFileThatIsNotValidIsLeftAsItIs(t *testing.T) {
	p := place(t)
	for id, broken := range map[string]string{"cursor": "{\n  oops\n}", "codex": "a = 1\na = 2\n"} {
		e := named(t, id)
		write(t, e.UserFile(p.System), broken, 0o600)
		_, err := e.Install(p, acme, false)
		require.ErrorContains(t, err, e.UserFile(p.System)+" is left as it was: line 2, column")
		_, err = e.Uninstall(p, 3030, nil)
		require.ErrorContains(t, err, "line 2, column")
		assert.Equal(t, broken, content(t, e.UserFile(p.System)))
		assert.NoFileExists(t, e.UserFile(p.System)+backupSuffix)
	}
	for id, deep := range map[string]string{"cursor": `{"a":`, "codex": "a = "} {
		e := named(t, id)
		write(t, e.UserFile(p.System), deep+strings.Repeat("[", 8<<20), 0o600)
		_, err := e.Install(p, acme, false)
		require.ErrorContains(t, err, "brackets that are not closed")
		_, err = e.Installed(p)
		require.ErrorContains(t, err, "brackets that are not closed")
		write(t, e.UserFile(p.System), deep+strings.Repeat("[", maxNesting-1), 0o600)
		_, err = e.Install(p, acme, false)
		require.ErrorContains(t, err, "is left as it was", "the parsers go as deep as that")
	}
	zed := named(t, "zed")
	require.NoError(t, os.MkdirAll(zed.UserFile(p.System), 0o755))
	_, err := zed.Install(p, acme, false)
	assert.ErrorContains(t, err, "not a regular file")
	write(t, named(t, "gemini").UserFile(p.System), "", 0o600)
	require.NoError(t, os.Truncate(named(t, "gemini").UserFile(p.System), maxFileBytes+1))
	_, err = named(t, "gemini").Install(p, acme, false)
	assert.ErrorContains(t, err, "larger than 64 MiB")
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
			_, err := cursor.Install(p, acme, false)
			require.ErrorContains(t, err, `it has another server under the name "acme"`)
			_, err = cursor.Uninstall(p, 3845, []string{"acme"})
			require.NoError(t, err)
			assert.Equal(t, before, content(t, cursor.UserFile(p.System)))
			_, err = cursor.Install(p, acme, true)
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
			_, err := named(t, "cursor").Install(p, Server{Name: name, URL: "http://localhost:3030/" + name + "/mcp"}, false)
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

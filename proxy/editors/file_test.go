package editors

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAChangeKeepsModeAndLinkAndLeavesABackup(t *testing.T) {
	p := place(t)
	cursor := named(t, "cursor")
	real, link := filepath.Join(p.System.Home, "dotfiles", "cursor.json"), cursor.UserFile(p.System)
	write(t, real, "{}\n", 0o640)
	require.NoError(t, os.MkdirAll(filepath.Dir(link), 0o755))
	require.NoError(t, os.Symlink(filepath.Join("..", "dotfiles", "cursor.json"), link))

	shown, err := cursor.Install(Place{System: p.System, DryRun: true}, false, acme)
	require.NoError(t, err)
	assert.Contains(t, shown.Diff, `+      "url": "http://localhost:3030/acme/mcp"`)
	assert.Equal(t, "{}\n", content(t, real), "only shown")

	done, err := cursor.Install(p, false, acme)
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

func TestSeveralServersAreOneChangeWithOneBackup(t *testing.T) {
	p := place(t)
	cursor := named(t, "cursor")
	globex := Server{Name: "globex", URL: "http://localhost:3030/globex/mcp"}
	write(t, cursor.UserFile(p.System), "{}\n", 0o600)
	done, err := cursor.Install(p, false, acme, globex)
	require.NoError(t, err)
	assert.Contains(t, done.Diff, acme.URL)
	assert.Contains(t, done.Diff, globex.URL)
	assert.Equal(t, "{}\n", content(t, done.Backup), "what it was before berth-proxy came")

	const theirs = `{"mcpServers": {"globex": {"url": "http://localhost:3845/mcp"}}}`
	write(t, cursor.UserFile(p.System), theirs, 0o600)
	_, err = cursor.Install(p, false, acme, globex)
	require.ErrorContains(t, err, `another server under the name "globex"`)
	assert.Equal(t, theirs, content(t, cursor.UserFile(p.System)), "all or nothing")
}

func TestABackupDoesNotFollowALink(t *testing.T) {
	p := place(t)
	cursor := named(t, "cursor")
	precious := filepath.Join(p.System.Home, "precious")
	write(t, precious, "mine", 0o600)
	write(t, cursor.UserFile(p.System), "{}", 0o600)
	require.NoError(t, os.Symlink(precious, cursor.UserFile(p.System)+backupSuffix))
	_, err := cursor.Install(p, false, acme)
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
		_, err := named(t, id).Install(p, false, acme)
		require.ErrorContains(t, err, "outside of the project", id)
	}
	assert.Equal(t, "{}", content(t, filepath.Join(outside, "mcp.json")))
	assert.NoFileExists(t, filepath.Join(outside, "new.json"))

	done, err := named(t, "claude-code").Install(p, false, acme)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(p.Project, ".mcp.json"), done.File)
	_, err = named(t, "windsurf").Install(p, false, acme)
	assert.ErrorContains(t, err, "no configuration of a project")
}

func TestAFileThatIsNotValidIsLeftAsItIs(t *testing.T) {
	p := place(t)
	for id, broken := range map[string]string{"cursor": "{\n  oops\n}", "codex": "a = 1\na = 2\n"} {
		e := named(t, id)
		write(t, e.UserFile(p.System), broken, 0o600)
		_, err := e.Install(p, false, acme)
		require.ErrorContains(t, err, e.UserFile(p.System)+" is left as it was: line 2, column")
		_, err = e.Uninstall(p, 3030, nil)
		require.ErrorContains(t, err, "line 2, column")
		assert.Equal(t, broken, content(t, e.UserFile(p.System)))
		assert.NoFileExists(t, e.UserFile(p.System)+backupSuffix)
	}
	for id, deep := range map[string]string{"cursor": `{"a":`, "codex": "a = "} {
		e := named(t, id)
		write(t, e.UserFile(p.System), deep+strings.Repeat("[", 8<<20), 0o600)
		_, err := e.Install(p, false, acme)
		require.ErrorContains(t, err, "brackets that are not closed")
		_, err = e.Installed(p)
		require.ErrorContains(t, err, "brackets that are not closed")
		write(t, e.UserFile(p.System), deep+strings.Repeat("[", maxNesting-1), 0o600)
		_, err = e.Install(p, false, acme)
		require.ErrorContains(t, err, "is left as it was", "the parsers go as deep as that")
	}
	zed := named(t, "zed")
	require.NoError(t, os.MkdirAll(zed.UserFile(p.System), 0o755))
	_, err := zed.Install(p, false, acme)
	assert.ErrorContains(t, err, "not a regular file")
	write(t, named(t, "gemini").UserFile(p.System), "", 0o600)
	require.NoError(t, os.Truncate(named(t, "gemini").UserFile(p.System), maxFileBytes+1))
	_, err = named(t, "gemini").Install(p, false, acme)
	assert.ErrorContains(t, err, "larger than 64 MiB")
}

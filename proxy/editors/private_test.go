package editors

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const secret = "A-Secret_0123456789"

var secretAcme = Server{Name: "acme", URL: "http://localhost:3030/" + secret + "/acme/mcp"}

// modeIs checks a file's permissions, where there are such.
func modeIs(t *testing.T, file string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, want, info.Mode().Perm(), "%s: %s", file, info.Mode())
	}
}

func TestInstall_ClosesFilesWithSecret(t *testing.T) {
	for name, test := range map[string]struct {
		before string
		server Server
		mode   os.FileMode
		want   os.FileMode
		closed bool
	}{
		"a secret that comes":                  {"{}\n", secretAcme, 0o644, 0o600, true},
		"a secret that goes, into the backup":  {`{"mcpServers": {"acme": {"url": "` + secretAcme.URL + `"}}}`, acme, 0o644, 0o600, true},
		"a secret that stays":                  {`{"mcpServers": {"b": {"url": "http://127.0.0.1:1/` + secret + `/b/sse"}}}`, acme, 0o640, 0o600, true},
		"a secret in a comment":                {`{/* http://[::1]:3030/` + secret + `/acme/mcp */}`, acme, 0o664, 0o600, true},
		"a secret behind other slashes":        {`{"x": "http:\/\/localhost:3030\/` + secret + `\/acme\/mcp"}`, acme, 0o644, 0o600, true},
		"a file that its owner only reads":     {"{}\n", secretAcme, 0o444, 0o400, true},
		"a file that only its owner can read":  {"{}\n", secretAcme, 0o600, 0o600, false},
		"no secret":                            {`{"mcpServers": {"b": {"url": "http://localhost:3845/mcp"}}}`, acme, 0o644, 0o644, false},
		"another program's path, with no name": {`{"mcpServers": {"b": {"url": "http://localhost:3845/api/acme/mcp"}}}`, acme, 0o644, 0o644, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := place(t)
			cursor := named(t, "cursor")
			file, real := cursor.UserFile(p.System), filepath.Join(p.System.Home, "dotfiles", "mcp.json")
			write(t, real, test.before, test.mode)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.Symlink(real, file))
			done, err := cursor.Install(p, false, test.server)
			require.NoError(t, err)
			modeIs(t, real, test.want)
			modeIs(t, file+backupSuffix, test.want)
			assert.Equal(t, test.before, content(t, file+backupSuffix))
			if runtime.GOOS != "windows" {
				assert.Equal(t, test.closed, len(done.Closed) == 1, done.Closed)
			}
		})
	}
}

func TestInstall_ClosesFilesThatDoNotChange(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where modes do not tell
	}
	p := place(t)
	cursor := named(t, "cursor")
	file := cursor.UserFile(p.System)
	_, err := cursor.Install(p, false, secretAcme)
	require.NoError(t, err)
	globex := Server{Name: "globex", URL: "http://localhost:3030/" + secret + "/globex/mcp"}
	_, err = cursor.Install(p, false, globex) // so that there is a backup
	require.NoError(t, err)
	modeIs(t, file+backupSuffix, 0o600)
	for _, name := range []string{file, file + backupSuffix} {
		require.NoError(t, os.Chmod(name, 0o644)) // as an editor may leave it that writes the file
	}
	found, err := cursor.FilesWithSecret(p)
	require.NoError(t, err)
	assert.Equal(t, []SecretFile{{file, true}, {file + backupSuffix, true}}, found)

	dry := p
	dry.DryRun = true
	done, err := cursor.Install(dry, false, globex)
	require.NoError(t, err)
	assert.Equal(t, Change{File: file, Closed: []string{file, file + backupSuffix}}, done)
	modeIs(t, file, 0o644)

	done, err = cursor.Install(p, false, globex)
	require.NoError(t, err)
	assert.Equal(t, Change{File: file, Closed: []string{file, file + backupSuffix}}, done)
	modeIs(t, file, 0o600)
	modeIs(t, file+backupSuffix, 0o600)
	found, err = cursor.FilesWithSecret(p)
	require.NoError(t, err)
	assert.Equal(t, []SecretFile{{file, false}, {file + backupSuffix, false}}, found)
	done, err = cursor.Install(p, false, globex)
	require.NoError(t, err)
	assert.Equal(t, Change{File: file}, done)
}

func TestFilesWithSecret_KnowsEveryEditor(t *testing.T) {
	for _, e := range All() {
		if !e.TakesURL() {
			continue
		}
		p := place(t)
		_, err := e.Install(p, false, acme)
		require.NoError(t, err)
		found, err := e.FilesWithSecret(p)
		require.NoError(t, err)
		assert.Empty(t, found, e.ID)
		assert.Empty(t, WithSecret(p))
		_, err = e.Install(p, false, secretAcme)
		require.NoError(t, err)
		found, err = e.FilesWithSecret(p)
		require.NoError(t, err)
		assert.Equal(t, []SecretFile{{e.UserFile(p.System), false}}, found, e.ID)
		assert.Equal(t, []string{e.ID}, WithSecret(p))
	}
}

func TestRedact_TakesSecretsOut(t *testing.T) {
	assert.Equal(t, `+ "url": "http://localhost:3030/[secret]/acme/mcp", "http://127.0.0.1:1/[secret]/b/sse" and http://localhost:3030/acme/mcp`,
		Redact(`+ "url": "`+secretAcme.URL+`", "http://127.0.0.1:1/`+secret+`/b/sse" and http://localhost:3030/acme/mcp`))
}

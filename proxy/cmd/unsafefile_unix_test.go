//go:build unix

package cmd

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/atomicfile"
	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/relay"
)

// Whoever can write one of these files, or put another in its place, has the developer's token
// sent where they like.
func TestCommands_RefuseAFileThatOthersCouldHaveWritten(t *testing.T) {
	for place, args := range map[string][]string{"--ca-file": {"--ca-file="}, "BERTH_PROXY_CONFIG": nil} {
		for name, open := range map[string]func(file string) (changed string, command string){
			"the file":       func(file string) (string, string) { return file, "chmod " },
			"its directory":  func(file string) (string, string) { return filepath.Dir(file), "chmod go-w " },
			"one far above":  func(file string) (string, string) { return filepath.Dir(filepath.Dir(file)), "chmod go-w " },
			"that of a link": nil,
		} {
			t.Run(place+": "+name, func(t *testing.T) {
				newWorld(t)
				file := filepath.Join(t.TempDir(), "a", "b.pem")
				require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
				require.NoError(t, os.WriteFile(file, []byte("# nothing"), 0o600))
				changed, fix := filepath.Join(t.TempDir(), "open"), "chmod go-w "
				if open == nil {
					require.NoError(t, os.Mkdir(changed, 0o700))
					link := filepath.Join(changed, "link.pem")
					require.NoError(t, os.Symlink(file, link))
					file = link
				} else {
					changed, fix = open(file)
				}
				command := []string{"list"}
				for _, arg := range args {
					command = append(command, arg+file)
				}
				if args == nil {
					t.Setenv(place, file)
				}
				info, err := os.Stat(changed)
				require.NoError(t, err)
				require.NoError(t, os.Chmod(changed, info.Mode().Perm()|0o022))
				_, errs, code := berth(t, command...)
				assert.Equal(t, exitUsage, code)
				assert.Contains(t, errs, file)
				assert.Contains(t, errs, fix)
				assert.Contains(t, errs, changed+"`")
			})
		}
	}
}

func TestAdd_TellsOfADirectoryThatOthersMayWrite(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Dir(w.file)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(dir, 0o777))
	_, errs, code := berth(t, "add", "acme=http://127.0.0.1:9")
	assert.NotZero(t, code)
	assert.Contains(t, errs, "run `chmod go-w "+dir+"`")
}

// The first run must not give editors a secret that the second refuses.
func TestSecret_IsNotMadeInADirectoryThatOthersMayWrite(t *testing.T) {
	w := newWorld(t)
	home := newHome(t)
	dir := filepath.Dir(w.file)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(dir, 0o777))
	for range 2 {
		_, errs, code := berth(t, "install", "cursor", "--client=acme", "--path-secret", "--port=1")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, "run `chmod go-w "+dir+"`")
		assert.NoFileExists(t, filepath.Join(home, ".cursor", "mcp.json"))
	}
	require.NoError(t, os.Chmod(dir, 0o700))
	runs(t, exitOK, "install", "cursor", "--client=acme", "--path-secret", "--port=1")
}

func TestSecret_IsNotTakenFromADirectoryThatOthersMayWrite(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Dir(w.file)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, secretName), []byte("one-that-somebody-else-chose"), 0o600))
	require.NoError(t, os.Chmod(dir, 0o777))
	_, errs, code := berth(t, "doctor", "--path-secret", "acme="+echo(t, "acme"))
	assert.NotZero(t, code)
	assert.Contains(t, errs, "run `chmod go-w "+dir+"`")
	assert.NotContains(t, errs, "one-that-somebody-else-chose")
}

func TestServe_DoesNotTakeUpAFileThatBecomesUnsafe(t *testing.T) {
	w := newWorld(t)
	_, _, code := berth(t, "add", "acme="+echo(t, "acme"))
	require.Zero(t, code)
	r := serve(t, w, 1)
	dir := filepath.Dir(w.file)
	require.NoError(t, os.Chmod(dir, 0o777))
	content := read(t, w.file) + "  globex: {url: " + echo(t, "globex") + "}\n"
	require.NoError(t, atomicfile.Write(w.file, []byte(content), 0o600))
	require.NoError(t, r.process.Process.Signal(syscall.SIGHUP)) // instead of waiting
	r.logs(t, "the file of clients is not read, all stays as it was")
	status, _ := r.post(t, "/globex/mcp")
	assert.Equal(t, http.StatusNotFound, status)
	_, body := r.post(t, "/acme/mcp")
	assert.Equal(t, "acme", body)

	require.NoError(t, os.Chmod(dir, 0o700)) // as the log says, and nothing else
	require.Eventually(t, func() bool { _, body := r.post(t, "/globex/mcp"); return body == "globex" }, deadline, 10*time.Millisecond)
}

func TestReloader_TellsOfAnUnsafeFileOnce(t *testing.T) {
	w := newWorld(t)
	_, _, code := berth(t, "add", "acme=http://127.0.0.1:9")
	require.Zero(t, code)
	log := &logtest.Buffer{}
	c := &common{configFile: w.file, logFormat: "text", logLevel: "info"}
	c.login.tokenURL, c.login.iamURL, c.runURL = w.endpoint.URL, w.endpoint.URL, w.api.URL
	var served []relay.Target
	r := &reloader{common: c, file: config.File{}, targets: func(targets []relay.Target) { served = targets }, log: c.logger(log)}
	count := func() int { return strings.Count(log.String(), "is not read") }

	for range 2 {
		served = nil
		require.NoError(t, os.Chmod(w.file, 0o622))
		for range 3 {
			r.reload(t.Context())
		}
		assert.Nil(t, served)
		require.NoError(t, os.Chmod(w.file, 0o600))
		r.reload(t.Context())
		assert.Len(t, served, 1)
	}
	assert.Equal(t, 2, count(), "once each time")
	assert.Contains(t, log.String(), "run `chmod 600 "+w.file+"`")
}

// The directory is made safe again, which does not change the file.
func TestServe_TakesUpSecretOnceItsDirectoryIsSafe(t *testing.T) {
	w := newWorld(t)
	runs(t, exitOK, "add", "acme="+echo(t, "acme"))
	r := serve(t, w, 1, "--path-secret")
	dir, after := filepath.Dir(w.file), "Another-secret_123"
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, secretName), []byte(after), 0o600))
	r.logs(t, "the secret in the proxy's addresses stays as it was")
	status, _ := r.post(t, "/"+after+"/acme/mcp")
	require.Equal(t, http.StatusNotFound, status)
	require.NoError(t, os.Chmod(dir, 0o700))
	require.Eventually(t, func() bool { _, body := r.post(t, "/"+after+"/acme/mcp"); return body == "acme" }, deadline, 10*time.Millisecond)
	assert.Equal(t, 1, strings.Count(r.log.String(), "stays as it was"), "it is told once")
}

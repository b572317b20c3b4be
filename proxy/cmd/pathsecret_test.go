package cmd

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheProgramKeepsItsSecretOutOfTheLog(t *testing.T) {
	w := newWorld(t)
	var env []string
	for _, name := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "BERTH_PROXY_TOKEN_URL", "BERTH_PROXY_CONFIG"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	c := command(t, build(t), env, "--path-secret", "--port=0", "--log-level=debug", "acme=http://127.0.0.1:9")
	var log strings.Builder
	c.Stderr = &log
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscanf(first, "berth-proxy is listening on http://localhost:%d\n", &port)
	require.NoError(t, err, first)
	secret := strings.TrimSpace(read(t, filepath.Join(filepath.Dir(w.file), "path-secret")))

	for path, want := range map[string]int{
		"/": http.StatusNotFound, "/acme/mcp": http.StatusNotFound, "/metrics": http.StatusNotFound,
		"/" + secret + "/": http.StatusOK, "/" + secret + "/liveness": http.StatusOK, "/" + secret + "/acme/mcp": http.StatusBadGateway,
	} {
		resp, err := http.Get(fmt.Sprintf("http://localhost:%d%s", port, path))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, want, resp.StatusCode, path)
	}
	require.NoError(t, c.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.NoError(t, c.Wait())
	assert.NotContains(t, first+string(rest)+log.String(), secret)
	assert.Contains(t, log.String(), "cannot reach acme", "it logs")
}

// Whoever takes the flag for the secret itself gives it one.
func TestCommands_ShowNoSecretThatIsGivenAsTheFlag(t *testing.T) {
	const given = "a-Secret_0123456789"
	for place, give := range map[string]func(t *testing.T, w *world) (arg string){
		"--path-secret":           func(*testing.T, *world) string { return "--path-secret=" + given },
		"BERTH_PROXY_PATH_SECRET": func(t *testing.T, _ *world) string { t.Setenv("BERTH_PROXY_PATH_SECRET", given); return "--port=1" },
		"proxy.yaml:1: path-secret": func(t *testing.T, w *world) string {
			require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
			require.NoError(t, os.WriteFile(w.file, []byte("path-secret: "+given+"\n"), 0o600))
			return "--port=1"
		},
	} {
		t.Run(place, func(t *testing.T) {
			_, said := runs(t, exitUsage, "list", give(t, newWorld(t)))
			assert.Contains(t, said, place+" must be true or false")
			assert.NotContains(t, said, given)
		})
	}
}

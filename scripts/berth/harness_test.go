package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/envtest"
	"github.com/berth-mcp/berth/internal/pulumicli"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trap stands for the internet: whatever leaves loopback goes to the proxy that
// the environment names, and that is here.
type trap struct {
	mu      sync.Mutex
	visited []string
}

func newTrap(t *testing.T) (*trap, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	tr := &trap{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			first := make([]byte, 200)
			n, _ := conn.Read(first)
			_ = conn.Close()
			tr.mu.Lock()
			tr.visited = append(tr.visited, strings.SplitN(string(first[:n]), "\r\n", 2)[0])
			tr.mu.Unlock()
		}
	}()
	return tr, "http://" + listener.Addr().String()
}

func (tr *trap) seen() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.visited
}

// TestMain makes this binary the command itself where a test runs it.
func TestMain(m *testing.M) {
	if os.Getenv("BERTH_TEST_COMMAND") != "" {
		main()
		return
	}
	envtest.Clear()
	os.Exit(m.Run())
}

// berth prepares to run the command as somebody who has a real
// account: a login at home and every setting that could lead to it.
func berth(t *testing.T, args ...string) (cmd *exec.Cmd, temporary string, internet *trap) {
	t.Helper()
	root, err := pulumicli.Root()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	home := envtest.Home(t)
	login := filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(login), 0o700))
	require.NoError(t, os.WriteFile(login, []byte(`{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"a-real-one"}`), 0o600))
	temporary = t.TempDir()
	internet, address := newTrap(t)

	cmd = exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "BERTH_TEST_COMMAND=1", "HOME="+home, "TMPDIR="+temporary,
		"GOOGLE_APPLICATION_CREDENTIALS="+login, "GOOGLE_OAUTH_ACCESS_TOKEN=a-real-one",
		"GOOGLE_PROJECT=a-real-project", "CLOUDSDK_CORE_PROJECT=a-real-project",
		"PULUMI_ACCESS_TOKEN=a-real-one", "PULUMI_BACKEND_URL=https://api.pulumi.com",
		"HTTP_PROXY="+address, "HTTPS_PROXY="+address, "NO_PROXY=", "no_proxy=", "GOPROXY=off",
	)
	for name, value := range caches(t) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd, temporary, internet
}

// caches keeps the test's builds warm although its home is another.
func caches(t *testing.T) map[string]string {
	t.Helper()
	kept := map[string]string{}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		require.NoError(t, err)
		kept[name] = strings.TrimSpace(string(out))
	}
	cache, err := pulumicli.CacheDir()
	require.NoError(t, err)
	kept[pulumicli.CacheVar] = cache
	return kept
}

// ready makes sure that the Pulumi command is there, so that what follows needs
// nothing from the module proxy.
func ready(t *testing.T) {
	t.Helper()
	t.Setenv("PULUMI_HOME", t.TempDir()) // for its logs
	root, err := pulumicli.Root()
	require.NoError(t, err)
	envtest.Fetching(func() { _, err = pulumicli.Find(t.Context(), root, quiet{}) })
	require.NoError(t, err)
}

type quiet struct{}

func (quiet) Note(string)       {}
func (quiet) Compiled(int, int) {}

func pathWithGoAlone(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	gobin, err := exec.LookPath("go")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(gobin, filepath.Join(bin, "go")))
	return bin
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	assert.Empty(t, names, "temporary files stay behind")
}

//go:build interop

package main_test

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/conformance"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

const (
	startTimeout = 20 * time.Second
	loadedRuns   = 3
)

// The MCP conformance suite cannot tell the proxy from the server behind it: every check
// of every scenario ends as it does without the proxy, whether that is well or not.
func TestInteropConformanceIsTheSameThroughTheProxy(t *testing.T) {
	suite := conformance.Install(t)
	bin := t.TempDir()
	server := buildProgram(t, bin, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	proxy := buildProgram(t, bin, "github.com/berth-mcp/berth/proxy")

	for _, test := range []struct{ revision, stateless string }{
		{"2025-11-25", "false"}, // sessions, standing streams, resumption
		{"2025-11-25", "true"},
		{"2026-07-28", "true"},
	} {
		t.Run(fmt.Sprintf("%s, stateless %s", test.revision, test.stateless), func(t *testing.T) {
			direct := startServer(t, server, test.stateless)
			local := startProxy(t, proxy, direct)
			want := runSuite(t, suite, direct, test.revision)
			require.Greater(t, len(want), 50, "the suite has run")
			require.True(t, slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, " SUCCESS") }))

			assert.Empty(t, cmp.Diff(want, runSuite(t, suite, local, test.revision)), "without a name in the path")
			assert.Empty(t, cmp.Diff(want, runSuite(t, suite, local+"/acme", test.revision)), "with a name in the path")

			defer loadCPU()()
			for i := range loadedRuns {
				assert.Empty(t, cmp.Diff(want, runSuite(t, suite, local+"/acme", test.revision)), "under load, run %d", i+1)
			}
		})
	}
}

func runSuite(t *testing.T, suite conformance.Suite, url, revision string) []string {
	t.Helper()
	return conformance.Lines(suite.Run(t, url, revision))
}

func buildProgram(t *testing.T, dir, pkg string) string {
	t.Helper()
	binary := filepath.Join(dir, filepath.Base(pkg))
	out, err := exec.Command("go", "build", "-o", binary, pkg).CombinedOutput()
	require.NoError(t, err, "build %s: %s", pkg, out)
	return binary
}

// startServer returns the URL of an everything-server.
func startServer(t *testing.T, binary, stateless string) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	run(t, exec.Command(binary, "-http="+address, "-stateless="+stateless))
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp4", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, startTimeout, 10*time.Millisecond)
	return "http://" + address
}

// startProxy returns the URL of a proxy to the target, client "acme".
func startProxy(t *testing.T, binary, target string) string {
	t.Helper()
	endpoint := tokentest.New(t)
	login := tokentest.WriteLogin(t, t.TempDir(), endpoint.URL, tokentest.RefreshToken)
	c := exec.Command(binary, "--port=0", "--token-url", endpoint.URL, "acme="+target)
	c.Env = []string{"HOME=" + t.TempDir(), "GOOGLE_APPLICATION_CREDENTIALS=" + login}
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	run(t, c)
	first, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url, found := strings.CutPrefix(strings.TrimSpace(first), "berth-proxy is listening on ")
	require.True(t, found, first)
	return url
}

// run keeps a program running until the end of the test.
func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
}

// loadCPU keeps every core busy until it is told to stop.
func loadCPU() (stop func()) {
	var stopping atomic.Bool
	for range runtime.NumCPU() {
		go func() {
			for !stopping.Load() { // to keep the core busy is the point
			}
		}()
	}
	return func() { stopping.Store(true) }
}

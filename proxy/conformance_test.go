//go:build interop

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

const (
	suitePackage = "@modelcontextprotocol/conformance@0.2.0-alpha.12"

	startTimeout = 20 * time.Second
	suiteTimeout = 3 * time.Minute // a run takes two seconds; under load, ten
	loadedRuns   = 3
)

// The MCP conformance suite cannot tell the proxy from the server behind it: every check
// of every scenario ends as it does without the proxy, whether that is well or not.
func TestInteropConformanceIsTheSameThroughTheProxy(t *testing.T) {
	suite := installSuite(t)
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
			want := suite.run(t, direct, test.revision)
			require.Greater(t, len(want), 50, "the suite has run")
			require.True(t, slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, " SUCCESS") }))

			assert.Empty(t, cmp.Diff(want, suite.run(t, local, test.revision)), "without a name in the path")
			assert.Empty(t, cmp.Diff(want, suite.run(t, local+"/acme", test.revision)), "with a name in the path")

			defer loadCPU()()
			for i := range loadedRuns {
				assert.Empty(t, cmp.Diff(want, suite.run(t, local+"/acme", test.revision)), "under load, run %d", i+1)
			}
		})
	}
}

type suite struct{ node, script string }

func installSuite(t *testing.T) suite {
	t.Helper()
	n := installNode(t, suitePackage)
	return suite{node: n.binary, script: n.script("conformance")}
}

var stamp = regexp.MustCompile(`-\d{4}-\d\d-\d\dT[0-9-]+Z$`)

// run returns a line for each check, sorted: its scenario, its id and how it ended.
func (s suite) run(t *testing.T, url, revision string) []string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.node, s.script, "server", "--url", url, "--requirements", revision, "--output-dir", dir).CombinedOutput()
	var failed *exec.ExitError // some checks did not pass, which is for the caller to judge
	require.True(t, err == nil || errors.As(err, &failed), "%v: %s", err, out)
	require.NoError(t, ctx.Err(), "the suite hangs: %s", out)

	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "%s", out)
	var lines []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var checks []struct{ ID, Name, Status string }
		require.NoError(t, json.Unmarshal(content, &checks))
		scenario := stamp.ReplaceAllString(filepath.Base(filepath.Dir(file)), "")
		lines = append(lines, fmt.Sprintf("%s: %d checks", scenario, len(checks)))
		for _, c := range checks {
			lines = append(lines, fmt.Sprintf("%s: %s (%s) %s", scenario, c.ID, c.Name, c.Status))
		}
	}
	slices.Sort(lines)
	return lines
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

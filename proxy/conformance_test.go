//go:build interop

package main_test

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
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
			secure, authority := overHTTP2(t, direct)
			ways := map[string]string{
				"from HTTP/1.1": startProxy(t, proxy, direct),
				"from HTTP/2":   startProxy(t, proxy, secure, "--ca-file", authority),
			}
			want := runSuite(t, suite, direct, test.revision)
			require.Greater(t, len(want), 50, "the suite has run")
			require.True(t, slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, " SUCCESS") }))

			for way, local := range ways {
				assert.Empty(t, cmp.Diff(want, runSuite(t, suite, local, test.revision)), "%s, without a name in the path", way)
				assert.Empty(t, cmp.Diff(want, runSuite(t, suite, local+"/acme", test.revision)), "%s, with a name in the path", way)
			}
			defer loadCPU()()
			for way, local := range ways {
				for i := range loadedRuns {
					assert.Empty(t, cmp.Diff(want, runSuite(t, suite, local+"/acme", test.revision)), "%s under load, run %d", way, i+1)
				}
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
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, pkg).CombinedOutput()
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

// overHTTP2 stands in front of a server as Cloud Run does, with HTTP/2 over TLS, and returns
// its URL and the file of the authority that certifies it.
func overHTTP2(t *testing.T, target string) (secure, authority string) {
	t.Helper()
	to, err := url.Parse(target)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, FlushInterval: -1, Transport: transport}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, 2, r.ProtoMajor)
		// A plain proxy breaks streams off while it still reads the body.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		onward.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	authority = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(authority, certificate, 0o600))
	return server.URL, authority
}

// startProxy returns the URL of a proxy to the target, client "acme".
func startProxy(t *testing.T, binary, target string, flags ...string) string {
	t.Helper()
	endpoint := tokentest.New(t)
	login := tokentest.WriteLogin(t, t.TempDir(), endpoint.URL, tokentest.RefreshToken)
	c := exec.Command(binary, append(flags, "--port=0", "--token-url", endpoint.URL, "acme="+target)...)
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

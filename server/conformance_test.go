//go:build interop && unix

package main

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/conformance"
	"github.com/berth-mcp/berth/internal/localcloud/cloudtest"
)

// busy lets the suite call as often as it does.
const busy = "limits: {calls_per_minute: 1000000, burst: 1000000}"

// noFixture is why a check fails that wants a tool, a prompt or a resource which the
// suite's own server has and a real one has not. It names them test_…, and has some
// that ask the client for input. Two of them subscribe to such a resource, although the
// server says that it keeps no subscriptions where there are no sessions.
var noFixture = regexp.MustCompile(`"test_|'test_|'json_schema_2020_12_tool'|no tool with x-mcp-header|Resource not found|resource not found|[Pp]rompt not found|InputRequiredResult|no sessions here that could keep a subscription`)

// withoutFixtures are the scenarios of each revision that need nothing of the suite's:
// every check of theirs passes.
var withoutFixtures = map[string][]string{
	"2025-11-25": {
		"server-server-initialize", "server-logging-set-level", "server-ping", "server-completion-complete", "server-tools-list",
		"server-resources-list", "server-prompts-list", "server-dns-rebinding-protection",
	},
	"2026-07-28": {
		"server-completion-complete", "server-tools-list", "server-server-sse-multiple-streams", "server-resources-list",
		"server-sep-2164-resource-not-found", "server-prompts-list", "server-dns-rebinding-protection", "server-caching",
		"server-http-header-validation", "server-input-required-result-unsupported-methods",
	},
}

// The server does all that MCP's own suite asks, but for what needs the suite's
// fixtures and for the extensions that it does not have; and it does the same behind
// Cloud Run's front end, through berth-proxy.
func TestInteropTheServerConforms(t *testing.T) {
	suite := conformance.Install(t)
	direct := startProcess(t, env{"BERTH_CLIENT": "acme", "BERTH_IDENTITY": "dev", "PORT": "0", "BERTH_CONFIG": busy, "BERTH_DATA": t.TempDir()})
	cloud := cloudtest.New(t, "BERTH_CONFIG="+busy+"\naccess: {default: admin}", "BERTH_DATA="+t.TempDir())
	local := startProxy(t, cloud)

	for revision, scenarios := range withoutFixtures {
		t.Run(revision, func(t *testing.T) {
			checks := suite.Run(t, direct.url+"/mcp", revision)
			passed := map[string]bool{}
			for _, c := range checks {
				switch {
				case c.Status == "SUCCESS":
					if _, failed := passed[c.Scenario]; !failed {
						passed[c.Scenario] = true
					}
				case c.Status == "FAILURE":
					passed[c.Scenario] = false
					if !strings.HasPrefix(c.Scenario, "server-tasks-") {
						assert.Regexp(t, noFixture, c.Error, "%s", c)
					}
				}
			}
			for _, scenario := range scenarios {
				assert.True(t, passed[scenario], scenario)
			}
			want := conformance.Lines(checks)
			assert.Equal(t, want, conformance.Lines(suite.Run(t, local+"/mcp", revision)), "through the proxy")
			assert.Equal(t, want, conformance.Lines(suite.Run(t, local+"/acme/mcp", revision)), "through the proxy, with a name in the path")
		})
	}
}

// startProxy gives the address of a berth-proxy to the cloud's server, whose developer
// is Ada.
func startProxy(t *testing.T, cloud *cloudtest.Cloud) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "berth-proxy")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "github.com/berth-mcp/berth/proxy").CombinedOutput()
	require.NoError(t, err, string(out))
	proxy := exec.CommandContext(t.Context(), binary, "--port=0", "--token-url", cloud.TokenURL, "acme="+cloud.URL)
	proxy.Env = []string{"HOME=" + t.TempDir(), "GOOGLE_APPLICATION_CREDENTIALS=" + cloud.LogIn(t)}
	stdout, err := proxy.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, proxy.Start())
	t.Cleanup(func() { _ = proxy.Process.Kill(); _ = proxy.Wait() })
	first, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url, found := strings.CutPrefix(strings.TrimSpace(first), "berth-proxy is listening on ")
	require.True(t, found, first)
	return url
}

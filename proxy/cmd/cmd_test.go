package cmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/envtest"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

const deadline = 2 * time.Minute

var built struct {
	sync.Once
	env         []string // of the build: tests change HOME, where Go's caches are
	dir, binary string
	err         error
}

func TestMain(m *testing.M) {
	envtest.Clear()
	built.env = os.Environ()
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // on Windows a program that was just running may be held
	}
	os.Exit(code)
}

// build compiles the real program, once for all tests.
func build(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "berth-proxy"); built.err != nil {
			return
		}
		built.binary = filepath.Join(built.dir, "berth-proxy")
		if runtime.GOOS == "windows" {
			built.binary += ".exe"
		}
		c := exec.Command("go", "build", "-buildvcs=false", "-o", built.binary, "github.com/berth-mcp/berth/proxy")
		c.Env = built.env
		out, err := c.CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.binary
}

// command runs the program in an environment of its own.
func command(t *testing.T, binary string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, binary, args...)
	home := t.TempDir()
	c.Env = append([]string{"HOME=" + home, "APPDATA=" + home, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}, env...)
	return c
}

func TestTheProgramServesUntilItIsTold(t *testing.T) {
	binary := build(t)
	endpoint := tokentest.New(t)
	// In a spelling that Go itself would not take for this machine.
	tokenURL := strings.Replace(endpoint.URL, "127.0.0.1", "LOCALHOST", 1)
	login := tokentest.WriteLogin(t, t.TempDir(), tokenURL, tokentest.RefreshToken)
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("X-Serverless-Authorization")
	}))
	t.Cleanup(server.Close)

	// Loopback is never reached by way of a corporate proxy.
	c := command(t, binary, []string{
		"GOOGLE_APPLICATION_CREDENTIALS=" + login, "BERTH_PROXY_TOKEN_URL=" + tokenURL, "BERTH_PROXY_PORT=1",
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "BERTH_PROXY_LOG_LEVEL=debug", "GOOGLE_SDK_GO_LOGGING_LEVEL=debug",
	}, "serve", "--port", "0", "--log-format=json", "acme="+server.URL+"/mcp")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewReader(stdout)

	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	var port int
	_, err = fmt.Sscanf(first, "berth-proxy is listening on http://localhost:%d\n", &port)
	require.NoError(t, err, first)
	second, err := lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("  acme  http://localhost:%d/acme/mcp  ->  %s\n", port, server.URL), second)

	resp, err := http.Post(fmt.Sprintf("http://localhost:%d/acme/mcp", port), "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "Bearer "+endpoint.Tokens()[0], <-got)

	require.NoError(t, c.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	assert.Empty(t, string(rest))
	require.NoError(t, c.Wait(), stderr.String())
	assert.Contains(t, stderr.String(), `"msg":"request"`)
	assert.NotContains(t, stderr.String(), endpoint.Tokens()[0])
	assert.NotContains(t, stderr.String(), tokentest.RefreshToken)
}

func TestATakenPortIsOneClearMessageWithAnExitCodeOfItsOwn(t *testing.T) {
	binary := build(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	c := command(t, binary, nil, "--port", fmt.Sprint(port), "acme=https://acme.example")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, c.Run(), &exit)
	assert.Equal(t, exitPortTaken, exit.ExitCode())
	assert.Empty(t, stdout.String())
	assert.Equal(t, fmt.Sprintf("berth-proxy: port %d is taken, perhaps by another berth-proxy: stop that, or choose another port with --port (0 takes any that is free)\n", port), stderr.String())
}

func TestASecondProxyNamesTheFirst(t *testing.T) {
	w := newWorld(t)
	_, _, code := berth(t, "add", "acme="+echo(t, "acme"))
	require.Zero(t, code)
	first := serve(t, w, 1)
	port := first.url[strings.LastIndexByte(first.url, ':')+1:]
	_, errs, code := berth(t, "--port="+port)
	assert.Equal(t, exitPortTaken, code)
	assert.Equal(t, "berth-proxy: port "+port+" is taken by another berth-proxy, which serves acme: use that one, stop it, or choose another port with --port (0 takes any that is free)\n", errs)
}

func TestWrongUsageIsToldAllAtOnce(t *testing.T) {
	const local = "http://127.0.0.1:9/token"
	empty := filepath.Join(t.TempDir(), "empty.pem") // the test's own, as it must be
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		want []string
	}{
		"nothing":             {want: []string{"no client is given: write CLIENT=URL"}},
		"nothing to serve":    {args: []string{"serve"}, want: []string{"no client is given: write CLIENT=URL"}},
		"an unknown command":  {args: []string{"server"}, want: []string{"argument 1 is neither CLIENT=URL, nor a client in "}},
		"an unknown flag":     {args: []string{"--prot=1"}, want: []string{"unknown flag: --prot: see berth-proxy --help"}},
		"no client's URL":     {args: []string{"acme"}, want: []string{"argument 1 is neither CLIENT=URL, nor a client in "}},
		"a port out of range": {args: []string{"--port=65536", "a=https://a.example"}, want: []string{"--port 65536: use 0 to 65535"}},
		"an endpoint in the clear": {args: []string{"--token-url=http://token.example", "a=https://a.example"},
			want: []string{`--token-url "http://token.example" would send your login unencrypted`}},
		"an endpoint with a password": {args: []string{"--token-url=https://x:secret@token.example", "a=https://a.example"},
			want: []string{"--token-url: use a URL of scheme, host and path"}},
		"an endpoint with a key in the clear": {args: []string{"--token-url=http://token.example/a?key=secret", "a=https://a.example"},
			want: []string{`--token-url "http://token.example/a" would send your login unencrypted`}},
		"a local endpoint with a key": {args: []string{"--token-url=" + local + "?key=secret", "a=https://a.example"},
			want: []string{`client "a": --token-url "` + local + `" is a cloud on this machine`}},
		"another endpoint with a key": {args: []string{"--token-url=https://token.example/a?key=secret", "a=http://localhost:1"},
			want: []string{`client "a": http://localhost:1 is on this machine, where a token from https://token.example/a is not sent`}},
		"a secret in the client's place": {args: []string{"secret", "a=https://a.example?key=secret"},
			want: []string{"argument 1 has no =: write CLIENT=URL", `client "a": URL "https://a.example" holds a query`}},
		"an API in the clear": {args: []string{"--run-url=http://run.example", "a=https://a.example"},
			want: []string{`--run-url "http://run.example" would send your login unencrypted`}},
		"an API on this machine with Google's login": {args: []string{"--run-url=http://localhost:9", "a=https://a.example"},
			want: []string{`--run-url "http://localhost:9" is a cloud on this machine, where a login of https://oauth2.googleapis.com/token is not sent`}},
		"logins of no kind": {args: []string{"--login=mine", "--impersonate-service-account=agent@x.example,me", "a=https://a.example"},
			want: []string{`--login "mine": use auto, adc, gcloud or metadata`, `--impersonate-service-account: "me" is no service account: give its e-mail address`}},
		"two tokens": {args: []string{"--token-file=x", "a=https://a.example"}, env: map[string]string{"BERTH_PROXY_TOKEN": "a-secret-token"},
			want: []string{"there is a token in BERTH_PROXY_TOKEN, and one in --token-file: leave one out"}},
		"a token that is to act as another": {args: []string{"--impersonate-service-account=agent@x.example", "a=https://a.example"}, env: map[string]string{"BERTH_PROXY_TOKEN": "a-secret-token"},
			want: []string{"--impersonate-service-account needs a login, and a token is given in its place"}},
		"authorities that are missing": {args: []string{"--ca-file=/nowhere/ca.pem", "a=https://a.example"}, want: []string{"--ca-file: open /nowhere/ca.pem"}},
		"authorities that are none":    {args: []string{"--ca-file=" + empty, "a=https://a.example"}, want: []string{"--ca-file " + empty + " holds no certificate"}},
		"a debug setting that prints tokens": {args: []string{"a=https://a.example"}, env: map[string]string{"GODEBUG": "netdns=go,http2debug=2"},
			want: []string{"GODEBUG has http2debug, which would print your tokens: unset it"}},
		"a local server with Google's login": {args: []string{"a=http://localhost:1"},
			want: []string{`client "a": http://localhost:1 is on this machine, where a token from https://oauth2.googleapis.com/token is not sent`}},
		"a local login for a distant server": {args: []string{"--token-url=" + local, "a=https://a.example"},
			want: []string{`client "a": --token-url "` + local + `" is a cloud on this machine and https://a.example is not in it`}},
		"everything": {args: []string{"--log-format=xml", "--log-level=loud", "B=https://b.example", "a=http://localhost:1"},
			env: map[string]string{"BERTH_PROXY_PORT": "many", "BERTH_PROXY_LOG_FORMAT": "not looked at, as the flag is given"},
			want: []string{`BERTH_PROXY_PORT is "many", which --port cannot be`, `--log-format "xml": use text or json`, `--log-level "loud": use debug`,
				`client "B": use 1 to 63`, `client "a": http://localhost:1 is on this machine`}},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			t.Setenv(envPrefix+"CONFIG", filepath.Join(t.TempDir(), "none.yaml"))
			var stdout, stderr bytes.Buffer
			assert.Equal(t, exitUsage, Main(test.args, &stdout, &stderr))
			assert.Empty(t, stdout.String())
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			require.Len(t, lines, len(test.want), stderr.String())
			for i, want := range test.want {
				assert.True(t, strings.HasPrefix(lines[i], "berth-proxy: "+want), "%q does not start with %q", lines[i], want)
			}
			assert.NotContains(t, stderr.String(), "secret")
		})
	}
}

func TestHelpAndVersionAreAnswers(t *testing.T) {
	for arg, want := range map[string]string{"--help": "Exit codes: 0 stopped by a signal", "--version": "berth-proxy version "} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, exitOK, Main([]string{arg}, &stdout, &stderr))
		assert.Contains(t, stdout.String(), want)
		assert.Empty(t, stderr.String())
	}
}

func TestACorporateProxyIsUsedOnTheWayOut(t *testing.T) {
	binary := build(t)
	asked := make(chan string, 1)
	corporate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		w.WriteHeader(http.StatusForbidden) // nothing of this test leaves the machine
	}))
	t.Cleanup(corporate.Close)
	login := tokentest.WriteLogin(t, t.TempDir(), token.GoogleTokenURL, tokentest.RefreshToken)
	c := command(t, binary, []string{"GOOGLE_APPLICATION_CREDENTIALS=" + login, "HTTPS_PROXY=" + corporate.URL}, "--port=0", "acme=https://acme.example")
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	first, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url := strings.TrimSpace(strings.TrimPrefix(first, "berth-proxy is listening on "))

	resp, err := http.Post(url+"/mcp", "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "CONNECT oauth2.googleapis.com:443", <-asked)
	assert.Contains(t, string(body), "cannot sign in to acme: reach the token endpoint https://oauth2.googleapis.com/token")
	require.NoError(t, c.Process.Signal(os.Interrupt))
	require.NoError(t, c.Wait())
}

package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/atomicfile"
	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// A world is a developer's computer and the cloud on it.
type world struct {
	endpoint *tokentest.Endpoint
	file     string // of clients
	api      *httptest.Server
	login    string   // its file
	extra    []string // environment of the proxy
}

// newWorld also sets the environment of this process as that of the developer's.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{endpoint: tokentest.New(t), file: filepath.Join(t.TempDir(), "berth", "proxy.yaml")}
	w.api = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name, found := strings.CutPrefix(r.URL.Path, "/v2/projects/my-project/locations/europe-west1/services/")
		if !found {
			http.Error(rw, "{}", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"uri": "http://127.0.0.1:9/" + name})
	}))
	t.Cleanup(w.api.Close)
	w.login = tokentest.WriteLogin(t, t.TempDir(), w.endpoint.URL, tokentest.RefreshToken)
	for name, value := range w.environment() {
		t.Setenv(name, value)
	}
	return w
}

func (w *world) environment() map[string]string {
	return map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": w.login,
		"BERTH_PROXY_TOKEN_URL":          w.endpoint.URL,
		"BERTH_PROXY_RUN_URL":            w.api.URL,
		"BERTH_PROXY_CONFIG":             w.file,
	}
}

// berth runs a command that ends by itself.
func berth(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(args, &out, &errs)
	assert.NotContains(t, out.String()+errs.String(), tokentest.RefreshToken)
	return out.String(), errs.String(), code
}

func TestClientsAreAddedListedAndRemoved(t *testing.T) {
	w := newWorld(t)
	out, _, code := berth(t, "list")
	assert.Zero(t, code)
	assert.Equal(t, fmt.Sprintf("no clients in %s: add one with `berth-proxy add`\n", w.file), out)
	out, _, code = berth(t, "list", "--json")
	assert.Zero(t, code)
	assert.Equal(t, "[]\n", out)

	out, errs, code := berth(t, "add", "acme=http://127.0.0.1:9/mcp", "--audience=https://acme.example", "--access-hint", "acme-developers@example.com")
	require.Zero(t, code, errs)
	assert.Equal(t, "acme  http://127.0.0.1:9\nadded to "+w.file+"\n", out)
	out, errs, code = berth(t, "add", "globex", "--project=my-project", "--region=europe-west1", "--service=berth-globex")
	require.Zero(t, code, errs)
	assert.Equal(t, "globex  http://127.0.0.1:9/berth-globex\nadded to "+w.file+"\n", out)
	assert.Equal(t, 1, w.endpoint.Exchanges(), "the service was looked up with the developer's login")

	out, _, _ = berth(t, "list")
	assert.Equal(t, "acme    http://127.0.0.1:9\nglobex  http://127.0.0.1:9/berth-globex\n", out)
	out, _, _ = berth(t, "list", "--json")
	var listed []config.Client
	require.NoError(t, json.Unmarshal([]byte(out), &listed))
	assert.Equal(t, []config.Client{
		{Name: "acme", URL: "http://127.0.0.1:9", Audience: "https://acme.example", AccessHint: "acme-developers@example.com"},
		{Name: "globex", URL: "http://127.0.0.1:9/berth-globex", Project: "my-project", Region: "europe-west1", Service: "berth-globex"},
	}, listed)

	_, errs, code = berth(t, "remove", "acme", "globex")
	require.Zero(t, code, errs)
	out, _, _ = berth(t, "list", "--json")
	assert.Equal(t, "[]\n", out)
}

func TestAMistakeChangesNothing(t *testing.T) {
	w := newWorld(t)
	_, _, code := berth(t, "add", "acme=http://127.0.0.1:9")
	require.Zero(t, code)
	before, err := os.ReadFile(w.file)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"nothing to add":           {[]string{"add"}, exitUsage, []string{"0 arguments: give one client"}},
		"two at once":              {[]string{"add", "b=http://127.0.0.1:1", "c=http://127.0.0.1:1"}, exitUsage, []string{"2 arguments: give one client"}},
		"one that is there":        {[]string{"add", "acme=http://127.0.0.1:10"}, exitUsage, []string{`client "acme" is in ` + w.file + ` already, with other settings: give another name, or --replace`}},
		"no server":                {[]string{"add", "globex"}, exitUsage, []string{`client "globex": no server is named`}},
		"half a service":           {[]string{"add", "globex", "--project=my-project"}, exitUsage, []string{`client "globex": a service on Cloud Run is named by project, region and service: give region and service`}},
		"a wrong URL":              {[]string{"add", "globex=ftp://globex.example"}, exitUsage, []string{`client "globex": URL "ftp://globex.example" has the scheme "ftp"`}},
		"another world":            {[]string{"add", "globex=https://globex.example"}, exitUsage, []string{`client "globex": --token-url`}},
		"everything":               {[]string{"add", "B", "--project=P", "--audience=two words", "--log-level=loud"}, exitUsage, []string{`--log-level "loud"`, "client: use 1 to 63", `client: project is "P"`, "client: audience is", "client: a service on"}},
		"a service that is not":    {[]string{"add", "globex", "--project=other-project", "--region=europe-west1", "--service=x"}, exitFailed, []string{`client "globex": there is no service x in europe-west1 of project other-project`}},
		"an API of another cloud":  {[]string{"add", "globex", "--project=my-project", "--region=europe-west1", "--service=x", "--run-url=https://run.googleapis.com"}, exitFailed, []string{`client "globex": cannot sign in to look up the service x in europe-west1 of project my-project: the configuration gives https://run.googleapis.com as its Cloud Run API, which does not belong to the token endpoint ` + w.endpoint.URL}},
		"nothing to remove":        {[]string{"remove"}, exitUsage, []string{"no client is given: see `berth-proxy list`"}},
		"one that is not there":    {[]string{"remove", "acme", "globex"}, exitUsage, []string{`there is no client "globex" in ` + w.file}},
		"an argument to list":      {[]string{"list", "acme"}, exitUsage, []string{"1 arguments: list takes none"}},
		"one that is not to serve": {[]string{"acme", "globex"}, exitUsage, []string{"argument 2 is neither CLIENT=URL, nor a client in " + w.file}},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := berth(t, test.args...)
			assert.Equal(t, test.code, code)
			assert.Empty(t, out)
			lines := strings.Split(strings.TrimSpace(errs), "\n")
			require.Len(t, lines, len(test.want), errs)
			for i, want := range test.want {
				assert.True(t, strings.HasPrefix(lines[i], "berth-proxy: "+want), "%q does not start with %q", lines[i], want)
			}
			after, err := os.ReadFile(w.file)
			require.NoError(t, err)
			assert.Equal(t, string(before), string(after))
		})
	}
}

func TestAFlagOutranksTheEnvironmentAndThatTheFile(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
	require.NoError(t, os.WriteFile(w.file, []byte("port: 1\nlog-level: warn\nlog-format: json\n"), 0o600))
	t.Setenv("BERTH_PROXY_PORT", "2")
	t.Setenv("BERTH_PROXY_LOG_LEVEL", "error")
	c := &common{}
	root := newRoot(c)
	root.SetArgs([]string{"list", "--port=3"})
	root.SetOut(io.Discard)
	require.NoError(t, root.Execute())
	assert.Equal(t, 3, c.port)
	assert.Equal(t, "error", c.logLevel)
	assert.Equal(t, "json", c.logFormat)
}

func TestASettingThatCannotBeIsToldWithItsLine(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
	require.NoError(t, os.WriteFile(w.file, []byte("port: many\nprot: 1\nconfig: other.yaml\nclients:\n  B: {url: http://127.0.0.1:9}\n"), 0o600))
	_, errs, code := berth(t)
	assert.Equal(t, exitUsage, code)
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	require.Len(t, lines, 5, errs)
	for i, want := range []string{":5: client \"B\": use 1 to 63", ":1: port is \"many\", which --port cannot be", ":2: there is no setting \"prot\": use clients, port,", ":3: there is no setting \"config\""} {
		assert.True(t, strings.HasPrefix(lines[i], "berth-proxy: "+w.file+want), "%q is not %q", lines[i], want)
	}
}

// A run is a berth-proxy that serves.
type run struct {
	process *exec.Cmd
	url     string
	clients []string // the announced lines
	log     logtest.Buffer
}

// logs waits until the log says something.
func (r *run) logs(t *testing.T, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(r.log.String(), what) }, deadline, time.Millisecond, what)
}

// serve starts the program and waits until it listens for some clients.
func serve(t *testing.T, w *world, clients int, args ...string) *run {
	t.Helper()
	r := &run{}
	var env []string
	for name, value := range w.environment() {
		env = append(env, name+"="+value)
	}
	r.process = command(t, build(t), append(env, w.extra...), append([]string{"--port=0"}, args...)...)
	r.process.Stderr = &r.log
	stdout, err := r.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.process.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan(), "%s", r.log.String())
	r.url = strings.TrimPrefix(lines.Text(), "berth-proxy is listening on ")
	for range clients {
		require.True(t, lines.Scan())
		r.clients = append(r.clients, lines.Text())
	}
	t.Cleanup(func() {
		require.NoError(t, r.process.Process.Signal(os.Interrupt))
		assert.NoError(t, r.process.Wait())
		assert.NotContains(t, r.log.String(), tokentest.RefreshToken)
		for _, raw := range w.endpoint.Tokens() {
			assert.NotContains(t, r.log.String(), raw)
		}
	})
	return r
}

func (r *run) post(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Post(r.url+path, "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func echo(t *testing.T, what string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, what) }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestARunningProxyTakesUpWhatIsAddedAndRemoved(t *testing.T) {
	w := newWorld(t)
	_, _, code := berth(t, "add", "acme="+echo(t, "acme"))
	require.Zero(t, code)
	r := serve(t, w, 1)
	_, body := r.post(t, "/acme/mcp")
	assert.Equal(t, "acme", body)

	_, _, code = berth(t, "add", "globex="+echo(t, "globex"))
	require.Zero(t, code)
	if runtime.GOOS != "windows" {
		require.NoError(t, r.process.Process.Signal(syscall.SIGHUP)) // instead of waiting
	}
	require.Eventually(t, func() bool { _, body := r.post(t, "/globex/mcp"); return body == "globex" }, deadline, 10*time.Millisecond)
	_, body = r.post(t, "/acme/mcp")
	assert.Equal(t, "acme", body)

	_, _, code = berth(t, "remove", "acme", "globex")
	require.Zero(t, code)
	require.Eventually(t, func() bool { status, _ := r.post(t, "/acme/mcp"); return status == http.StatusNotFound }, deadline, 10*time.Millisecond,
		"without a signal, the file is looked at")
}

func TestAClientThatIsServedByNameIsGoneWhenItIsRemoved(t *testing.T) {
	w := newWorld(t)
	for _, client := range []string{"acme", "globex", "hooli"} {
		_, _, code := berth(t, "add", client+"="+echo(t, client))
		require.Zero(t, code)
	}
	r := serve(t, w, 2, "acme", "globex")
	_, _, code := berth(t, "remove", "globex")
	require.Zero(t, code)
	require.Eventually(t, func() bool { status, _ := r.post(t, "/globex/mcp"); return status == http.StatusNotFound }, deadline, 10*time.Millisecond)
	_, body := r.post(t, "/acme/mcp")
	assert.Equal(t, "acme", body)
	status, _ := r.post(t, "/hooli/mcp")
	assert.Equal(t, http.StatusNotFound, status, "it was not named")
}

func TestAFileThatBecomesWrongChangesNothing(t *testing.T) {
	w := newWorld(t)
	_, _, code := berth(t, "add", "acme="+echo(t, "acme"))
	require.Zero(t, code)
	r := serve(t, w, 1)
	require.NoError(t, atomicfile.Write(w.file, []byte("port: 1\nclients:\n  acme: {url: https://distant.example}\n  B: {}\n"), 0o600)) // or half of it might be read
	r.logs(t, `client \"acme\": --token-url`)
	r.logs(t, `client \"B\": use 1 to 63`)
	_, body := r.post(t, "/acme/mcp")
	assert.Equal(t, "acme", body)

	require.NoError(t, atomicfile.Write(w.file, []byte("port: 1\nclients:\n  acme: {url: "+echo(t, "another")+"}\n"), 0o600)) // or half of it might be read
	require.Eventually(t, func() bool { _, body := r.post(t, "/mcp"); return body == "another" }, deadline, 10*time.Millisecond)
	r.logs(t, "settings have changed: start berth-proxy anew")
}

func TestAServiceThatIsNotFoundLeavesTheOthersServed(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
	require.NoError(t, os.WriteFile(w.file, []byte(`clients:
  acme: {url: `+echo(t, "acme")+`}
  globex: {project: my-project, region: europe-west1, service: berth-globex}
  hooli: {project: other-project, region: europe-west1, service: berth-hooli}
`), 0o600))
	r := serve(t, w, 2)
	assert.Contains(t, r.clients[1], "globex  "+r.url+"/globex/mcp  ->  http://127.0.0.1:9/berth-globex")
	r.logs(t, `client \"hooli\": there is no service berth-hooli`)
	_, body := r.post(t, "/acme/mcp")
	assert.Equal(t, "acme", body)

	w.api.Close() // as when the network is gone for a moment
	_, _, code := berth(t, "add", "initech="+echo(t, "initech"))
	require.Zero(t, code)
	require.Eventually(t, func() bool { _, body := r.post(t, "/initech/mcp"); return body == "initech" }, deadline, 10*time.Millisecond)
	status, _ := r.post(t, "/globex/mcp")
	assert.Equal(t, http.StatusBadGateway, status, "what was found before is still served, by a port where nobody is")
}

func TestAProxyWithNothingToServeDoesNotStart(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(w.file), 0o700))
	require.NoError(t, os.WriteFile(w.file, []byte("clients:\n  hooli: {project: other-project, region: europe-west1, service: berth-hooli}\n"), 0o600))
	_, errs, code := berth(t, "serve", "hooli")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, `client "hooli": there is no service berth-hooli`)
}

package doctor_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/operate"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// An endpoint gives tokens of a cloud on this machine that does not exist.
type endpoint struct {
	*tokentest.Endpoint
	source *token.Source
}

func newEndpoint(t *testing.T) endpoint {
	t.Helper()
	e := tokentest.New(t)
	login := tokentest.WriteLogin(t, t.TempDir(), e.URL, tokentest.RefreshToken)
	return endpoint{e, token.NewSource(token.Options{File: login, TokenURL: e.URL})}
}

// running is the version of the proxies and the doctors.
const running = "v1.2.3"

// newDoctor looks at an empty home, and a port where nothing listens.
func newDoctor(t *testing.T, tokens relay.TokenSource, targets ...string) *doctor.Doctor {
	t.Helper()
	parsed, err := relay.ParseTargets(targets)
	require.NoError(t, err)
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	return &doctor.Doctor{
		Tokens: tokens, Targets: parsed, Port: 1, Version: running, // a port that nothing is given by chance
		Place: editors.Place{System: editors.System{OS: "linux", Home: home, Getenv: func(string) string { return "" }}},
	}
}

// told checks that a report has a line for each check, whose status and message begin so.
func told(t *testing.T, results []doctor.Result, want map[string]string) {
	t.Helper()
	lines := map[string]string{}
	for _, r := range results {
		lines[r.Check] = fmt.Sprintf("%s: %s", r.Status, r.Message)
	}
	for check, begin := range want {
		assert.True(t, strings.HasPrefix(lines[check], begin), "%s: %q does not begin with %q", check, lines[check], begin)
	}
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections() // a stream of an SDK server has no other end
		server.Close()
	})
	return server.URL
}

func mcpServer() *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "test\x1b[31m", Version: "2"}, nil)
}

func TestServersOfEveryKindAreGreetedInTheirOwnWay(t *testing.T) {
	get := func(*http.Request) *mcp.Server { return mcpServer() }
	page := func(status int, contentType, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	}
	sseAlone := http.NewServeMux()
	sseAlone.Handle("/sse", mcp.NewSSEHandler(get, nil))
	ended := make(chan string, 1)
	stateful := mcp.NewStreamableHTTPHandler(get, nil)
	ownLogin := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="https://acme.example/x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	onlyNew := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Mcp-Method") != "server/discover" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}`)
			return
		}
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"serverInfo":{"name":"new","version":"1"}}}`)
	})
	for name, test := range map[string]struct {
		handler http.Handler
		want    map[string]string
	}{
		"without sessions": {mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{Stateless: true}),
			map[string]string{"mcp": `ok: test\u001b[31m 2 speaks MCP 2025-11-25`}},
		"in JSON": {mcp.NewStreamableHTTPHandler(get, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true}),
			map[string]string{"mcp": `ok: test\u001b[31m 2 speaks MCP 2025-11-25`}},
		"with sessions": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				ended <- r.Header.Get("Mcp-Session-Id")
			}
			stateful.ServeHTTP(w, r)
		}), map[string]string{"mcp": `ok: test\u001b[31m 2 speaks MCP 2025-11-25`}},
		"of the newest revision alone": {onlyNew, map[string]string{"mcp": "ok: new 1 speaks MCP 2026-07-28"}},
		"of the oldest alone":          {sseAlone, map[string]string{"mcp": "ok: the server speaks MCP 2024-11-05, at /sse alone"}},
		"with a login of its own":      {ownLogin, map[string]string{"access": "ok: Cloud Run lets ada@example.com in", "mcp": "skipped: the server has a login of its own"}},
		"that is no server of MCP": {page(200, "text/html", "<html>"), map[string]string{
			"closed": "warning: it answers without a login (200): if it has no login of its own, tell the people who run it that it is open to everyone",
			"mcp":    `failed: the server did not answer as one of MCP does (200, "text/html"): check the URL`}},
		"at another path": {page(404, "text/plain", "no"), map[string]string{"mcp": "failed: the server answers 404 at /mcp and there is no event stream at /sse (404): check the path in the URL"}},
		"that has broken": {page(500, "text/html", "<html>"), map[string]string{"access": "failed: the server of acme failed (500 Internal Server Error)", "mcp": "skipped"}},
		"with a long answer": {page(200, "application/json", `{"result":"`+strings.Repeat("x", 2<<20)+`"}`), map[string]string{
			"mcp": "failed: the server did not answer as one of MCP does (200"}},
	} {
		t.Run(name, func(t *testing.T) {
			results := newDoctor(t, newEndpoint(t).source, "acme="+serve(t, test.handler)).Run(t.Context())
			told(t, results, test.want)
		})
	}
	assert.NotEmpty(t, <-ended, "no session is left behind")
}

func TestAClockThatIsWrongIsToldFromTheServers(t *testing.T) {
	for name, test := range map[string]struct {
		ahead time.Duration
		want  string
	}{
		"a little":   {time.Minute, "ok: agrees with"},
		"far behind": {time.Hour, "failed: this computer's clock is about 60 minutes behind the server of acme: set it"},
		"far ahead":  {-time.Hour, "failed: this computer's clock is about 60 minutes ahead of the server of acme: set it"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(test.ahead).UTC().Format(http.TimeFormat))
			}))
			results := newDoctor(t, newEndpoint(t).source, "acme="+url).Run(t.Context())
			told(t, results, map[string]string{"clock": test.want})
		})
	}
}

func TestATokenEndpointThatDoesNotAnswerIsNoLoginThatHasEnded(t *testing.T) {
	e := newEndpoint(t)
	e.Set(func(e *tokentest.Endpoint) {
		e.Answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	})
	told(t, newDoctor(t, e.source, "acme="+serve(t, http.NotFoundHandler())).Run(t.Context()), map[string]string{
		"login": "skipped", "token": "failed: the token endpoint", "access": "failed: cannot sign in to acme",
	})
}

// listenLocally runs a proxy, and returns its port.
func listenLocally(t *testing.T, secret string) int {
	t.Helper()
	targets, err := relay.ParseTargets([]string{"acme=http://127.0.0.1:9"})
	require.NoError(t, err)
	e := newEndpoint(t)
	proxy, err := relay.New(relay.Options{Targets: targets, Tokens: e.source, Secret: secret})
	require.NoError(t, err)
	sender := relay.NewSender(e.source, nil, targets)
	t.Cleanup(sender.Close)
	operate.Register(proxy, sender, running)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- proxy.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-served)
	})
	return proxy.Port()
}

func TestWhatListensForEditorsIsAsked(t *testing.T) {
	const secret = "0123456789abcdef"
	mute, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = mute.Close() })
	go func() {
		for {
			conn, err := mute.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example ESMTP\r\n"))
			_ = conn.Close()
		}
	}()
	says := func(server, body string) int {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", server)
			fmt.Fprint(w, body)
		})), "http://"))
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		return n
	}
	for name, test := range map[string]struct {
		port   int
		secret string
		want   string
	}{
		"the proxy":                     {listenLocally(t, ""), "", "ok: listens on port"},
		"the proxy with its secret":     {listenLocally(t, secret), secret, "ok: listens on port"},
		"a proxy with another secret":   {listenLocally(t, secret), "another-" + secret, "failed: the berth-proxy on port"},
		"a proxy with a secret unknown": {listenLocally(t, secret), "", "failed: the berth-proxy on port"},
		"a proxy without a secret":      {listenLocally(t, ""), secret, "failed: the berth-proxy on port"},
		"a proxy of another version":    {says("", `{"program":"berth-proxy","version":"v1.2.2","clients":[]}`), "", "warning: listens on port"},
		"a program that speaks no HTTP": {mute.Addr().(*net.TCPAddr).Port, "", "failed: what listens on port"},
		"a program that is alive, too":  {says("nginx/1.2\x1b[31m", "ok\n"), "", "failed: what listens on port"},
		"a program that speaks JSON":    {says("", `{"program":"another"}`), "", "failed: what listens on port"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoctor(t, newEndpoint(t).source)
			d.Port, d.Secret = test.port, test.secret
			results := d.Run(t.Context())
			told(t, results, map[string]string{"proxy": fmt.Sprintf("%s %d", test.want, test.port)})
			for _, r := range results {
				assert.NotContains(t, r.Message, secret)
				assert.NotContains(t, r.Message, "\x1b")
			}
		})
	}
}

func TestAClientThatTheProxyDoesNotServeIsTold(t *testing.T) {
	server := serve(t, http.NotFoundHandler())
	d := newDoctor(t, newEndpoint(t).source, "acme="+server, "globex="+server)
	d.Port = listenLocally(t, "")
	var lines []string
	for _, r := range d.Run(t.Context()) {
		if r.Check == doctor.Proxy {
			lines = append(lines, fmt.Sprintf("%s %s: %s", r.Client, r.Status, r.Message))
		}
	}
	assert.Equal(t, []string{
		fmt.Sprintf(" ok: listens on port %d", d.Port),
		fmt.Sprintf("globex warning: the one on port %d does not serve it: add it with `berth-proxy add globex=%s`, and start the proxy without arguments", d.Port, server),
	}, lines)
}

func TestTheProxyAndTheEditorsAreLookedAt(t *testing.T) {
	d := newDoctor(t, newEndpoint(t).source, "acme="+serve(t, http.NotFoundHandler()))
	d.Port = listenLocally(t, d.Secret)
	write := func(name, content string) {
		file := filepath.Join(d.Place.System.Home, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	write(".cursor/mcp.json", `{"mcpServers": {"acme": {"url": "http://localhost:`+strconv.Itoa(d.Port)+`/acme/mcp"}, "globex": {"url": "http://localhost:1/globex/mcp"}}}`)
	write(".gemini/settings.json", `{"mcpServers": {"a": {"httpUrl": "http://localhost:1/acme/mcp"}}}`)
	write(".config/Claude/claude_desktop_config.json", `{"mcpServers": {"acme": {"command": "/nowhere/berth-proxy", "args": ["stdio", "acme"]}}}`)
	write(".codex/config.toml", "a = \n")

	var lines []string
	for _, r := range d.Run(t.Context()) {
		if r.Check == doctor.Editor || r.Check == doctor.Proxy {
			lines = append(lines, fmt.Sprintf("%s %s: %s", r.Client, r.Status, r.Message))
		}
	}
	require.Len(t, lines, 5, "what is for another client is not told")
	assert.Equal(t, fmt.Sprintf(" ok: listens on port %d", d.Port), lines[0])
	assert.Equal(t, "acme failed: Claude Desktop has it as acme, but there is no /nowhere/berth-proxy: run berth-proxy install claude-desktop --client acme --port "+strconv.Itoa(d.Port), lines[1])
	assert.Contains(t, lines[2], " failed: Codex CLI cannot read its configuration: "+filepath.Join(d.Place.System.Home, ".codex/config.toml")+": line 1, column")
	assert.Equal(t, "acme ok: Cursor has it as acme", lines[3])
	assert.Equal(t, fmt.Sprintf("acme failed: Gemini CLI has it as a, but at port 1 in place of %d: run berth-proxy install gemini --client acme --port %[1]d", d.Port), lines[4])
}

func TestClientsAreVisitedTogetherAndToldInTheirOrder(t *testing.T) {
	// Each answers only when the other is asked, too.
	meet := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/mcp" {
			select {
			case meet <- struct{}{}:
			case <-meet:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(http.StatusNotFound)
	})
	results := newDoctor(t, newEndpoint(t).source, "b="+serve(t, handler), "a="+serve(t, handler)).Run(t.Context())
	var order []string
	for _, r := range results {
		if r.Check == doctor.Closed {
			order = append(order, r.Client)
			assert.Contains(t, r.Message, "(404)")
		}
	}
	assert.Equal(t, []string{"b", "a"}, order)
}

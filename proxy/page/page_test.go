package page_test

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/page"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// A desk is a developer's computer with a running proxy and the page.
type desk struct {
	*relay.Relay
	endpoint *tokentest.Endpoint
	home     string       // with the editors' configurations
	visits   atomic.Int64 // how often a server was asked for
	calls    atomic.Int64 // that came to servers
	report   func(doctor.Report) doctor.Report
}

// newDesk has two clients: acme, which lets its callers in, and globex, which does not.
func newDesk(t *testing.T, secret string) *desk {
	t.Helper()
	d := &desk{endpoint: tokentest.New(t), report: func(r doctor.Report) doctor.Report { return r }}
	server := mcp.NewServer(&mcp.Implementation{Name: "berth-portal", Version: "0.1.0"}, nil)
	portal := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})
	serve := func(lets bool) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d.calls.Add(1)
			if !lets || r.Header.Get("X-Serverless-Authorization") == "" {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusForbidden)
				return
			}
			portal.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	targets, err := relay.ParseTargets([]string{"acme=" + serve(true), "globex=" + serve(false)})
	require.NoError(t, err)
	targets[1].AccessHint = "globex-developers@example.com"
	tokens := token.NewSource(token.Options{File: tokentest.WriteLogin(t, t.TempDir(), d.endpoint.URL, tokentest.RefreshToken), TokenURL: d.endpoint.URL})
	d.Relay, err = relay.New(relay.Options{Targets: targets, Tokens: tokens, Secret: secret})
	require.NoError(t, err)
	doc := doctor.Doctor{Tokens: tokens}
	d.home = t.TempDir()
	page.New(page.Options{
		Port: d.Port(), Secret: d.Secret, Version: "v1.2.3", Snapshot: d.Snapshot, Account: d.Account,
		Visit: func(ctx context.Context, target relay.Target) doctor.Report {
			d.visits.Add(1)
			return d.report(doc.Visit(ctx, target))
		},
		System:  editors.System{OS: "linux", Home: d.home, Getenv: func(string) string { return "" }},
		Command: func(client string) []string { return []string{"/usr/local/bin/berth-proxy", "stdio", client} },
	}).Register(d.Handle)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-served)
	})
	return d
}

var httpClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func fetch(t *testing.T, method, url string, header map[string]string, form url.Values) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := httpClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// asBrowser are the headers of a navigation that a person began.
var asBrowser = map[string]string{
	"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
}

var proof = regexp.MustCompile(`name="proof" value="([^"]+)"`)

// press sends the form as the page does.
func (d *desk) press(t *testing.T, client string) (*http.Response, string) {
	t.Helper()
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	found := proof.FindStringSubmatch(body)
	require.NotNil(t, found)
	origin, err := url.Parse(d.URL())
	require.NoError(t, err)
	return fetch(t, http.MethodPost, d.URL()+"/berth-proxy.check",
		map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://" + origin.Host}, url.Values{"client": {client}, "proof": {found[1]}})
}

func TestThePageTellsWhichEditorsAreConnected(t *testing.T) {
	d := newDesk(t, "")
	entry := func(port int) string {
		return fmt.Sprintf(`{"mcpServers": {"acme": {"url": "http://localhost:%d/acme/mcp", "httpUrl": "http://localhost:%[1]d/acme/mcp"}}}`, port)
	}
	for name, content := range map[string]string{
		".cursor/mcp.json":                          entry(d.Port()),
		".gemini/settings.json":                     entry(1),
		".codex/config.toml":                        "a = \n",
		".config/Claude/claude_desktop_config.json": `{"mcpServers": {"acme": {"command": "/usr/local/bin/berth-proxy", "args": ["stdio", "acme"]}}}`,
	} {
		file := filepath.Join(d.home, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	acme, globex, found := strings.Cut(body, `<section id="globex"`)
	require.True(t, found)
	for editor, note := range map[string]string{
		"Cursor": "connected", "Claude Desktop": "connected", "Gemini CLI": "on this computer", "Codex CLI": "its configuration cannot be read",
	} {
		assert.Contains(t, acme, "<summary>"+editor+` <span class="note">`+note+"</span></summary>")
	}
	assert.Contains(t, acme, "<summary>Zed</summary>")
	assert.NotContains(t, globex, "connected")
}

func TestTheRootIsAPageForABrowserThatAsksNoServer(t *testing.T) {
	d := newDesk(t, "")
	resp, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
	for _, want := range []string{"acme", "globex", d.URL() + "/acme/mcp", "Nobody has been signed in yet", "v1.2.3", fmt.Sprintf("berth-proxy install cursor --client acme --port %d</code>", d.Port()),
		"cursor://anysphere.cursor-deeplink/mcp/install?name=acme", "vscode:mcp/install?", "[mcp_servers.acme]", "~/.cursor/mcp.json", "/usr/local/bin/berth-proxy"} {
		assert.Contains(t, body, want)
	}
	assert.NotContains(t, body, "ZgotmplZ", "the template trusts every link")
	assert.Zero(t, d.calls.Load())
	assert.Zero(t, d.endpoint.Exchanges())
}

func TestNothingOfThePageIsForAnotherSite(t *testing.T) {
	d := newDesk(t, "")
	for path, mediaType := range map[string]string{
		"/": "text/html", "/berth-proxy.css": "text/css", "/berth-proxy.js": "text/javascript", "/berth-proxy.svg": "image/svg+xml",
	} {
		resp, body := fetch(t, http.MethodGet, d.URL()+path, asBrowser, nil)
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.Equal(t, mediaType+"; charset=utf-8", resp.Header.Get("Content-Type"))
		policy := resp.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
			assert.Contains(t, policy, want)
		}
		assert.NotContains(t, policy, "unsafe")
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		assert.Equal(t, "same-origin", resp.Header.Get("Cross-Origin-Resource-Policy"))
		assert.Empty(t, resp.Header.Values("Set-Cookie"))
		assert.Empty(t, resp.Header.Values("Access-Control-Allow-Origin"))
		assert.NotRegexp(t, `(?i)<script(?: defer)?>|\son[a-z]+\s*=|\sstyle\s*=|javascript:`, body, "no code in the page itself")
		assert.NotRegexp(t, `(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//`, body, "nothing from elsewhere")
	}
	for _, header := range []map[string]string{{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/", nil)
		require.NoError(t, err)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		r.Host = r.Header.Get("Host")
		resp, err := httpClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusForbidden, resp.StatusCode, header)
	}
}

func TestTheButtonTellsWhetherAClientCanBeReached(t *testing.T) {
	d := newDesk(t, "")
	resp, _ := d.press(t, "acme")
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	assert.Equal(t, "./#acme", resp.Header.Get("Location"))
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Contains(t, body, "You can use it.")
	assert.Contains(t, body, "berth-portal 0.1.0 speaks MCP 2025-11-25")
	assert.Contains(t, body, "Signed in as <strong>ada@example.com</strong>")

	d.press(t, "globex")
	_, body = fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Contains(t, body, "You cannot use it now:")
	assert.Contains(t, body, "ada@example.com may not use globex: ask globex-developers@example.com for access")
	assert.Contains(t, body, "You can use it.", "what was found of another client stays")
	for _, raw := range d.endpoint.Tokens() {
		assert.NotContains(t, body, raw)
	}

	targets, err := relay.ParseTargets([]string{"acme=http://127.0.0.1:9"})
	require.NoError(t, err)
	d.SetTargets(targets)
	_, body = fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.NotContains(t, body, "You can use it.", "it was found of another server")
	resp, _ = d.press(t, "globex")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestAnotherSiteCannotPressTheButton(t *testing.T) {
	d := newDesk(t, "")
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	good := proof.FindStringSubmatch(body)[1]
	other := newDesk(t, "")
	_, body = fetch(t, http.MethodGet, other.URL()+"/", asBrowser, nil)
	anothers := proof.FindStringSubmatch(body)[1]
	require.NotEqual(t, good, anothers, "each run has its own")
	for name, test := range map[string]struct {
		method, site, origin, proof string
		status                      int
	}{
		"another site":            {"POST", "cross-site", "https://evil.example", good, 403},
		"another port":            {"POST", "same-site", "http://localhost:1", good, 403},
		"another name of this":    {"POST", "cross-site", strings.Replace(d.URL(), "localhost", "127.0.0.1", 1), good, 403},
		"a sandboxed page":        {"POST", "cross-site", "null", good, 403},
		"no browser":              {"POST", "", "", good, 403},
		"a browser without site":  {"POST", "", d.URL(), good, 403},
		"a person's own address":  {"POST", "none", "", good, 403},
		"without the proof":       {"POST", "same-origin", d.URL(), "", 403},
		"with another's proof":    {"POST", "same-origin", d.URL(), anothers, 403},
		"a link":                  {"GET", "same-origin", d.URL(), good, 404},
		"a form that is too long": {"POST", "same-origin", d.URL(), strings.Repeat("x", 8<<10), 403},
	} {
		t.Run(name, func(t *testing.T) {
			header := map[string]string{}
			if test.site != "" {
				header["Sec-Fetch-Site"] = test.site
			}
			if test.origin != "" {
				header["Origin"] = test.origin
			}
			resp, _ := fetch(t, test.method, d.URL()+"/berth-proxy.check", header, url.Values{"client": {"acme"}, "proof": {test.proof}})
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Zero(t, d.visits.Load())
		})
	}
}

func TestWhatServersSayIsText(t *testing.T) {
	d := newDesk(t, "")
	d.report = func(doctor.Report) doctor.Report {
		return doctor.Report{Account: `<img src=x onerror="alert(1)">`, Results: []doctor.Result{{Check: "mcp", Status: doctor.Failed, Message: `</li><script>alert(1)</script>`}}}
	}
	d.press(t, "acme")
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Contains(t, body, "&lt;script&gt;alert(1)")
	assert.NotContains(t, body, "<script>")
	assert.NotContains(t, body, "<img src=x")
}

func TestTheFiguresAreThoseOfTheRelay(t *testing.T) {
	d := newDesk(t, "")
	for _, client := range []string{"acme", "globex", "globex"} {
		fetch(t, http.MethodPost, d.URL()+"/"+client+"/mcp", map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}, nil)
	}
	var body, text string
	require.Eventually(t, func() bool { // that a call failed is counted when it has been answered
		_, body = fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
		text = regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " "), " ")
		return strings.Contains(text, "Calls 2 since the start Failed 2 100.0 %")
	}, time.Minute, time.Millisecond)
	assert.Regexp(t, `Typical answer [\d.]+ m?s`, text)
	assert.Contains(t, body, "Signed in as <strong>ada@example.com</strong>")
}

func TestEditorsAndOtherPathsAreUntouched(t *testing.T) {
	d := newDesk(t, "")
	resp, _ := fetch(t, http.MethodGet, d.URL()+"/acme/", asBrowser, nil)
	assert.Equal(t, http.StatusForbidden, resp.StatusCode, "no navigation to a server")
	assert.Zero(t, d.calls.Load())
	resp, _ = fetch(t, http.MethodPost, d.URL()+"/", map[string]string{"Content-Type": "application/json"}, nil)
	assert.Equal(t, http.StatusNotFound, resp.StatusCode, "the page is for GET")
	targets, err := relay.ParseTargets([]string{"acme=http://127.0.0.1:9"})
	require.NoError(t, err)
	d.SetTargets(targets) // with one client, the root is its own for an older editor
	resp, body := fetch(t, http.MethodGet, d.URL()+"/", map[string]string{"Accept": "text/event-stream"}, nil)
	assert.NotEqual(t, http.StatusOK, resp.StatusCode)
	assert.NotContains(t, body, "<html")
	_, body = fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Contains(t, body, "<html")
}

// What opens a link gets it as an argument, which every user of the computer can see.
func TestPage_OffersNoLinkWithSecret(t *testing.T) {
	d := newDesk(t, "0123456789abcdef")
	_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Contains(t, body, "berth-proxy install cursor")
	assert.NotRegexp(t, `href="(?:cursor|vscode):`, body)
}

func TestThePageIsBelowTheSecret(t *testing.T) {
	const secret = "0123456789abcdef"
	d := newDesk(t, secret)
	open := strings.TrimSuffix(d.URL(), "/"+secret)
	resp, body := fetch(t, http.MethodGet, open+"/", asBrowser, nil)
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.NotContains(t, body, secret)
	resp, body = fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, body, d.URL()+"/acme/mcp")
	assert.Contains(t, body, "berth-proxy install cursor --client acme --port "+fmt.Sprint(d.Port())+" --path-secret</code>")
	resp, _ = fetch(t, http.MethodGet, d.URL()+"/berth-proxy.css", asBrowser, nil)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	resp, _ = d.press(t, "acme")
	assert.Equal(t, http.StatusSeeOther, resp.StatusCode)
	assert.Equal(t, "./#acme", resp.Header.Get("Location"))
}

func TestThePageShowsWhatOthersHide(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			d := newDesk(t, "")
			d.report = func(doctor.Report) doctor.Report {
				return doctor.Report{Account: attack.Text, Results: []doctor.Result{{Client: "acme", Check: doctor.MCP, Status: doctor.OK, Message: attack.Text}}}
			}
			resp, _ := d.press(t, "acme")
			require.Equal(t, http.StatusSeeOther, resp.StatusCode)
			_, body := fetch(t, http.MethodGet, d.URL()+"/", asBrowser, nil)
			// The template itself replaces a null.
			plaintexttest.AssertPlain(t, body)
			if !strings.Contains(attack.Text, "\x00") {
				assert.GreaterOrEqual(t, strings.Count(body, template.HTMLEscapeString(attack.Shown)), 2)
			}
		})
	}
}

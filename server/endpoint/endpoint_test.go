package endpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
	"github.com/berth-mcp/berth/server/portal"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	authorization = "Authorization"
	serverless    = "X-Serverless-Authorization"

	// deadline is how long a test waits for what ought to happen at once.
	deadline = time.Minute
)

func bearer(email string) string { return "Bearer " + identitytest.PlatformToken(email, nil) }

// fixture is an acme portal on loopback.
type fixture struct {
	*endpoint.Handler
	portal *portal.Portal
	url    string
	log    *logtest.Buffer
}

func start(t testing.TB, mode identity.Mode, extra ...func(*guard.Guard)) fixture {
	t.Helper()
	verifier, err := identity.New(identity.Options{Mode: mode, Getenv: func(string) string { return "acme" }})
	require.NoError(t, err)
	return startWith(t, verifier, mode == identity.ModeDev, extra...)
}

func startWith(t testing.TB, verifier identity.Verifier, loopbackHostOnly bool, extra ...func(*guard.Guard)) fixture {
	t.Helper()
	return startPortal(t, portal.Options{Revision: "acme-00001-abc"}, verifier, loopbackHostOnly, extra...)
}

func startPortal(t testing.TB, o portal.Options, verifier identity.Verifier, loopbackHostOnly bool, extra ...func(*guard.Guard)) fixture {
	t.Helper()
	log := new(logtest.Buffer)
	o.Client, o.Logger = "acme", cloudlog.New(log, slog.LevelInfo, "p1")
	acme, err := portal.New(o)
	require.NoError(t, err)
	handler, err := endpoint.New(endpoint.Options{
		Implementation: &mcp.Implementation{Name: "test", Version: "1"},
		Instructions:   acme.Instructions(),
		Register: func(s *guard.Guard) {
			acme.Register(s)
			acme.Changed = s.ResourceUpdated
			for _, register := range extra {
				register(s)
			}
		},
		Complete:         acme.Complete,
		Version:          acme.Version,
		Ready:            acme.Ready,
		Verifier:         verifier,
		Client:           "acme",
		Logger:           cloudlog.New(log, slog.LevelInfo, "p1"),
		LoopbackHostOnly: loopbackHostOnly,
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		handler.Drain(ended)
		server.Close()
	})
	return fixture{Handler: handler, portal: acme, url: server.URL, log: log}
}

// withHeader sends header with every request.
type withHeader struct{ header http.Header }

func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range h.header {
		r.Header[name] = values
	}
	return http.DefaultTransport.RoundTrip(r)
}

// era is a way in which an editor may speak to the server.
type era struct {
	name, version, path string
}

var eras = []era{
	{"2024-11-05 over SSE", "2024-11-05", "/sse"},
	{"2025-03-26", "2025-03-26", "/mcp"},
	{"2025-06-18", "2025-06-18", "/mcp"},
	{"2025-11-25", "2025-11-25", "/mcp"},
	{"2026-07-28", "2026-07-28", "/mcp"},
}

func (e era) connect(t *testing.T, url string, header http.Header) (*mcp.ClientSession, error) {
	t.Helper()
	client := &http.Client{Transport: withHeader{header}}
	var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: url + e.path, HTTPClient: client, MaxRetries: -1}
	if e.path == "/sse" {
		transport = &mcp.SSEClientTransport{Endpoint: url + e.path, HTTPClient: client}
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).
		Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: e.version})
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

// call calls a tool and decodes what it answered in structured form.
func call(t *testing.T, session *mcp.ClientSession, tool string, args map[string]any) map[string]any {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	require.NoError(t, err)
	require.False(t, result.IsError, "%s: %+v", tool, result.Content)
	out, ok := result.StructuredContent.(map[string]any)
	require.True(t, ok, "%s answered %T", tool, result.StructuredContent)
	return out
}

func TestEveryProtocolRevisionIsServed(t *testing.T) {
	f := start(t, identity.ModeCloudRun)
	for _, e := range eras {
		t.Run(e.name, func(t *testing.T) {
			session, err := e.connect(t, f.url, http.Header{serverless: {bearer("ada@example.com")}})
			require.NoError(t, err)
			assert.Equal(t, e.version, session.InitializeResult().ProtocolVersion)
			assert.Contains(t, session.InitializeResult().Instructions, "Acme has agreed")

			tools, err := session.ListTools(t.Context(), nil)
			require.NoError(t, err)
			var names []string
			for _, tool := range tools.Tools {
				names = append(names, tool.Name)
				require.NotNil(t, tool.Annotations)
				assert.True(t, tool.Annotations.ReadOnlyHint)
				assert.False(t, *tool.Annotations.DestructiveHint)
				assert.False(t, *tool.Annotations.OpenWorldHint)
				assert.NotNil(t, tool.OutputSchema)
			}
			assert.Equal(t, []string{"due_or_blocked", "export", "get_deliverable", "get_goal", "list_deliverables", "list_goals", "progress_summary", "search", "whoami"}, names)

			assert.Equal(t, map[string]any{
				"email":    "ada@example.com",
				"subject":  "https://accounts.google.com#sub-of-ada@example.com",
				"client":   "acme",
				"identity": "cloudrun",
				"role":     "viewer", "revision": "acme-00001-abc",
			}, call(t, session, "whoami", nil))
			assert.Len(t, call(t, session, "list_goals", map[string]any{"status": "active"})["goals"], 2)
			assert.Len(t, call(t, session, "list_deliverables", map[string]any{"goal": "G2"})["deliverables"], 2)
			assert.Equal(t, []any{}, call(t, session, "list_deliverables", map[string]any{"goal": "G3", "status": "done"})["deliverables"])
		})
	}
}

func TestInputThatCannotBeIsRefusedInWords(t *testing.T) {
	f := start(t, identity.ModeDev)
	for _, e := range eras {
		t.Run(e.name, func(t *testing.T) {
			session, err := e.connect(t, f.url, nil)
			require.NoError(t, err)
			for _, c := range []struct {
				tool string
				args map[string]any
				want string
			}{
				{"list_goals", map[string]any{"status": "lost"}, "reached"},
				{"list_goals", map[string]any{"state": "active"}, "state"},
				{"list_goals", map[string]any{"status": 1}, "status"},
				{"list_deliverables", map[string]any{"goal": "G9"}, "the goals are G1, G2, G3"},
			} {
				result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: c.tool, Arguments: c.args})
				require.NoError(t, err)
				require.True(t, result.IsError)
				assert.Contains(t, result.Content[0].(*mcp.TextContent).Text, c.want)
			}
			_, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "drop_table"})
			require.ErrorContains(t, err, "drop_table")
		})
	}
}

// A caller controls every header but the one that the platform checks.
func TestHeaderPairsNeverChangeWhoTheServerThinksIsCalling(t *testing.T) {
	f := start(t, identity.ModeCloudRun)
	ada, eve := bearer("ada@example.com"), bearer("eve@example.com")
	signed := "Bearer " + identitytest.Token("eve@example.com", nil, "c2ln")
	for _, c := range []struct {
		name   string
		header http.Header
		want   string // empty: refused
	}{
		{"a forged Authorization beside it", http.Header{serverless: {ada}, authorization: {eve}}, "ada@example.com"},
		{"a signed Authorization beside it", http.Header{serverless: {ada}, authorization: {signed}}, "ada@example.com"},
		{"two Authorizations beside it", http.Header{serverless: {ada}, authorization: {eve, eve}}, "ada@example.com"},
		{"only Authorization", http.Header{authorization: {ada}}, "ada@example.com"},
		{"two of the checked header", http.Header{serverless: {ada, eve}}, ""},
		{"two of the checked header in one line", http.Header{serverless: {ada + ", " + eve}}, ""},
		{"two Authorizations alone", http.Header{authorization: {ada, eve}}, ""},
		{"an empty checked header", http.Header{serverless: {""}, authorization: {eve}}, ""},
		{"a token that was not checked", http.Header{serverless: {signed}, authorization: {ada}}, ""},
		{"none", nil, ""},
	} {
		for _, e := range []era{eras[0], eras[3], eras[4]} {
			t.Run(c.name+", "+e.name, func(t *testing.T) {
				session, err := e.connect(t, f.url, c.header)
				if c.want == "" {
					require.Error(t, err)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.want, call(t, session, "whoami", nil)["email"])
			})
		}
	}
	assert.NotContains(t, f.log.String(), "SIGNATURE_REMOVED_BY_GOOGLE", "no token in the log")
}

func TestASessionAnswersOnlyWhoOpenedIt(t *testing.T) {
	f := start(t, identity.ModeCloudRun)
	stream, events := openStream(t, f.url, http.Header{serverless: {bearer("ada@example.com")}})
	defer stream.Body.Close()
	path := readEvent(t, events)["data"]
	const ping = `{"jsonrpc":"2.0","id":7,"method":"ping"}`

	post := func(email string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+path, strings.NewReader(ping))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(serverless, bearer(email))
		return do(t, r)
	}
	assert.Equal(t, http.StatusNotFound, post("eve@example.com").StatusCode)
	assert.Equal(t, http.StatusAccepted, post("ada@example.com").StatusCode)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, readEvent(t, events)["data"])
}

func TestASessionEndsWithTheGroupsThatItWasOpenedWith(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	verifier, err := identity.New(identity.Options{
		Mode: identity.ModeOIDC, Getenv: func(string) string { return "" },
		OIDC: identity.OIDCConfig{Resource: "http://localhost:3030/mcp", Issuers: []identity.Issuer{{URL: issuer.URL, Audiences: []string{"berth"}}}},
	})
	require.NoError(t, err)
	f := startWith(t, verifier, false)
	as := func(groups ...string) http.Header {
		return http.Header{"Authorization": {"Bearer " + issuer.Token(t, "ada@example.com", identitytest.Claims{"groups": groups})}}
	}
	stream, events := openStream(t, f.url, as("leads", "web"))
	defer stream.Body.Close()
	path := readEvent(t, events)["data"]
	for name, c := range map[string]struct {
		header http.Header
		want   int
	}{
		"the same, in whatever order": {as("web", "leads"), http.StatusAccepted},
		"out of one":                  {as("web"), http.StatusNotFound},
		"in one more":                 {as("web", "leads", "board"), http.StatusNotFound},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+path, strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"ping"}`))
		require.NoError(t, err)
		r.Header = c.header
		r.Header.Set("Content-Type", "application/json")
		assert.Equal(t, c.want, do(t, r).StatusCode, name)
	}
}

func TestEachCallIsLoggedWithCallerAndTrace(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, e := range eras {
		t.Run(e.name, func(t *testing.T) {
			f := start(t, identity.ModeCloudRun)
			session, err := e.connect(t, f.url, http.Header{
				serverless:    {bearer("ada@example.com")},
				"Traceparent": {"00-" + trace + "-00f067aa0ba902b7-01"},
			})
			require.NoError(t, err)
			call(t, session, "list_goals", nil)

			var records []map[string]any
			for line := range strings.Lines(f.log.String()) {
				var record map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &record))
				records = append(records, record)
			}
			require.Len(t, records, 1, "one call, one record, and no noise: %s", f.log)
			assert.Equal(t, "tool call", records[0]["message"])
			assert.Equal(t, "ada@example.com", records[0]["caller"])
			assert.Equal(t, "list_goals", records[0]["tool"])
			assert.Equal(t, "ok", records[0]["outcome"])
			assert.Equal(t, "projects/p1/traces/"+trace, records[0]["logging.googleapis.com/trace"])
		})
	}
}

func TestRequestsThatAreNotAnEditors(t *testing.T) {
	dev, cloudRun := start(t, identity.ModeDev), start(t, identity.ModeCloudRun)
	token := http.Header{serverless: {bearer("ada@example.com")}}
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	large := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":"` + strings.Repeat("x", endpoint.MaxBody) + `"}}`
	for _, c := range []struct {
		name         string
		server       fixture
		method, path string
		host         string
		header       http.Header
		body         string
		want         int
	}{
		{"health needs no identity", cloudRun, "GET", "/health", "", nil, "", 200},
		{"health from any host", dev, "GET", "/health", "10.0.0.1:8080", nil, "", 200},
		{"health is only read", cloudRun, "POST", "/health", "", nil, "", 405},
		{"a stateless server has no stream to open", cloudRun, "GET", "/mcp", "", token, "", 405},
		{"nor a session to end", cloudRun, "DELETE", "/mcp", "", token, "", 405},
		{"nothing at the root", cloudRun, "GET", "/", "", token, "", 404},
		{"no OAuth metadata", cloudRun, "GET", "/.well-known/oauth-protected-resource", "", nil, "", 404},
		{"no identity at /mcp", cloudRun, "POST", "/mcp", "", nil, list, 401},
		{"no identity at /sse", cloudRun, "GET", "/sse", "", nil, "", 401},
		{"the host of the platform", cloudRun, "POST", "/mcp", "acme-123.europe-west1.run.app", token, list, 200},
		{"localhost", dev, "POST", "/mcp", "localhost:8080", nil, list, 200},
		{"IPv6 loopback", dev, "POST", "/mcp", "[::1]:8080", nil, list, 200},
		{"a name rebound to this machine", dev, "POST", "/mcp", "evil.example:8080", nil, list, 403},
		{"a name rebound to this machine, /sse", dev, "GET", "/sse", "evil.example:8080", nil, "", 403},
		{"a name that starts like localhost", dev, "POST", "/mcp", "localhost.evil.example", nil, list, 403},
		{"a page from elsewhere", dev, "POST", "/mcp", "", http.Header{"Origin": {"https://evil.example"}}, list, 403},
		{"a page from nowhere", dev, "POST", "/mcp", "", http.Header{"Origin": {"null"}}, list, 403},
		{"an empty origin", dev, "POST", "/mcp", "", http.Header{"Origin": {""}}, list, 403},
		{"two origins", dev, "POST", "/mcp", "", http.Header{"Origin": {"http://localhost:1", "https://evil.example"}}, list, 403},
		{"a page from this machine", dev, "POST", "/mcp", "", http.Header{"Origin": {"http://localhost:6274"}}, list, 200},
		{"a page from elsewhere on the platform", cloudRun, "POST", "/mcp", "", http.Header{"Origin": {"https://evil.example"}, serverless: token[serverless]}, list, 403},
		{"a body too large for /mcp", dev, "POST", "/mcp", "", nil, large, 413},
		{"a body too large for /sse", dev, "POST", "/sse", "", nil, large, 413},
		{"no body", dev, "POST", "/mcp", "", nil, "", 400},
		{"not JSON", dev, "POST", "/mcp", "", nil, "{", 400},
		{"no such session", dev, "POST", "/sse?sessionid=x", "", nil, list, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A reader of no known length is sent in chunks.
			r, err := http.NewRequestWithContext(t.Context(), c.method, c.server.url+c.path, io.MultiReader(strings.NewReader(c.body)))
			require.NoError(t, err)
			r.Header = c.header.Clone()
			if r.Header == nil {
				r.Header = http.Header{}
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "application/json, text/event-stream")
			r.Host = c.host
			assert.Equal(t, c.want, do(t, r).StatusCode)
		})
	}
}

func TestAPanickingToolFailsItsCallAlone(t *testing.T) {
	f := start(t, identity.ModeDev, func(g *guard.Guard) {
		guard.AddTool(g, guard.Viewer, &mcp.Tool{Name: "panic"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			panic("oh")
		})
	})
	for _, e := range eras {
		t.Run(e.name, func(t *testing.T) {
			session, err := e.connect(t, f.url, nil)
			require.NoError(t, err)
			_, err = session.CallTool(t.Context(), &mcp.CallToolParams{Name: "panic"})
			require.ErrorContains(t, err, "internal error")
			assert.Equal(t, "dev@localhost", call(t, session, "whoami", nil)["email"])
		})
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	_, err := endpoint.New(endpoint.Options{})
	require.ErrorContains(t, err, "are required")
}

// do sends a request and reads the answer, whose body it bounds by the test.
func do(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response
}

func TestACallerHasSoManySessionsOfTheOlderTransport(t *testing.T) {
	f := start(t, identity.ModeCloudRun)
	open := func(email string) (*http.Response, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/sse", nil)
		require.NoError(t, err)
		r.Header.Set(serverless, bearer(email))
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response, cancel
	}
	var last context.CancelFunc
	for range 16 {
		var response *http.Response
		response, last = open("ada@example.com")
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	refused, _ := open("ada@example.com")
	assert.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	assert.Equal(t, "1", refused.Header.Get("Retry-After"))
	assert.Regexp(t, `"message":"stream","caller":"ada@example.com".*"outcome":"refused".*"reason":"you have 16 streams running`, f.log.String())
	others, _ := open("bob@example.com")
	assert.Equal(t, http.StatusOK, others.StatusCode, "another caller's are his own")

	last()
	assert.Eventually(t, func() bool {
		again, _ := open("ada@example.com")
		return again.StatusCode == http.StatusOK
	}, deadline, 10*time.Millisecond, "one that ended makes room")
}

func TestWhatIsNoRequestOfTheProtocolHasAnEndToo(t *testing.T) {
	f := start(t, identity.ModeCloudRun)
	post := func(email string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"no/such"}`))
		require.NoError(t, err)
		r.Header.Set(serverless, bearer(email))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		return do(t, r)
	}
	asked := 0
	refused := post("ada@example.com")
	for ; refused.StatusCode != http.StatusTooManyRequests; refused = post("ada@example.com") {
		asked++
		require.Less(t, asked, 5000)
	}
	assert.GreaterOrEqual(t, asked, 800)
	assert.Equal(t, "1", refused.Header.Get("Retry-After"))
	body, err := io.ReadAll(refused.Body)
	require.NoError(t, err)
	assert.Equal(t, "too many messages: 2400 a minute are yours: try again in 1 s\n", string(body))
	assert.Regexp(t, `"message":"request","caller":"ada@example.com".*"outcome":"refused"`, f.log.String())
	assert.NotEqual(t, http.StatusTooManyRequests, post("bob@example.com").StatusCode)
}

func TestWhatAClientMayKeepIsItsOwn(t *testing.T) {
	f := start(t, identity.ModeDev)
	for method, c := range map[string]struct {
		params map[string]any
		ttl    float64 // milliseconds
	}{
		"server/discover":          {map[string]any{}, 60_000},
		"tools/list":               {map[string]any{}, 60_000},
		"prompts/list":             {map[string]any{}, 60_000},
		"resources/list":           {map[string]any{}, 60_000},
		"resources/templates/list": {map[string]any{}, 60_000},
		"resources/read":           {map[string]any{"uri": "portal://goals"}, 0},
	} {
		t.Run(method, func(t *testing.T) {
			r := request(t, f, "2026-07-28", method, c.params)
			if uri, ok := c.params["uri"].(string); ok {
				r.Header.Set("Mcp-Name", uri)
			}
			body, err := io.ReadAll(do(t, r).Body)
			require.NoError(t, err)
			_, data, found := strings.Cut(string(body), "data: ")
			require.True(t, found, string(body))
			var answer struct {
				Result map[string]any `json:"result"`
			}
			require.NoError(t, json.Unmarshal([]byte(data), &answer))
			assert.Equal(t, "private", answer.Result["cacheScope"])
			assert.Equal(t, c.ttl, answer.Result["ttlMs"])
		})
	}
}

func FuzzRequestBodies(f *testing.F) {
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_goals","arguments":{"status":"active"}}}`,
		`{"jsonrpc":"2.0","id":"a","method":"resources/read","params":{"uri":"portal://goals/G1"}}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"portal://goals/{id}"},"argument":{"name":"id","value":"G"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
	} {
		f.Add("2025-11-25", body)
		f.Add("2026-07-28", body)
	}
	server := start(f, identity.ModeDev)
	f.Fuzz(func(t *testing.T, revision, body string) {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.url+"/mcp", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		if revision = strings.Map(printable, revision); revision != "" {
			r.Header.Set("Mcp-Protocol-Version", revision)
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		assert.Less(t, response.StatusCode, 500, "whatever is sent is not the server's fault")
		assert.NotContains(t, server.log.String(), "a handler panicked")
	})
}

// printable keeps what a header may hold.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

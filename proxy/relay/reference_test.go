package relay

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testRoute is that of a client's request to a proxy on port 3030 in front of two servers,
// or of acme alone if the path has no name.
func testRoute(t *testing.T, path string) route {
	t.Helper()
	args := []string{"acme=https://acme.example/base", "globex=https://globex.example"}
	if path == "/mcp" {
		args = args[:1]
	}
	targets, err := ParseTargets(args)
	require.NoError(t, err)
	var all clients
	for _, target := range targets {
		all = append(all, &backend{Target: target})
	}
	rt, found := (&Relay{port: 3030}).routeFor(all, &gate{}, httptest.NewRequest(http.MethodGet, "http://localhost:3030"+path, nil))
	require.True(t, found)
	return rt
}

func TestAReferenceLeadsIntoItsOwnTargetOrAway(t *testing.T) {
	for ref, want := range map[string]string{
		"":                              "/acme/mcp",
		"?s=1":                          "/acme/mcp?s=1",
		"message?s=1":                   "/acme/message?s=1",
		"/base/message":                 "/acme/message",
		" /base/message ":               "/acme/message",
		"https://acme.example/base/x":   "/acme/x",
		"http://acme.example/base/x":    "/acme/x",
		"//acme.example/base/x":         "/acme/x",
		"https://acme.example/other":    "https://acme.example/other",
		"https://evil.example/mcp":      "https://evil.example/mcp",
		"https://evil.example:3030/mcp": "https://evil.example:3030/mcp",
		"http://10.0.0.1:3030/mcp":      "http://10.0.0.1:3030/mcp",
		"http://localhost:3030/acme/x":  "http://localhost:3030/acme/x",
		"http://127.0.0.1:3030/acme":    "http://127.0.0.1:3030/acme",
		"//[::1]:3030/acme?x":           "//[::1]:3030/acme?x",
		"/acme/x":                       "/acme/x", // it leads back, though not the server's doing

		"/.well-known/oauth-protected-resource/acme/x":                     "/.well-known/oauth-protected-resource/acme/x",
		"/.well-known/oauth-protected-resource/base/x":                     "/.well-known/oauth-protected-resource/acme/x",
		"https://acme.example/.well-known/oauth-protected-resource/base/x": "/.well-known/oauth-protected-resource/acme/x",
		"mailto:ada@example.com":                                           "mailto:ada@example.com",
		"/base//localhost:3030/globex":                                     "/acme//localhost:3030/globex",
		"https://acme.example/base/..%2fx":                                 "/acme/..%2fx",
		"https://localhost.evil.example/mcp":                               "https://localhost.evil.example/mcp",
	} {
		got, err := testRoute(t, "/acme/mcp").toLocal(ref)
		require.NoError(t, err, ref)
		assert.Equal(t, want, got, ref)
	}
}

// toGlobex are references of a server of acme to globex, as somebody reads them.
func toGlobex() []string {
	const path = "/globex/mcp"
	refs := []string{
		"/.well-known/oauth-protected-resource" + path, "/.well-known/oauth-protected-resource/../.." + path, "/.well-known/oauth-protected-resource/acme/%2e%2e" + path,
		path, "../globex/mcp", "/base/../globex/mcp", "/acme/../globex/mcp",
		"https://localhost:3030" + path, "ws://localhost:3030" + path, "http://localhost:3030", "http://localhost:03030" + path,
		// As browsers read them.
		"/base/%2e%2e" + path, "/base/.%2E" + path, "/acme/%2e%2e" + path, "http://localhost:3030/acme/%2e%2e" + path,
		`/acme/..\..\globex/mcp`, `\globex\mcp`, `//localhost:3030\globex\mcp`, `\\localhost:3030\globex\mcp`, `http:\\localhost:3030\globex`,
		"http:" + path, "http:globex/mcp", "http:/localhost:3030" + path, "http:///localhost:3030" + path,
		"///localhost:3030" + path, "////localhost:3030" + path, "//:3030" + path,
		"http://local\thost:3030" + path, "http://localhost:30\n30" + path, "\x00http://localhost:3030" + path,
		"http://[::1]:3030:1/", "http://localhost:99999" + path, "http://localhost:port" + path,
	}
	for _, host := range []string{
		"localhost", "LOCALHOST", "localhost.", "x.localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
		"127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "0.0.0.0", "[::]", "[::1%25lo]", "ｌｏｃａｌｈｏｓｔ", "local%C2%ADhost",
		"acme.example@localhost", "ada:x@127.0.0.1", "[::ffff:0.0.0.0]", "[::ffff:7f00:1]", "127.0.0.1。", "①②⑦.0.0.1", "local%68ost", "%6cocalhost", "0",
	} {
		refs = append(refs, "http://"+host+":3030"+path, "//"+host+":3030"+path)
	}
	return refs
}

func TestAReferenceDoesNotLeadToAnotherClient(t *testing.T) {
	for _, ref := range append(toGlobex(), "/mcp", "/", "/acmes/mcp") {
		got, err := testRoute(t, "/acme/mcp").toLocal(ref)
		assert.ErrorIs(t, err, errSteered, "%q became %q", ref, got)
	}
}

// On another port of this machine there may be another berth-proxy, with other clients. Only a
// server on this machine, such as one of the local cloud, may refer to its neighbours.
func TestRoute_OnlyAServerOnThisMachineRefersToItsOtherPorts(t *testing.T) {
	here := testRoute(t, "/acme/mcp")
	targets, err := ParseTargets([]string{"acme=http://127.0.0.1:8080/base"})
	require.NoError(t, err)
	here.backend = &backend{Target: targets[0]}
	for _, ref := range []string{
		"http://localhost:3031/globex", "http://localhost/globex", "https://localhost/globex", "http://127.0.0.1:3031/acme/mcp", "//[::1]:8080/acme",
		"ws://x.localhost:1/", "http://0.0.0.0:1/",
	} {
		_, err := testRoute(t, "/acme/mcp").toLocal(ref)
		assert.ErrorIs(t, err, errSteered, ref)
		got, err := here.toLocal(ref)
		assert.NoError(t, err, ref)
		assert.Equal(t, ref, got)

		document := []byte(`{"x":"` + ref + `"}`)
		assert.ErrorIs(t, testRoute(t, "/acme/mcp").checkJSON(document, nil), errSteered, ref)
		assert.NoError(t, here.checkJSON(document, nil), ref)
	}
	_, err = here.toLocal("http://localhost:3030/globex/mcp")
	assert.ErrorIs(t, err, errSteered, "this proxy is no neighbour")
}

// A client that reaches the proxy by another port than its own, by way of a tunnel, has
// that port as the proxy's.
func TestThePortThatTheClientUsesIsTheProxysToo(t *testing.T) {
	rt := testRoute(t, "/acme/mcp")
	rt.local.Host = "127.0.0.1"
	for _, ref := range []string{"http://localhost/globex/mcp", "http://localhost:80/globex/mcp", "http://localhost:3030/globex/mcp"} {
		_, err := rt.toLocal(ref)
		assert.ErrorIs(t, err, errSteered, ref)
	}
}

func TestWithoutANameInThePathTheProxyIsTheTargets(t *testing.T) {
	for ref, want := range map[string]string{
		"/base":                     "/",
		"/base/message?s=1":         "/message?s=1",
		"message":                   "/message",
		"/outside":                  "/outside",
		"http://localhost:3030/any": "http://localhost:3030/any",
	} {
		got, err := testRoute(t, "/mcp").toLocal(ref)
		require.NoError(t, err, ref)
		assert.Equal(t, want, got, ref)
	}
	_, err := testRoute(t, "/mcp").toLocal("/base//evil.example/mcp")
	assert.ErrorIs(t, err, errSteered, "a path that would become a host")
}

func TestAServerCannotSteerItsClientToAnother(t *testing.T) {
	var port int
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header()["Location"] = []string{"", fmt.Sprintf("http://localhost:%d/globex/mcp", port)}
		if r.URL.Path == "/sse" {
			fmt.Fprintf(w, ": hi\n\nevent: endpoint\ndata: http://127.0.0.1:%d/globex/mcp\n\n", port)
		}
	})
	h := start(t, "acme="+server.URL, "globex=http://127.0.0.1:1")
	port = h.Port()

	r := h.request(t, http.MethodGet, "/acme/sse", "")
	r.Header.Set("Accept", "text/event-stream")
	resp, err := client(t).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	got := lines(t, resp.Body)
	assert.Equal(t, ": hi", within(t, got, "the comment"))
	assert.Empty(t, within(t, got, "its end"))
	_, more := <-got
	assert.False(t, more, "the stream ends")
	assert.Len(t, resp.Header.Values("Location"), 1, "what is not looked at does not pass")
	h.halt()
	assert.Contains(t, h.log.String(), "ended the event stream of a server")
}

func TestAServerCannotHideAnEndpoint(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain") // there are clients that do not look
		if r.URL.Path == "/compressed" {
			w.Header()["Content-Encoding"] = []string{"", "gzip"} // nor do they look whether they asked for it
		}
		fmt.Fprint(w, "event: endpoint\ndata: /message\n\n")
	})
	h := start(t, "acme="+server.URL)
	get := func(path string) (*http.Response, string) {
		r := h.request(t, http.MethodGet, path, "")
		r.Header.Set("Accept", "text/event-stream")
		return do(t, r)
	}
	_, body := get("/acme/plain")
	assert.Equal(t, "event: endpoint\ndata: /acme/message\n\n", body)
	resp, body := get("/acme/compressed")
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
	assert.Contains(t, body, "the server of acme sends a compressed event stream")
}

// All clients are of one origin. A page from the server of one, opened in a browser, must
// not be able to call the others with the developer's token.
func TestAPageOfAServerIsOfNoOriginAndNotShown(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src *; sandbox allow-scripts allow-same-origin")
		w.Header().Set("X-Content-Type-Options", "sniff")
		fmt.Fprint(w, "<script>fetch('/globex/mcp')</script>")
	})
	h := start(t, "acme="+server.URL, "globex="+server.URL)
	resp, _ := do(t, h.request(t, http.MethodGet, "/acme/mcp", ""))
	assert.Equal(t, []string{"default-src *; sandbox allow-scripts allow-same-origin", "sandbox"}, resp.Header.Values("Content-Security-Policy"))
	assert.Equal(t, []string{"nosniff"}, resp.Header.Values("X-Content-Type-Options"))

	r := h.request(t, http.MethodGet, "/acme/mcp", "")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "none") // typed in, or opened from a mail
	exchanges := h.endpoint.Exchanges()
	resp, body := do(t, r)
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	assert.NotContains(t, body, "script")
	assert.Empty(t, resp.Header.Get("WWW-Authenticate"))
	assert.Equal(t, exchanges, h.endpoint.Exchanges())

	r.Header.Set("Sec-Fetch-Mode", "cors") // a web page on this machine that is an MCP client
	resp, _ = do(t, r)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

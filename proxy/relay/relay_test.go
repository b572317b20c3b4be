package relay

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const call = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"whoami"}}`

func TestARequestReachesItsTargetAsItWasSentAndWithAToken(t *testing.T) {
	got := make(chan *http.Request, 1)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		got <- r
		w.Header().Set("Mcp-Session-Id", "s1")
		w.Header().Add("X-Twice", "a")
		w.Header().Add("X-Twice", "b")
		w.Header().Set("Set-Cookie", "GAESA=1")
		w.Header().Set("Keep-Alive", "timeout=1")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "taken")
	})
	h := start(t, "acme="+server.URL, "globex=http://127.0.0.1:1")

	r := h.request(t, http.MethodPost, "/acme/mcp/a%2Fb//c;d?x=1&y=%20;z", call)
	for name, value := range map[string]string{
		"Authorization":              "Bearer the-editors-own",
		"X-Serverless-Authorization": "Bearer forged",
		"Mcp-Session-Id":             "s1",
		"Mcp-Protocol-Version":       "2025-11-25",
		"Last-Event-Id":              "4",
		"Traceparent":                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"Cookie":                     "of=another port",
		"Connection":                 "X-Hop, keep-alive",
		"X-Hop":                      "1",
		"Te":                         "trailers",
		"Proxy-Authorization":        "Basic eDp5",
		"Upgrade":                    "h2c",
		"User-Agent":                 "",
	} {
		r.Header.Set(name, value)
	}
	r.Header.Add("X-Serverless-Authorization", "Bearer forged twice")
	resp, body := do(t, r)

	up := within(t, got, "request at the target")
	assert.Equal(t, "/mcp/a%2Fb//c;d?x=1&y=%20;z", up.RequestURI)
	assert.Equal(t, strings.TrimPrefix(server.URL, "http://"), up.Host)
	sent, _ := io.ReadAll(up.Body)
	assert.Equal(t, call, string(sent))
	assert.EqualValues(t, len(call), up.ContentLength)
	assert.Equal(t, http.Header{
		"Accept":                     {"application/json, text/event-stream"},
		"Authorization":              {"Bearer the-editors-own"},
		"Content-Length":             {fmt.Sprint(len(call))},
		"Content-Type":               {"application/json"},
		"Last-Event-Id":              {"4"},
		"Mcp-Protocol-Version":       {"2025-11-25"},
		"Mcp-Session-Id":             {"s1"},
		"Traceparent":                {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"X-Serverless-Authorization": {"Bearer " + h.endpoint.Tokens()[0]},
	}, up.Header, "nothing added, nothing forged, nothing of this hop")

	assert.Equal(t, http.StatusAccepted, resp.StatusCode)
	assert.Equal(t, "taken", body)
	assert.Equal(t, "s1", resp.Header.Get("Mcp-Session-Id"))
	assert.Equal(t, []string{"a", "b"}, resp.Header.Values("X-Twice"))
	for _, name := range []string{"Set-Cookie", "Keep-Alive", "Proxy-Authenticate"} {
		assert.Empty(t, resp.Header.Get(name), name)
	}
}

func TestPathsLeadToTheirClients(t *testing.T) {
	echo := func(name string) *httptest.Server {
		return upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name, " ", r.RequestURI) })
	}
	acme, globex := echo("acme"), echo("globex")
	one := start(t, "acme="+acme.URL)
	two := start(t, "acme="+acme.URL+"/mcp", "globex="+globex.URL+"/base/mcp/")
	for _, test := range []struct {
		from   *harness
		path   string
		status int
		want   string
	}{
		{one, "/acme/mcp", 200, "acme /mcp"},
		{one, "/mcp", 200, "acme /mcp"},
		{one, "/sse?x", 200, "acme /sse?x"},
		{one, "/acme", 200, "acme /"},
		{one, "/acme?q=1", 200, "acme /?q=1"},
		{one, "/acmes/mcp", 404, "/acme/mcp"}, // another client's
		{one, "/acmes/tools", 200, "acme /acmes/tools"},
		{one, "/", 200, "acme /"},
		{two, "/acme/mcp", 200, "acme /mcp"},
		{two, "/globex/mcp", 200, "globex /base/mcp"},
		{two, "/globex/", 200, "globex /base/"},
		{two, "/globex", 200, "globex /base"},
		{two, "/mcp", 404, "/acme/mcp, /globex/mcp"},
		{two, "/Acme/mcp", 404, "/acme/mcp, /globex/mcp"},
		{two, "/", 404, "/acme/mcp, /globex/mcp"},
	} {
		resp, body := do(t, test.from.request(t, http.MethodGet, test.path, ""))
		assert.Equal(t, test.status, resp.StatusCode, test.path)
		assert.Contains(t, body, test.want, test.path)
	}
}

func TestARedirectIsNotFollowedAndLeadsBackThroughTheProxy(t *testing.T) {
	foreign := upstream(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	var location string
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	h := start(t, "acme="+server.URL+"/base", "globex=http://127.0.0.1:1")
	for given, want := range map[string]string{
		foreign.URL + "/mcp":                      foreign.URL + "/mcp",
		"//evil.example/base/mcp":                 "//evil.example/base/mcp",
		"https://evil.example/?u=" + "x":          "https://evil.example/?u=x",
		server.URL + "/base/mcp/":                 "/acme/mcp/",
		"/base/mcp/?a=b%20c#d":                    "/acme/mcp/?a=b%20c#d",
		"/base":                                   "/acme",
		"other":                                   "/acme/other",
		"javascript:alert(1)":                     "javascript:alert(1)",
		"http://user@" + server.URL[7:] + "/base": "http://user@" + server.URL[7:] + "/base",
		"/base/a%2eb":                             "/acme/a%2eb",
		h.URL() + "/acme/x":                       h.URL() + "/acme/x",
		"/bases/mcp":                              "", // it would be another path of this proxy
		"../outside":                              "",
		h.URL() + "/globex/mcp":                   "",
	} {
		location = given
		resp, body := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
		assert.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
		assert.Equal(t, want, resp.Header.Get("Location"), given)
		assert.Empty(t, resp.Header.Get(tokenHeader))
		assert.Empty(t, body)
	}
}

func TestABodyOverTheLimitIsNotSent(t *testing.T) {
	sizes := make(chan int64, 1)
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		sizes <- n
	})
	h := start(t, "acme="+server.URL)
	for name, length := range map[string]int64{"declared": maxBody + 1, "not declared": -1} {
		r := h.request(t, http.MethodPost, "/mcp", "x")
		r.Body = io.NopCloser(io.LimitReader(zeros{}, maxBody+1))
		r.ContentLength = length
		resp, body := do(t, r)
		assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode, name)
		assert.Contains(t, body, fmt.Sprintf(`"id":null,"error":{"code":%d,"message":"the request to acme is larger than 32 MiB`, CodeTooLarge), name)
	}
	assert.Zero(t, h.endpoint.Exchanges(), "no token is minted for it")

	r := h.request(t, http.MethodPost, "/mcp", "x")
	r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, maxBody)), -1
	resp, _ := do(t, r)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.EqualValues(t, maxBody, within(t, sizes, "the largest body"))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

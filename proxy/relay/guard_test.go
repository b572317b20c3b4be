package relay

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyThisMachinesProgramsAreLetIn(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for name, test := range map[string]struct {
		host    string // "": localhost and the port
		origins []string
		site    string
		let     bool
	}{
		"localhost":                           {let: true},
		"127.0.0.1 without a port":            {host: "127.0.0.1", let: true},
		"any case":                            {host: "LocalHost:99", let: true},
		"IPv6":                                {host: "[::1]:3030", let: true},
		"IPv6 without a port":                 {host: "[::1]", let: true},
		"a page of another local port":        {origins: []string{"http://localhost:6274"}, site: "same-site", let: true},
		"a page by another local name":        {origins: []string{"https://127.0.0.1:6274"}, site: "cross-site", let: true},
		"a page by IPv6":                      {origins: []string{"http://[::1]:1"}, let: true},
		"a rebound name":                      {host: "evil.example:3030"},
		"a name that starts like localhost":   {host: "localhost.evil.example"},
		"a name that ends like localhost":     {host: "evil.localhost"},
		"localhost as a fully qualified name": {host: "localhost."},
		"another loopback address":            {host: "127.0.0.2"},
		"the unspecified address":             {host: "0.0.0.0:3030"},
		"a user name":                         {host: "localhost@evil.example"},
		"a user name before localhost":        {host: "evil@localhost"},
		"a foreign page":                      {origins: []string{"https://evil.example"}},
		"a foreign page with a similar name":  {origins: []string{"http://localhost.evil.example:3030"}},
		"a sandboxed page":                    {origins: []string{"null"}},
		"an editor's web view":                {origins: []string{"vscode-webview://localhost"}},
		"an origin with a path":               {origins: []string{"http://localhost/evil"}},
		"an empty origin":                     {origins: []string{""}},
		"two origins":                         {origins: []string{"http://localhost", "https://evil.example"}},
		"an image on a foreign page":          {site: "cross-site"},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, "acme="+server.URL)
			r := h.request(t, http.MethodGet, "/mcp", "")
			r.Host = test.host
			r.Header["Origin"] = test.origins
			if test.site != "" {
				r.Header.Set("Sec-Fetch-Site", test.site)
			}
			resp, _ := do(t, r)
			if test.let {
				assert.Equal(t, http.StatusNoContent, resp.StatusCode)
				return
			}
			assert.Equal(t, http.StatusForbidden, resp.StatusCode)
			assert.Empty(t, resp.Header.Get("WWW-Authenticate"))
			assert.Zero(t, h.endpoint.Exchanges(), "no token is minted for it")
		})
	}
}

func TestNoHostIsNotThisMachine(t *testing.T) {
	h := start(t, "acme=http://127.0.0.1:1")
	for request, want := range map[string]string{
		"GET /mcp HTTP/1.0\r\n\r\n":                                          "403",
		"GET http://evil.example/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n":    "403",
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": "404",
		"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n":           "404",
	} {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", h.Port()))
		require.NoError(t, err)
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		line := make([]byte, len("HTTP/1.1 403"))
		_, err = io.ReadFull(conn, line)
		require.NoError(t, err)
		assert.Equal(t, want, string(line[len("HTTP/1.1 "):]), request)
		require.NoError(t, conn.Close())
	}
	assert.Zero(t, h.endpoint.Exchanges())
}

func TestNobodyIsLedIntoAnOAuthLogin(t *testing.T) {
	h := start(t, "acme=http://127.0.0.1:1")
	for _, path := range []string{
		"/.well-known/oauth-protected-resource",
		"/.well-known/oauth-protected-resource/acme/mcp",
		"/.well-known/oauth-authorization-server",
		"/.well-known/openid-configuration",
		"/acme/.well-known/oauth-authorization-server",
		"/acme/mcp/.well-known/openid-configuration",
		"/register", "/acme/register",
	} {
		resp, _ := do(t, h.request(t, http.MethodPost, path, "{}"))
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
	}
	assert.Zero(t, h.endpoint.Exchanges())
}

// What a browser sends without asking first, the page of another local program can send, too.
func TestIsPreflighted_OnlyJSONOfRequestsWithAnOrigin(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	h := start(t, "acme="+server.URL)
	const page = "http://localhost:6274"
	for name, test := range map[string]struct {
		method, origin string
		types          []string
		body           string
		let            bool
	}{
		"JSON":                             {"POST", page, []string{"application/json"}, call, true},
		"JSON with a parameter":            {"POST", page, []string{"Application/JSON; charset=utf-8"}, call, true},
		"text":                             {"POST", page, []string{"text/plain"}, call, false},
		"text that looks like JSON":        {"POST", page, []string{"text/plain; application/json"}, call, false},
		"two types in one":                 {"POST", page, []string{"text/plain, application/json"}, call, false},
		"two types":                        {"POST", page, []string{"application/json", "text/plain"}, call, false},
		"a form":                           {"POST", page, []string{"application/x-www-form-urlencoded"}, "a=b", false},
		"a form with files":                {"POST", page, []string{"multipart/form-data; boundary=x"}, call, false},
		"a report":                         {"POST", page, []string{"application/csp-report"}, call, false},
		"a beacon":                         {"POST", page, nil, call, false},
		"nothing":                          {"POST", page, nil, "", false},
		"a form of the proxy's own origin": {"POST", h.URL(), []string{"application/x-www-form-urlencoded"}, "a=b", false},
		"a change in another type":         {"PUT", page, []string{"text/plain"}, call, false},
		"the end of a session":             {"DELETE", page, nil, "", true},
		"the end of a session with a body": {"DELETE", page, []string{"text/plain"}, call, false},
		"a stream":                         {"GET", page, nil, "", true},
		"a browser's question":             {"OPTIONS", page, nil, "", true},
		"text from a program":              {"POST", "", []string{"text/plain"}, call, true},
		"a form from a program":            {"POST", "", []string{"application/x-www-form-urlencoded"}, "a=b", true},
		"nothing from a program":           {"POST", "", nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.endpoint.Exchanges()
			r := h.request(t, test.method, "/acme/mcp", test.body)
			r.Header["Content-Type"] = test.types
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			resp, _ := do(t, r)
			if test.let {
				assert.Equal(t, http.StatusNoContent, resp.StatusCode)
				return
			}
			assert.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode)
			assert.Equal(t, before, h.endpoint.Exchanges(), "no token is minted for it")
		})
	}
}

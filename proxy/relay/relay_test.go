package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
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

func TestARefusedTokenIsRenewedAndTheRequestSentOnceMore(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var tokens, bodies []string
			server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				tokens, bodies = append(tokens, r.Header.Get(tokenHeader)), append(bodies, string(body))
				if len(tokens) == 1 {
					refuse(w, status)
					return
				}
				fmt.Fprint(w, "welcome")
			})
			h := start(t, "acme="+server.URL)
			resp, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.Equal(t, "welcome", body)
			assert.Equal(t, []string{call, call}, bodies)
			issued := h.endpoint.Tokens()
			require.Len(t, issued, 2)
			assert.Equal(t, []string{"Bearer " + issued[0], "Bearer " + issued[1]}, tokens)
		})
	}
}

func TestAServiceAccountThatIsNotAcceptedIsToldOfItsAudience(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized) })
	h := start(t, "acme="+server.URL)
	h.endpoint.Set(func(e *tokentest.Endpoint) { e.Email = "agent@my-project.iam.gserviceaccount.com" })
	_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Contains(t, body, "its token was for the audience \\\""+server.URL+"\\\": if the service has custom audiences")
}

func TestAPlatformsAnswerBecomesASentence(t *testing.T) {
	for name, test := range map[string]struct {
		status    int
		code      int
		httpCode  int // where there is nobody to answer to
		attempts  int
		sentences []string
	}{
		"no valid token":  {401, CodeNotAccepted, 502, 2, []string{"ada@example.com", "acme", "gcloud auth application-default login"}},
		"no access":       {403, CodeNoAccess, 502, 2, []string{"ada@example.com may not use acme", "ask the people who run it"}},
		"too many":        {429, CodeUnavailable, 429, maxTries, []string{"acme cannot answer now (429 Too Many Requests)", "try again"}},
		"no instance":     {503, CodeUnavailable, 503, 1, []string{"acme cannot answer now (503 Service Unavailable)", "may have taken effect"}},
		"too slow":        {504, CodeUnavailable, 504, 1, []string{"acme took longer than Cloud Run lets it (504 Gateway Timeout)", "may take effect"}},
		"a failed server": {500, CodeUnavailable, 500, 1, []string{"acme failed (500 Internal Server Error)", "look whether a call took effect"}},
	} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { attempts++; refuse(w, test.status) })
			h := start(t, "acme="+server.URL)

			resp, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
			assert.Equal(t, test.attempts, attempts)
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
			assert.Empty(t, resp.Header.Get("WWW-Authenticate"))
			assert.Contains(t, body, fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"error":{"code":%d,"message":"`, test.code))
			for _, s := range test.sentences {
				assert.Contains(t, body, s)
			}

			resp, body = do(t, h.request(t, http.MethodGet, "/mcp", ""))
			assert.Equal(t, test.httpCode, resp.StatusCode)
			assert.Empty(t, resp.Header.Get("WWW-Authenticate"))
			assert.Contains(t, resp.Header.Get("Content-Type"), "text/plain")
			assert.Contains(t, body, test.sentences[0])
		})
	}
}

func TestEachCallIsAnsweredByItsOwnID(t *testing.T) {
	const readsJSON = "application/json, text/event-stream;q=0.5"
	for name, test := range map[string]struct {
		body, accept string
		status       int
		ids          string // "": plain text
	}{
		"a number":                       {`{"jsonrpc":"2.0","id":12345678901234567890,"method":"ping"}`, readsJSON, 200, `"id":12345678901234567890,`},
		"a string":                       {` {"id":"a\u0022<b","method":"ping"}`, readsJSON, 200, `"id":"a\u0022<b",`},
		"a batch":                        {`[{"id":1,"method":"a"},{"method":"note"},{"id":"x","method":"b"}]`, readsJSON, 200, `"id":1,` + "|" + `"id":"x",`},
		"a batch without calls":          {`[{"method":"note"}]`, readsJSON, 502, ""},
		"a notification":                 {`{"jsonrpc":"2.0","method":"notifications/initialized"}`, readsJSON, 502, ""},
		"a client's answer":              {`{"jsonrpc":"2.0","id":3,"result":{}}`, readsJSON, 502, ""},
		"an id of null":                  {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, readsJSON, 502, ""},
		"no JSON":                        {`hello`, readsJSON, 502, ""},
		"a broken batch":                 {`[{"id":1,"method":"a"},`, readsJSON, 502, ""},
		"a client that reads no answers": {call, "*/*", 502, `"id":7,`},
	} {
		t.Run(name, func(t *testing.T) {
			server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusForbidden) })
			h := start(t, "acme="+server.URL)
			r := h.request(t, http.MethodPost, "/mcp", test.body)
			r.Header.Set("Accept", test.accept)
			resp, body := do(t, r)
			assert.Equal(t, test.status, resp.StatusCode)
			if test.ids == "" {
				assert.True(t, strings.HasPrefix(body, "ada@example.com may not use acme"), body)
				return
			}
			ids := strings.Split(test.ids, "|")
			assert.Equal(t, len(ids), strings.Count(body, `"error":`))
			assert.Equal(t, len(ids) > 1, strings.HasPrefix(body, "["))
			for _, id := range ids {
				assert.Contains(t, body, id)
			}
		})
	}
}

func TestTheServersOwnAnswersPassUntouched(t *testing.T) {
	for name, test := range map[string]struct {
		status                       int
		contentType, challenge, body string
	}{
		"its own login":               {401, "application/json", `Bearer resource_metadata="https://acme.example/.well-known/oauth-protected-resource"`, `{"error":"x"}`},
		"its own login, page in HTML": {401, "text/html", `Bearer Resource_Metadata="https://acme.example/x"`, "<html>"},
		"its own 401":                 {401, "text/plain; charset=utf-8", "", "no key"},
		"its own 403":                 {403, "application/json", "", `{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"no"}}`},
		"a stateless server's 405":    {405, "text/html", "", "Method Not Allowed"},
		"a lost session":              {404, "application/json", "", `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`},
		"a framework's 404":           {404, "text/html; charset=utf-8", "", "<pre>Cannot POST /mcp</pre>"},
		"a bad header":                {400, "application/json", "", `{"error":{"code":-32020}}`},
		"its own 500":                 {500, "text/plain", "", "boom"},
		"its own limit":               {429, "text/plain", "", "Rate exceeded: 10 calls a minute"},
		"its own limit, in JSON":      {429, "application/json", "", `"Rate exceeded."`},
		"its own 503, in words":       {503, "text/plain", "", "shutting down: no healthy upstream"},
		"its own 503, a stream":       {503, "text/event-stream", "", "data: upstream connect error\n\n"},
		"its own 504":                 {504, "text/plain", "", "no healthy upstream"},
		"its own 503":                 {503, "application/json", "", `{"error":"draining"}`},
		"a page":                      {200, "text/html", "", "<html>hello</html>"},
	} {
		t.Run(name, func(t *testing.T) {
			server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				if test.challenge != "" {
					w.Header().Set("WWW-Authenticate", test.challenge)
				}
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			h := start(t, "acme="+server.URL)
			resp, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Equal(t, test.contentType, resp.Header.Get("Content-Type"))
			assert.Equal(t, test.challenge, resp.Header.Get("WWW-Authenticate"))
			assert.Equal(t, test.body, body)
			assert.Equal(t, 1, h.endpoint.Exchanges())
		})
	}
}

func TestAStaleLoginIsSaidAndMendsItself(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome") })
	h := start(t, "acme="+server.URL)
	tokentest.WriteLogin(t, h.dir, h.endpoint.URL, "1//stale")
	resp, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, body, fmt.Sprintf(`"id":7,"error":{"code":%d,"message":"cannot sign in to acme: your login`, CodeNoLogin))
	assert.Contains(t, body, "run `gcloud auth application-default login`")
	resp, _ = do(t, h.request(t, http.MethodGet, "/mcp", ""))
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)

	tokentest.WriteLogin(t, h.dir, h.endpoint.URL, tokentest.RefreshToken)
	_, body = do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Equal(t, "welcome", body)
}

func TestALoginThatEndsWhileRefusedIsTheReasonGiven(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized) })
	h := start(t, "acme="+server.URL)
	_, err := h.sender.tokens.Token(t.Context(), "https://acme.example")
	require.NoError(t, err)
	h.endpoint.Set(func(e *tokentest.Endpoint) { e.Answer = tokentest.Refuse("invalid_grant", "invalid_rapt") })
	_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Contains(t, body, fmt.Sprintf(`"code":%d`, CodeNoLogin))
	assert.Contains(t, body, "log in again")
}

func TestAServerOutOfReachIsSaid(t *testing.T) {
	const gone = "http://127.0.0.1:1" // no port that anything is given by chance
	killed := upstream(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h := start(t, "gone="+gone, "killed="+killed.URL)

	_, body := do(t, h.request(t, http.MethodPost, "/gone/mcp", call))
	assert.Contains(t, body, fmt.Sprintf(`"id":7,"error":{"code":%d,"message":"cannot reach gone at %s (`, CodeUnreachable, gone))
	assert.Contains(t, body, "check the network")

	_, body = do(t, h.request(t, http.MethodPost, "/killed/mcp", call))
	assert.Contains(t, body, fmt.Sprintf(`"code":%d,"message":"the connection to killed at %s broke before there was an answer`, CodeUnreachable, killed.URL))
	assert.Contains(t, body, "try again")
}

func TestATokenGoesToNoOtherWorldThanItsOwn(t *testing.T) {
	got := make(chan struct{}, 9)
	local := upstream(t, func(http.ResponseWriter, *http.Request) { got <- struct{}{} })
	h := start(t, "acme="+local.URL)
	for _, issuer := range []string{"https://accounts.google.com", "https://127.0.0.1:1", "http://evil.example", "http://127.0.0.1.evil.example", ":", "127.0.0.1"} {
		h.endpoint.Set(func(e *tokentest.Endpoint) { e.Issuer = issuer })
		tokentest.WriteLogin(t, h.dir, h.endpoint.URL, tokentest.RefreshToken) // a new login, a new token
		_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
		assert.Contains(t, body, fmt.Sprintf(`"code":%d,"message":"cannot sign in to acme: the login is one of %s, which is not sent to a port of this machine`, CodeWrongToken, issuer))
	}
	assert.Empty(t, got)

	// And the token of a cloud on this machine stays here: the name is never looked up.
	h = start(t, "acme=https://acme.invalid")
	_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Contains(t, body, fmt.Sprintf(`"code":%d,"message":"cannot sign in to acme: the login is one of a cloud on this machine`, CodeWrongToken))
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

func TestBothLoopbackAddressesAnswerAndNoOther(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	h := start(t, "acme="+server.URL)
	addresses := map[string]bool{}
	for _, l := range h.listeners {
		addresses[l.Addr().String()] = true
		r := h.request(t, http.MethodGet, "/mcp", "")
		r.URL.Host = l.Addr().String()
		_, body := do(t, r)
		assert.Equal(t, "here", body)
	}
	want := map[string]bool{fmt.Sprintf("127.0.0.1:%d", h.Port()): true}
	if hasIPv6Loopback() {
		want[fmt.Sprintf("[::1]:%d", h.Port())] = true
	}
	assert.Equal(t, want, addresses)
}

func hasIPv6Loopback() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

func TestATakenPortIsNamed(t *testing.T) {
	addresses := []string{"127.0.0.1:0"}
	if hasIPv6Loopback() {
		addresses = append(addresses, "[::1]:0")
	}
	targets, tokens := parse(t, "acme=http://127.0.0.1:1"), token.NewSource(token.Options{})
	for _, address := range addresses {
		// Another program may be given the port as soon as it is free: nothing stays bound
		// of the attempt if that can be seen of any of some ports.
		var again *Relay
		for tries := 0; again == nil && tries < 10; tries++ {
			l, err := net.Listen("tcp", address)
			require.NoError(t, err)
			o := Options{Port: l.Addr().(*net.TCPAddr).Port, Targets: targets, Tokens: tokens}
			_, err = New(o)
			var taken *PortTakenError
			require.ErrorAs(t, err, &taken, address)
			assert.Equal(t, o.Port, taken.Port)
			assert.ErrorContains(t, err, fmt.Sprintf("port %d is taken", o.Port))
			assert.ErrorContains(t, err, "--port")
			require.NoError(t, l.Close())
			again, _ = New(o)
		}
		require.NotNil(t, again, "nothing stays bound of the attempt")
		require.NoError(t, again.Close())
	}
}

func TestARelayThatCannotServeSaysSo(t *testing.T) {
	s, err := New(Options{Targets: parse(t, "acme=http://127.0.0.1:1"), Tokens: token.NewSource(token.Options{})})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.ErrorContains(t, s.Serve(context.Background()), "serve on port")
}

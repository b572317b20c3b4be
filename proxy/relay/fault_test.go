package relay

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

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

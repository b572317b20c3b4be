package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// raw sends bytes as they are and returns the status of each response until the proxy ends
// the connection, which it does of its own accord or because it was asked to.
func raw(t *testing.T, port int, request string) (statuses []int) {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	for reader := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
}

// Where two readers see the borders of a request at different places, a second request can
// hide in the first. It is refused, or there is one for everybody.
func TestNoRequestHidesInAnother(t *testing.T) {
	const hidden = "POST /acme/hidden HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	for name, test := range map[string]struct {
		header string
		status int
	}{
		"two lengths":                    {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
		"two lengths in one":             {"Content-Length: 5, 6\r\n", 400},
		"a length with a sign":           {"Content-Length: +5\r\n", 400},
		"a coding that is not known":     {"Transfer-Encoding: xchunked\r\n", 501},
		"two codings":                    {"Transfer-Encoding: chunked, identity\r\n", 501},
		"a coding in two lines":          {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 501},
		"a space in front of the colon":  {"Transfer-Encoding : chunked\r\n", 400},
		"a name with a space":            {"X Y: 1\r\n", 400},
		"a line that goes on":            {"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 0},
		"a zero byte":                    {"X: a\x00b\r\nContent-Length: 0\r\n", 400},
		"a CR alone":                     {"X: a\rContent-Length: 9\r\nContent-Length: 0\r\n", 400},
		"no valid chunk":                 {"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		"two hosts":                      {"Host: evil.example\r\nContent-Length: 0\r\n", 400},
		"a coding and a length":          {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n", 0},
		"a chunk that is shorter than I": {"Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			var arrived, hidings atomic.Int64
			server := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				arrived.Add(1)
				assert.EqualValues(t, len(body), r.ContentLength, "of a length that is known")
				if r.URL.Path == "/hidden" {
					hidings.Add(1)
				}
			})
			h := start(t, "acme="+server.URL)
			statuses := raw(t, h.Port(), "POST /acme/mcp HTTP/1.1\r\nHost: localhost\r\n"+test.header+"\r\n"+hidden)
			require.NotEmpty(t, statuses)
			if test.status != 0 {
				assert.Equal(t, []int{test.status}, statuses, "refused, and the connection ends")
				assert.Zero(t, arrived.Load())
				return
			}
			// Whoever reads the one way sees two requests, and so does the server.
			assert.EqualValues(t, len(statuses), arrived.Load())
			assert.LessOrEqual(t, hidings.Load(), arrived.Load()-1)
		})
	}
}

func TestNobodyElsesTokenReachesThePlatform(t *testing.T) {
	got := make(chan http.Header, 1)
	server := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		header := r.Header
		for name, values := range r.Trailer {
			header["Trailer "+name] = values
		}
		got <- header
	})
	h := start(t, "acme="+server.URL)
	for name, header := range map[string]string{
		"in the platform's header":      "X-Serverless-Authorization: Bearer forged\r\n",
		"twice":                         "X-Serverless-Authorization: Bearer forged\r\nx-serverless-authorization: Bearer forged\r\n",
		"with underscores":              "X_Serverless_Authorization: Bearer forged\r\nX-Serverless_Authorization: Bearer forged\r\n",
		"with ours dropped on the way":  "Connection: X-Serverless-Authorization\r\nX-Serverless-Authorization: Bearer forged\r\n",
		"in a trailer":                  "Trailer: X-Serverless-Authorization\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Serverless-Authorization: Bearer forged\r\n",
		"for a proxy on the way to it":  "Proxy-Authorization: Bearer forged\r\n",
		"as a cookie of another server": "Cookie: token=forged\r\n",
	} {
		assert.Equal(t, []int{http.StatusOK}, raw(t, h.Port(), "POST /acme/mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+header+"\r\n"), name)
		header := within(t, got, name)
		assert.Equal(t, []string{"Bearer " + h.endpoint.Tokens()[0]}, header[tokenHeader], name)
		for key, values := range header {
			assert.NotContains(t, strings.Join(values, " "), "forged", "%s: %s", name, key)
		}
	}
}

// What a server may try to be given the token once more, or have it sent elsewhere.
func TestAServerThatAsksForTheTokenGetsNoOther(t *testing.T) {
	foreign := upstream(t, func(http.ResponseWriter, *http.Request) { t.Error("a request to another origin") })
	for name, test := range map[string]struct {
		status int
		header http.Header
	}{
		"a challenge of its own":           {401, http.Header{"Www-Authenticate": {`Bearer realm="acme", scope="X-Serverless-Authorization"`}}},
		"a challenge for a password":       {401, http.Header{"Www-Authenticate": {`Basic realm="Google"`}}},
		"a proxy's challenge":              {407, http.Header{"Proxy-Authenticate": {`Bearer`}}},
		"a login of its own":               {401, http.Header{"Www-Authenticate": {`Bearer resource_metadata="` + foreign.URL + `/x"`}}},
		"a move for good":                  {308, http.Header{"Location": {foreign.URL + "/mcp"}}},
		"a move to another client":         {307, http.Header{"Location": {"/globex/mcp"}}},
		"a refresh":                        {200, http.Header{"Refresh": {"0; url=" + foreign.URL}}},
		"another address for the service":  {200, http.Header{"Alt-Svc": {`h2="` + strings.TrimPrefix(foreign.URL, "http://") + `"`}}},
		"a wish to be called again":        {425, nil},
		"too early a wish to be told less": {421, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var arrived atomic.Int64
			server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				arrived.Add(1)
				for key, values := range test.header {
					w.Header()[key] = values
				}
				w.WriteHeader(test.status)
			})
			h := start(t, "acme="+server.URL, "globex="+foreign.URL)
			resp, _ := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Empty(t, resp.Header.Get("Alt-Svc")+resp.Header.Get("Proxy-Authenticate"))
			assert.EqualValues(t, 1, arrived.Load())
			assert.Equal(t, 1, h.endpoint.Exchanges(), "no other token was asked for")
			for _, values := range resp.Header {
				assert.NotContains(t, strings.Join(values, " "), h.endpoint.Tokens()[0])
			}
		})
	}
}

func TestAServerCannotTakeTheConnectionOver(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: anything\r\nConnection: Upgrade\r\n\r\nraw")
	})
	h := start(t, "acme="+server.URL)
	resp, body := do(t, h.request(t, http.MethodGet, "/mcp", ""))
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
	assert.NotContains(t, body, "raw")
}

func TestHeadersAreBounded(t *testing.T) {
	var arrived atomic.Int64
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived.Add(1)
		w.Header().Set("X-Big", strings.Repeat("x", maxResponseHeader))
	})
	h := start(t, "acme="+server.URL)
	r := h.request(t, http.MethodGet, "/mcp", "")
	r.Header.Set("X-Big", strings.Repeat("x", 2*maxHeaderBytes))
	resp, _ := do(t, r)
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	assert.Zero(t, arrived.Load())

	resp, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, body, fmt.Sprintf(`"code":%d`, CodeUnreachable))
	assert.EqualValues(t, 1, arrived.Load())
}

// A client that does not read holds its own stream back: the server is not read on its
// behalf for ever, and nobody else waits. With HTTP/2, both are on one connection.
func TestASlowReaderHoldsUpNobodyElse(t *testing.T) {
	for name, serve := range map[string]func(*httptest.Server){
		"from HTTP/1.1": (*httptest.Server).Start,
		"from HTTP/2":   func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() },
	} {
		t.Run(name, func(t *testing.T) {
			const bound = 64 << 20 // what two kernels' buffers and the windows of HTTP/2 hold is less
			var sent atomic.Int64
			blocked := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/flood" {
					fmt.Fprint(w, "at once")
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				block := []byte("data: " + strings.Repeat("x", 64<<10) + "\n\n")
				for sent.Load() < bound {
					n, err := w.Write(block)
					sent.Add(int64(n))
					if err != nil {
						break
					}
				}
				close(blocked)
			}))
			serve(server)
			t.Cleanup(server.Close)
			h := start(t, "acme="+server.URL)
			if server.TLS != nil {
				h.trust(server)
			}
			ctx, leave := context.WithCancel(t.Context())
			slow := client(t)
			slow.Timeout = 0
			resp, err := slow.Do(h.request(t, http.MethodPost, "/flood", call).WithContext(ctx))
			require.NoError(t, err)
			defer resp.Body.Close()
			before := int64(-1)
			require.Eventually(t, func() bool { // it has come to a halt
				was := before
				before = sent.Load()
				return was == before && was > 0
			}, deadline, deadline/100)
			_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
			assert.Equal(t, "at once", body)
			assert.Less(t, sent.Load(), int64(bound))
			leave()
			within(t, blocked, "the server's notice that the client has gone")
		})
	}
}

// What a token endpoint has said of the account is part of the sentence that an editor, or a
// person with curl, is shown.
func TestAFaultShowsNothingThatATerminalWouldObey(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusForbidden) })
			h := start(t, "acme="+server.URL)
			h.endpoint.Set(func(e *tokentest.Endpoint) { e.Email = attack.Text + "\n" + plaintexttest.Forged })

			_, body := do(t, h.request(t, http.MethodPost, "/mcp", call))
			plaintexttest.AssertPlain(t, body)
			var reply rpcError
			require.NoError(t, json.Unmarshal([]byte(body), &reply))
			resp, sentence := do(t, h.request(t, http.MethodGet, "/mcp", ""))
			assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
			for _, shown := range []string{reply.Error.Message, strings.TrimSuffix(sentence, "\n")} {
				plaintexttest.AssertPlain(t, shown)
				assert.Contains(t, shown, attack.Shown)
				assert.NotContains(t, shown, "\n", "it stays one sentence")
				assert.Contains(t, shown, "may not use acme")
			}
		})
	}
}

func TestFault_IsBounded(t *testing.T) {
	f := &Fault{Message: strings.Repeat("\x1b", 1<<20)}
	assert.LessOrEqual(t, len(f.Error()), 4<<10)
}

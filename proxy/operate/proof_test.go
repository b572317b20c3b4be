package operate

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const secret = "a-Secret_0123456789"

// A squatter has the port of a proxy and keeps all that is sent to it.
type squatter struct {
	address string
	mu      sync.Mutex
	heard   strings.Builder
}

func (s *squatter) port(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return n
}

func squat(t *testing.T, answer http.HandlerFunc) *squatter {
	t.Helper()
	s := &squatter{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := httputil.DumpRequest(r, true)
		assert.NoError(t, err)
		s.mu.Lock()
		s.heard.Write(request)
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()
	return s
}

// newProxy runs a proxy with a secret and returns its relay.
func newProxy(t *testing.T, secret string) *relay.Relay {
	t.Helper()
	targets, err := relay.ParseTargets([]string{"acme=http://127.0.0.1:1"})
	require.NoError(t, err)
	r, err := relay.New(relay.Options{Targets: targets, Tokens: token.NewSource(token.Options{}), Secret: secret})
	require.NoError(t, err)
	Register(r, nil, "v1.2.3")
	done := make(chan error, 1)
	go func() { done <- r.Serve(t.Context()) }()
	t.Cleanup(func() { assert.NoError(t, <-done) })
	return r
}

func TestAsk_BelievesProxyThatKnowsSecret(t *testing.T) {
	r := newProxy(t, secret)
	it, err := Ask(t.Context(), r.Port(), secret)
	require.NoError(t, err)
	assert.Equal(t, Identity{Program: Program, Version: "v1.2.3", Clients: []string{"acme"}}, it)

	_, err = Ask(t.Context(), r.Port(), "another-"+secret)
	var stranger *StrangerError
	require.ErrorAs(t, err, &stranger)
	assert.Equal(t, OtherSecret, stranger.Claim)
	_, err = Ask(t.Context(), r.Port(), "")
	require.ErrorAs(t, err, &stranger)
	assert.Equal(t, HasSecret, stranger.Claim)
	_, err = Ask(t.Context(), newProxy(t, "").Port(), secret)
	require.ErrorAs(t, err, &stranger)
	assert.Equal(t, NoSecret, stranger.Claim)
}

func TestAsk_NeverSendsSecret(t *testing.T) {
	real := newProxy(t, secret)
	relayed := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(real.Port())})
	says := func(status int, answer any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, ok := answer.(string)
			if !ok {
				encoded, err := json.Marshal(answer)
				assert.NoError(t, err)
				body = string(encoded)
			}
			w.Header().Set(proofHeader, r.Header.Get(proofHeader)+strings.Repeat("0", 64))
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		claim  Claim
	}{
		"a web server":                          {says(404, "no"), NoProxy},
		"a program that says yes to all":        {says(200, "ok"), NoProxy},
		"an older proxy":                        {says(404, relay.HasSecret+": run berth-proxy install"), HasSecret},
		"one that says that it is a proxy":      {says(200, Identity{Program: Program, Version: "v1.2.3", Clients: []string{"acme"}}), NoSecret},
		"one with a proof of nothing":           {says(200, challenge{Program: Program, Nonce: rand.Text()}), OtherSecret},
		"one with a nonce that is none":         {says(200, challenge{Program: Program, Nonce: "\n"}), NoProxy},
		"one that fetches a real proxy's proof": {relayed.ServeHTTP, OtherSecret},
		"one that sends elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, fmt.Sprintf("http://127.0.0.1:%d%s", real.Port(), r.URL), http.StatusTemporaryRedirect)
		}, NoProxy},
	} {
		t.Run(name, func(t *testing.T) {
			s := squat(t, test.answer)
			_, err := Ask(t.Context(), s.port(t), secret)
			var stranger *StrangerError
			require.ErrorAs(t, err, &stranger)
			assert.Equal(t, test.claim, stranger.Claim)
			assert.Equal(t, s.address, stranger.Address)
			assert.Contains(t, s.heard.String(), livenessPath+"?nonce=", "it was asked")
			assert.NotContains(t, s.heard.String(), secret)
			assert.NotContains(t, s.heard.String(), proofHeader, "nor does the asker prove anything to a stranger")
		})
	}
}

// What has one of the addresses proves nothing about what has the other, which "localhost"
// may be to an editor as well.
func TestAsk_AsksAtEveryAddress(t *testing.T) {
	first := squat(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"program":"berth-proxy","version":"v1","clients":[]}`)
	})
	_, err := Ask(t.Context(), first.port(t), "")
	require.NoError(t, err)
	l, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(first.port(t))))
	if err != nil { // there is no IPv6, and so no other address
		return
	}
	second := httptest.NewUnstartedServer(http.NotFoundHandler())
	require.NoError(t, second.Listener.Close())
	second.Listener = l
	second.Start()
	t.Cleanup(second.Close)
	_, err = Ask(t.Context(), first.port(t), "")
	var stranger *StrangerError
	require.ErrorAs(t, err, &stranger)
	assert.Equal(t, l.Addr().String(), stranger.Address)
}

func TestAsk_SaysWhenNothingListens(t *testing.T) {
	_, err := Ask(t.Context(), 1, secret) // a port that nothing is given by chance
	assert.True(t, NothingListens(err), "%v", err)
}

func TestIdentity_ShownOnlyIfPlain(t *testing.T) {
	for name, answer := range map[string]string{
		"version": `{"program":"berth-proxy","version":"\u001b[31m","clients":[]}`,
		"client":  `{"program":"berth-proxy","version":"v1","clients":["\u001b[31m"]}`,
	} {
		s := squat(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
		_, err := Ask(t.Context(), s.port(t), "")
		assert.Error(t, err, name)
	}
}

// ask sends one request to a proxy without its secret.
func ask(t *testing.T, r *relay.Relay, nonce string, header map[string]string) (status int, proof, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/liveness?nonce=%s", r.Port(), url.QueryEscape(nonce)), nil)
	require.NoError(t, err)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header.Get(proofHeader), string(content)
}

func TestProver_TellsStrangersNothing(t *testing.T) {
	r := newProxy(t, secret)
	mine := rand.Text()
	status, proof, body := ask(t, r, mine, nil)
	require.Equal(t, http.StatusOK, status)
	assert.NotContains(t, body, "acme")
	assert.NotContains(t, body, "v1.2.3")
	var c challenge
	require.NoError(t, json.Unmarshal([]byte(body), &c))
	e := exchange{secret: secret, address: fmt.Sprintf("127.0.0.1:%d", r.Port()), asker: mine, proxy: c.Nonce}
	require.True(t, e.verify(asProxy, []byte(body), proof))

	good := e.prove(asAsker, nil)
	status, _, body = ask(t, r, mine, map[string]string{proofHeader: good})
	require.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "acme")
	other := e
	other.secret = "another-" + secret
	for name, test := range map[string]struct {
		nonce  string
		header map[string]string
		status int
	}{
		"no nonce":                    {"", nil, 404},
		"a nonce of another kind":     {"x\ny", nil, 404},
		"a proof of nothing":          {mine, map[string]string{proofHeader: "x"}, 404},
		"a proof with another secret": {mine, map[string]string{proofHeader: other.prove(asAsker, nil)}, 404},
		"the proxy's own proof":       {mine, map[string]string{proofHeader: proof}, 404},
		"another asker's proof":       {rand.Text(), map[string]string{proofHeader: good}, 404},
		"a web page":                  {mine, map[string]string{"Origin": "https://evil.example"}, 403},
		"another site":                {mine, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
	} {
		status, proof, body := ask(t, r, test.nonce, test.header)
		assert.Equal(t, test.status, status, name)
		assert.Empty(t, proof, name)
		assert.NotContains(t, body, "acme", name)
	}
	another := newProxy(t, secret)
	status, _, _ = ask(t, another, mine, map[string]string{proofHeader: good})
	assert.Equal(t, http.StatusNotFound, status, "a proof is for one run")
}

func TestExchange_ProofIsForOneMeeting(t *testing.T) {
	e := exchange{secret: secret, address: "127.0.0.1:3030", asker: rand.Text(), proxy: rand.Text()}
	proof := e.prove(asProxy, []byte("body"))
	require.True(t, e.verify(asProxy, []byte("body"), proof))
	for name, change := range map[string]func(e *exchange){
		"another secret":       func(e *exchange) { e.secret = "b" + secret[1:] },
		"another port":         func(e *exchange) { e.address = "127.0.0.1:3031" },
		"another address":      func(e *exchange) { e.address = "[::1]:3030" },
		"another asker":        func(e *exchange) { e.asker = rand.Text() },
		"another run":          func(e *exchange) { e.proxy = rand.Text() },
		"the nonces exchanged": func(e *exchange) { e.asker, e.proxy = e.proxy, e.asker },
	} {
		other := e
		change(&other)
		assert.False(t, other.verify(asProxy, []byte("body"), proof), name)
	}
	assert.False(t, e.verify(asIdentity, []byte("body"), proof))
	assert.False(t, e.verify(asAsker, []byte("body"), proof))
	assert.False(t, e.verify(asProxy, []byte("another"), proof))
}

func TestAsk_RepeatsNothingThatIsNoHTTP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX Y"+strings.Repeat(" run this", 1000)+"\r\n\r\n")
			_ = conn.Close()
		}
	}()
	for _, secret := range []string{"", secret} {
		_, err := Ask(t.Context(), listener.Addr().(*net.TCPAddr).Port, secret)
		var stranger *StrangerError
		require.ErrorAs(t, err, &stranger)
		assert.Equal(t, NoHTTP, stranger.Claim)
		assert.EqualError(t, err, listener.Addr().String()+": it speaks no HTTP")
	}
}

func TestForeign_DoesNotTakeAnotherUsersProxyForOne(t *testing.T) {
	require.NoError(t, foreign("127.0.0.1:3030", ""), "this user's, or not known")
	require.NoError(t, foreign("127.0.0.1:3030", "0"), "root's")
	assert.EqualError(t, foreign("127.0.0.1:3030", "65534"),
		"127.0.0.1:3030 of the user with uid 65534: it says that it is a berth-proxy without a secret in its addresses")
}

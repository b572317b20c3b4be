package cmd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
)

// A sessionServer is one with sessions and a long-lived stream. It notes what reaches it.
type sessionServer struct {
	*httptest.Server
	name    string
	streams chan struct{}

	mu  sync.Mutex
	got []string
}

func newSessionServer(t *testing.T, name string) *sessionServer {
	t.Helper()
	s := &sessionServer{name: name, streams: make(chan struct{}, 10)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func (s *sessionServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var call struct{ ID json.RawMessage }
	_ = json.Unmarshal(body, &call) // a GET has none
	s.mu.Lock()
	s.got = append(s.got, r.Method+" "+string(body))
	s.mu.Unlock()
	w.Header().Set("Mcp-Session-Id", s.name)
	switch {
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "id: 1\nretry: 1\ndata:\n\n")
		_ = http.NewResponseController(w).Flush()
		s.streams <- struct{}{}
		<-r.Context().Done()
	case len(call.ID) > 0:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","from":%q}}`, call.ID, s.name)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func (s *sessionServer) awaitStream(t *testing.T) {
	t.Helper()
	select {
	case <-s.streams:
	case <-time.After(deadline):
		require.FailNow(t, "no stream was opened", "%q", s.requests())
	}
}

// requests are those so far.
func (s *sessionServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.got...)
}

const (
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	ping        = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// A stdioRun is a berth-proxy stdio, with the editor's ends.
type stdioRun struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     logtest.Buffer
}

func startStdio(t *testing.T, w *world, args ...string) *stdioRun {
	t.Helper()
	r := &stdioRun{}
	env := w.extra
	for name, value := range w.environment() {
		env = append(env, name+"="+value)
	}
	r.process = command(t, build(t), env, append([]string{"stdio"}, args...)...)
	r.process.Stderr = &r.log
	in, err := r.process.StdinPipe()
	require.NoError(t, err)
	out, err := r.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.process.Start())
	r.in, r.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		_ = r.process.Process.Kill()
		_ = r.process.Wait() // it may have ended
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	return r
}

func (r *stdioRun) write(t *testing.T, message string) {
	t.Helper()
	_, err := io.WriteString(r.in, message+"\n")
	require.NoError(t, err)
}

func (r *stdioRun) ask(t *testing.T, message string) (answer string) {
	t.Helper()
	r.write(t, message)
	answer, err := r.out.ReadString('\n')
	require.NoError(t, err)
	return answer
}

// waitFor asks until the answer says something.
func (r *stdioRun) waitFor(t *testing.T, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(r.ask(t, ping), what) }, deadline, lookEvery/20, what)
}

func TestStdio_FollowsFile(t *testing.T) {
	w := newWorld(t)
	first, second := newSessionServer(t, "first"), newSessionServer(t, "second")
	_, _, code := berth(t, "add", "acme="+first.URL)
	require.Zero(t, code)
	r := startStdio(t, w, "acme")
	assert.Contains(t, r.ask(t, initialize), `"from":"first"`)
	r.write(t, initialized)
	first.awaitStream(t)

	_, _, code = berth(t, "add", "acme="+second.URL, "--replace")
	require.Zero(t, code)
	r.waitFor(t, `"from":"second"`)
	atFirst := len(first.requests())
	second.awaitStream(t)

	_, _, code = berth(t, "remove", "acme")
	require.Zero(t, code)
	r.waitFor(t, "acme was removed from the clients of this berth-proxy")
	atSecond := len(second.requests())

	require.NoError(t, r.in.Close())
	require.NoError(t, r.process.Wait())
	assert.Len(t, first.requests(), atFirst, "not even the end of the session is told to it")
	assert.Len(t, second.requests(), atSecond)
}

// A client that the command line gives has nothing to do with the file.
func TestStdio_URLDoesNotFollowFile(t *testing.T) {
	w := newWorld(t)
	server := newSessionServer(t, "given")
	_, _, code := berth(t, "add", "acme="+newSessionServer(t, "file").URL)
	require.Zero(t, code)
	r := startStdio(t, w, "acme="+server.URL)
	assert.Contains(t, r.ask(t, initialize), `"from":"given"`)
	named := startStdio(t, w, "acme")
	assert.Contains(t, named.ask(t, initialize), `"from":"file"`)
	_, _, code = berth(t, "remove", "acme")
	require.Zero(t, code)
	named.waitFor(t, "acme was removed")
	assert.Contains(t, r.ask(t, ping), `"from":"given"`)
	require.NoError(t, r.in.Close())
	require.NoError(t, r.process.Wait())
	assert.NotContains(t, r.log.String(), "clients reloaded")
}

// What the help of remove promises.
func TestRemove_FormerServerGetsNoNewRequest(t *testing.T) {
	const promise = "From then on it sends no new request to\nthe client's server: no retry, no renewed token, and nothing to end a session.\nStreams and sessions with the server end at once."
	assert.Contains(t, newRemove(&common{}).Long, promise)

	w := newWorld(t)
	server := newSessionServer(t, "acme")
	var before []string
	t.Cleanup(func() { assert.Equal(t, before, server.requests(), "when the proxy has ended") })
	_, _, code := berth(t, "add", "acme="+server.URL)
	require.Zero(t, code)
	r := serve(t, w, 1)
	open := func(path string) *bufio.Reader {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		require.NoError(t, err)
		request.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return bufio.NewReader(resp.Body)
	}
	// One stream of the server's own, and a session of an older editor with its stream.
	stream := open("/acme/mcp")
	server.awaitStream(t)
	older := open("/acme/sse")
	_, err := older.ReadString('\n')
	require.NoError(t, err)
	endpoint, err := older.ReadString('\n')
	require.NoError(t, err)
	for _, message := range []string{initialize, initialized} {
		resp, err := http.Post(r.url+strings.TrimSpace(strings.TrimPrefix(endpoint, "data: ")), "application/json", strings.NewReader(message))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	server.awaitStream(t)
	before = server.requests()

	_, _, code = berth(t, "remove", "acme")
	require.Zero(t, code)
	for _, ends := range []*bufio.Reader{stream, older} {
		_, err := io.Copy(io.Discard, ends)
		assert.NoError(t, err)
	}
}

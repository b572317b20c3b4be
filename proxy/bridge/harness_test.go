package bridge

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/leaktest"
	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

// deadline is far more than anything here takes.
const deadline = time.Minute

// A rig is a server with what a bridge needs to reach it.
type rig struct {
	target   relay.Target
	sender   *relay.Sender
	endpoint *tokentest.Endpoint
	logged   logtest.Buffer
	log      *slog.Logger
}

// newRig makes a rig for a server, of which the bridge must send the token to no other.
func newRig(t *testing.T, serverURL string) *rig {
	t.Helper()
	r := &rig{endpoint: tokentest.New(t)}
	r.log = slog.New(slog.NewTextHandler(&r.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	targets, err := relay.ParseTargets([]string{"acme=" + serverURL})
	require.NoError(t, err)
	r.target = targets[0]
	r.sender = relay.NewSender(token.NewSource(token.Options{
		File:     tokentest.WriteLogin(t, t.TempDir(), r.endpoint.URL, tokentest.RefreshToken),
		TokenURL: r.endpoint.URL,
		Logger:   r.log,
	}), nil, targets)
	t.Cleanup(func() {
		r.sender.Close()
		for _, raw := range r.endpoint.Tokens() {
			assert.NotContains(t, r.logged.String(), raw, "no token is ever logged")
		}
		if t.Failed() {
			t.Log(r.logged.String())
		}
	})
	return r
}

// serve is a server that is gone at the end of the test.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return server.URL
}

// stdio runs the bridge on pipes, and returns the editor's ends of them.
func (r *rig) stdio(t *testing.T) (in io.WriteCloser, out io.ReadCloser, ended <-chan error) {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		err := Stdio(ctx, inR, outW, Options{Target: r.target, Sender: r.sender, Follow: true, Logger: r.log})
		_ = outW.Close()
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		_ = inW.Close()
		_ = outR.Close()
		within(t, returned, "the end of the bridge")
	})
	return inW, outR, done
}

// connect connects a client of the SDK over the bridge.
func (r *rig) connect(t *testing.T, revision string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	in, out, _ := r.stdio(t)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, o).Connect(t.Context(),
		&mcp.IOTransport{Reader: out, Writer: in}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// A rawEditor writes and reads lines.
type rawEditor struct {
	t     *testing.T
	in    io.WriteCloser
	lines <-chan string
	ended <-chan error
}

func (r *rig) raw(t *testing.T) *rawEditor {
	t.Helper()
	in, out, ended := r.stdio(t)
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewReader(out); ; {
			line, err := s.ReadString('\n')
			if err != nil {
				return
			}
			lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	return &rawEditor{t: t, in: in, lines: lines, ended: ended}
}

func (e *rawEditor) write(line string) {
	e.t.Helper()
	_, err := io.WriteString(e.in, line+"\n")
	require.NoError(e.t, err)
}

func (e *rawEditor) read() string {
	e.t.Helper()
	return within(e.t, e.lines, "a message to the editor")
}

// within fails the test if nothing comes.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		require.FailNow(t, "timed out", what)
		panic("unreachable")
	}
}

package endpoint_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openStream opens /sse.
func openStream(t *testing.T, url string, header http.Header) (*http.Response, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/sse", nil)
	require.NoError(t, err)
	r.Header = header.Clone()
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	assert.Equal(t, "no", response.Header.Get("X-Accel-Buffering"))
	return response, bufio.NewReader(response.Body)
}

// readEvent reads the fields of one event.
func readEvent(t *testing.T, events *bufio.Reader) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for {
		line, err := events.ReadString('\n')
		require.NoError(t, err)
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return fields
		}
		name, value, _ := strings.Cut(line, ": ")
		fields[name] = value
	}
}

// slowTool is a tool that says when it runs and answers when told to, or when
// the test is over.
type slowTool struct {
	running, answer chan struct{}
	over            <-chan struct{}
}

func newSlowTool(t *testing.T) slowTool {
	return slowTool{running: make(chan struct{}, 1), answer: make(chan struct{}), over: t.Context().Done()}
}

func (s slowTool) register(g *guard.Guard) {
	guard.AddTool(g, guard.Viewer, &mcp.Tool{Name: "slow"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		s.running <- struct{}{}
		select {
		case <-s.answer:
		case <-s.over:
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "late but here"}}}, nil, nil
	})
}

// session is a stream that has been through initialization, by hand: the test
// has to see every byte up to the stream's end.
type session struct {
	url    string
	events *bufio.Reader
}

func newSession(t *testing.T, url string) session {
	t.Helper()
	_, events := openStream(t, url, nil)
	s := session{url: url + readEvent(t, events)["data"], events: events}
	s.post(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"editor","version":"1"}}}`)
	readEvent(t, events)
	s.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return s
}

func (s session) post(t *testing.T, message string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(message))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	require.Equal(t, http.StatusAccepted, do(t, r).StatusCode)
}

const callSlow = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow"}}`

func TestDrainAnswersTheCallsOfAStreamAndThenEndsIt(t *testing.T) {
	slow := newSlowTool(t)
	f := start(t, identity.ModeDev, slow.register)
	busy, idle := newSession(t, f.url), newSession(t, f.url)
	busy.post(t, callSlow)
	<-slow.running

	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	drained := make(chan struct{})
	go func() { f.Drain(ctx); close(drained) }()

	_, err := io.ReadAll(idle.events)
	require.NoError(t, err, "the idle stream ends, and ends well")
	select {
	case <-drained:
		t.Fatal("drained while a call was running")
	default:
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/sse", nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusServiceUnavailable, do(t, r).StatusCode, "no new streams")

	close(slow.answer)
	assert.Contains(t, readEvent(t, busy.events)["data"], "late but here")
	rest, err := io.ReadAll(busy.events)
	require.NoError(t, err)
	assert.Empty(t, rest)
	<-drained
	require.NoError(t, ctx.Err(), "drained before its deadline")
}

func TestDrainDoesNotWaitForACallPastItsDeadline(t *testing.T) {
	slow := newSlowTool(t)
	f := start(t, identity.ModeDev, slow.register)
	busy := newSession(t, f.url)
	busy.post(t, callSlow)
	<-slow.running

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.Drain(ctx)
}

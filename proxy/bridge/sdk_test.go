package bridge

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// portal is a server with a tool for each thing that has to pass.
type portal struct {
	*mcp.Server
	waiting   chan struct{} // a call of "wait" has begun
	cancelled chan struct{} // a call of "wait" was cancelled
}

type nothing struct{}

type echo struct {
	Text string `json:"text"`
}

func newPortal(t *testing.T) *portal {
	over := t.Context().Done()
	p := &portal{waiting: make(chan struct{}, 10), cancelled: make(chan struct{}, 10)}
	p.Server = mcp.NewServer(&mcp.Implementation{Name: "portal", Version: "1"}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{ListChanged: true}},
	})
	t.Cleanup(func() {
		for session := range p.Sessions() { // that a test had the server lose
			_ = session.Close()
		}
	})
	mcp.AddTool(p.Server, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in echo) (*mcp.CallToolResult, echo, error) {
		return nil, in, nil
	})
	mcp.AddTool(p.Server, &mcp.Tool{Name: "steps"}, func(ctx context.Context, r *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, nothing, error) {
		for i := range 3 {
			err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i + 1)})
			if err != nil {
				return nil, nothing{}, err
			}
		}
		return nil, nothing{}, nil
	})
	mcp.AddTool(p.Server, &mcp.Tool{Name: "wait"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, nothing, error) {
		p.waiting <- struct{}{}
		select {
		case <-ctx.Done():
			p.cancelled <- struct{}{}
		case <-over: // or the server could not be stopped
		}
		return nil, nothing{}, ctx.Err()
	})
	mcp.AddTool(p.Server, &mcp.Tool{Name: "ask"}, func(ctx context.Context, r *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, echo, error) {
		answer, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: "which?", RequestedSchema: map[string]any{"type": "object"}})
		if err != nil {
			return nil, echo{}, err
		}
		return nil, echo{Text: fmt.Sprint(answer.Action, " ", answer.Content["text"])}, nil
	})
	return p
}

// news is what an editor hears of a server's tools.
type news chan struct{}

func (n news) come(context.Context, *mcp.ToolListChangedRequest) {
	select {
	case n <- struct{}{}:
	default: // there is some already
	}
}

// toolsChange changes the server's tools until the editor has heard of it. The first time
// may be too early: whoever's standing stream is not open yet is not told.
func (p *portal) toolsChange(t *testing.T, heard news) {
	t.Helper()
	select {
	case <-heard: // of an earlier change
	default:
	}
	require.Eventually(t, func() bool {
		mcp.AddTool(p.Server, &mcp.Tool{Name: "another"}, func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, nothing, error) {
			return nil, nothing{}, nil
		})
		select {
		case <-heard:
			return true
		case <-time.After(100 * time.Millisecond): // the server puts changes together that are closer
			return false
		}
	}, deadline, time.Millisecond, "news of another tool")
}

func (p *portal) streamable(o mcp.StreamableHTTPOptions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return p.Server }, &o))
	return mux
}

func (p *portal) onlySSE() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/sse", mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return p.Server }, nil))
	return mux
}

// Every revision, against every kind of server, has what that revision and that kind can
// have together.
func TestAnEditorOfEachRevisionUsesAServerOfEachKind(t *testing.T) {
	for _, kind := range []struct {
		name      string
		handler   func(*portal) http.Handler
		sessions  bool
		stateless bool
	}{
		{name: "stateless", handler: func(p *portal) http.Handler {
			return p.streamable(mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true})
		}, stateless: true},
		{name: "stateless, answering in JSON", handler: func(p *portal) http.Handler {
			return p.streamable(mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true, PropagateRequestCancellation: true})
		}, stateless: true},
		{name: "with sessions", handler: func(p *portal) http.Handler {
			return p.streamable(mcp.StreamableHTTPOptions{})
		}, sessions: true},
		{name: "with sessions, resumable", handler: func(p *portal) http.Handler {
			return p.streamable(mcp.StreamableHTTPOptions{EventStore: mcp.NewMemoryEventStore(nil)})
		}, sessions: true},
		{name: "with the older transport alone", handler: (*portal).onlySSE, sessions: true},
	} {
		for _, revision := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
			t.Run(kind.name+" "+revision, func(t *testing.T) {
				t.Parallel()
				p := newPortal(t)
				r := newRig(t, serve(t, kind.handler(p)))
				progress, changed := make(chan float64, 10), make(news, 1)
				modern := revision >= revisionStateless
				editor := r.connect(t, revision, &mcp.ClientOptions{
					ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { progress <- r.Params.Progress },
					ToolListChangedHandler:      changed.come,
					ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
						return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"text": "this one"}}, nil
					},
				})
				switch {
				case modern && kind.stateless:
					require.Equal(t, revision, editor.InitializeResult().ProtocolVersion)
				case !modern:
					require.Equal(t, revision, editor.InitializeResult().ProtocolVersion)
				}

				tools, err := editor.ListTools(t.Context(), nil)
				require.NoError(t, err)
				assert.Len(t, tools.Tools, 4)

				var calls sync.WaitGroup
				for i := range 20 {
					calls.Go(func() {
						text := fmt.Sprint("call ", i)
						result, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{text}})
						if assert.NoError(t, err) {
							assert.Equal(t, map[string]any{"text": text}, result.StructuredContent)
						}
					})
				}
				calls.Wait()

				params := &mcp.CallToolParams{Name: "steps", Arguments: nothing{}}
				params.SetProgressToken("p")
				_, err = editor.CallTool(t.Context(), params)
				require.NoError(t, err)
				if kind.name != "stateless, answering in JSON" { // which has no place for more than the answer
					for want := range 3 {
						assert.InDelta(t, want+1, within(t, progress, "progress"), 0)
					}
				}

				if kind.sessions {
					result, err := editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "ask", Arguments: nothing{}})
					require.NoError(t, err)
					assert.Equal(t, map[string]any{"text": "accept this one"}, result.StructuredContent)
				}
				if kind.sessions || modern {
					p.toolsChange(t, changed)

					ctx, cancel := context.WithCancel(t.Context())
					gone := make(chan error, 1)
					go func() {
						_, err := editor.CallTool(ctx, &mcp.CallToolParams{Name: "wait", Arguments: nothing{}})
						gone <- err
					}()
					within(t, p.waiting, "a call at the server")
					cancel()
					require.ErrorIs(t, within(t, gone, "the end of the call"), context.Canceled)
					within(t, p.cancelled, "the cancellation at the server")
				}
				_, err = editor.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: echo{"after all"}})
				require.NoError(t, err)
			})
		}
	}
}

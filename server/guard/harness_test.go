package guard_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// guarded is an MCP server with a guard, and its log.
type guarded struct {
	guard *guard.Guard
	log   *logtest.Buffer
}

func newGuarded(o guard.Options) guarded {
	g := guarded{log: new(logtest.Buffer)}
	o.Client, o.Logger = "acme", cloudlog.New(g.log, slog.LevelInfo, "")
	o.Server = &mcp.ServerOptions{
		CompletionHandler: func(_ context.Context, req *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
			return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{"completes " + req.Params.Argument.Name}}}, nil
		},
	}
	g.guard = guard.New(&mcp.Implementation{Name: "test", Version: "1"}, o)
	return g
}

func (g guarded) add(name string, needs guard.Role, readOnly bool, do func(context.Context) (string, error)) {
	type in struct {
		Text     string `json:"text,omitempty"`
		Password string `json:"password,omitempty"`
	}
	tool := &mcp.Tool{Name: name, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: readOnly}}
	guard.AddTool(g.guard, needs, tool, func(ctx context.Context, _ *mcp.CallToolRequest, _ in) (*mcp.CallToolResult, any, error) {
		text, err := do(ctx)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, err
	})
}

func answering(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return text, nil }
}

// as connects a client whose every request is the caller's.
func (g guarded) as(t testing.TB, caller identity.Caller) *mcp.ClientSession {
	t.Helper()
	session, err := g.connect(t, caller)
	require.NoError(t, err)
	return session
}

func (g guarded) connect(t testing.TB, caller identity.Caller) (*mcp.ClientSession, error) {
	t.Helper()
	inside, outside := mcp.NewInMemoryTransports()
	// In-memory connections have no requests to take a caller from; as on HTTP, the
	// server's context carries it.
	connected, err := g.guard.Connect(identity.NewContext(t.Context(), caller), inside)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connected.Close() })
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(), outside, nil)
	if err == nil {
		t.Cleanup(func() { _ = session.Close() })
	}
	return session, err
}

func person(email string, groups ...string) identity.Caller {
	return identity.Caller{Issuer: "https://login.example.com", Subject: "sub-of-" + email, Email: email, Mode: identity.ModeOIDC, Groups: groups}
}

func call(t *testing.T, session *mcp.ClientSession, tool string, arguments any) *mcp.CallToolResult {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(t, err)
	return result
}

func text(result *mcp.CallToolResult) string {
	var all strings.Builder
	for _, content := range result.Content {
		if c, ok := content.(*mcp.TextContent); ok {
			all.WriteString(c.Text)
		}
	}
	return all.String()
}

// records are the lines of the log with this message.
func (g guarded) records(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(g.log.String()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		if record["message"] == message {
			found = append(found, record)
		}
	}
	return found
}

package guard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func call(tool string) mcp.Request {
	return &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Name: tool, Arguments: json.RawMessage(`{"password":"hunter2"}`)}}
}

func TestEachToolCallLeavesOneRecord(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		tool   string
		result mcp.Result
		err    error
		want   string
	}{
		{"answered", t.Context(), "whoami", &mcp.CallToolResult{}, nil, guard.OutcomeOK},
		{"the tool could not", t.Context(), "whoami", &mcp.CallToolResult{IsError: true}, nil, guard.OutcomeToolError},
		{"failed", t.Context(), "nosuch", nil, errors.New("unknown tool"), guard.OutcomeError},
		{"cancelled", cancelled, "whoami", nil, context.Canceled, guard.OutcomeCancelled},
		{"a name without end", t.Context(), strings.Repeat("x", 1000), nil, errors.New("unknown tool"), guard.OutcomeError},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			next := func(context.Context, string, mcp.Request) (mcp.Result, error) { return c.result, c.err }
			handler := guard.Audit(cloudlog.New(&out, slog.LevelInfo, ""), "acme")(next)

			ctx := identity.NewContext(c.ctx, identity.Caller{Email: "ada@example.com"})
			result, err := handler(ctx, "tools/call", call(c.tool))
			assert.Equal(t, c.result, result)
			assert.Equal(t, c.err, err)

			var record map[string]any
			require.NoError(t, json.Unmarshal(out.Bytes(), &record))
			assert.Equal(t, "tool call", record["message"])
			assert.Equal(t, "ada@example.com", record["caller"])
			assert.Equal(t, "acme", record["client"])
			assert.Equal(t, c.tool[:min(len(c.tool), 128)], record["tool"])
			assert.Equal(t, c.want, record["outcome"])
			assert.GreaterOrEqual(t, record["duration_ms"], 0.0)
			assert.NotContains(t, out.String(), "hunter2")
		})
	}
}

func TestOtherMethodsLeaveNoRecord(t *testing.T) {
	var out bytes.Buffer
	next := func(context.Context, string, mcp.Request) (mcp.Result, error) { return nil, nil }
	_, err := guard.Audit(cloudlog.New(&out, slog.LevelInfo, ""), "acme")(next)(t.Context(), "tools/list", nil)
	require.NoError(t, err)
	assert.Empty(t, out.String())
}

func TestAPanicFailsItsCallAlone(t *testing.T) {
	var out bytes.Buffer
	next := func(context.Context, string, mcp.Request) (mcp.Result, error) { panic("secret detail") }
	result, err := guard.Recover(cloudlog.New(&out, slog.LevelInfo, ""))(next)(t.Context(), "tools/call", call("whoami"))
	require.ErrorContains(t, err, "internal error")
	assert.NotContains(t, err.Error(), "secret detail", "what broke is the operator's to know")
	assert.Nil(t, result)
	assert.Contains(t, out.String(), "secret detail")
	assert.Contains(t, out.String(), "guard_test.go", "where it broke")
}

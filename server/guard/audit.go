// Package guard stands between the protocol and the tools: what it does holds
// for every tool, whatever the tool does.
//
// It must not know any tool, nor how a caller came to be known.
package guard

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const methodCallTool = "tools/call"

// maxName bounds, in bytes, what a record holds of a tool's name: it comes
// from the caller, and need not be one of ours.
const maxName = 128

// Outcomes of a tool call, as [Audit] records them.
const (
	OutcomeOK        = "ok"
	OutcomeToolError = "tool_error" // the tool answered that it could not do it
	OutcomeError     = "error"      // the call failed: no such tool, for one
	OutcomeCancelled = "cancelled"  // the caller gave up
)

// Audit writes one record for each tool call, after it: caller, client, tool,
// outcome, duration in milliseconds, and through the logger the trace.
// Arguments and results are not in it.
func Audit(logger *slog.Logger, client string) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method != methodCallTool {
				return next(ctx, method, req)
			}
			start := time.Now()
			result, err := next(ctx, method, req)
			caller, _ := identity.FromContext(ctx)
			logger.InfoContext(ctx, "tool call",
				"caller", caller.Email,
				"client", client,
				"tool", toolName(req),
				"outcome", outcome(ctx, result, err),
				"duration_ms", float64(time.Since(start).Microseconds())/1000)
			return result, err
		}
	}
}

func toolName(req mcp.Request) string {
	params, ok := req.GetParams().(*mcp.CallToolParamsRaw)
	if !ok || params == nil {
		return ""
	}
	return params.Name[:min(len(params.Name), maxName)]
}

func outcome(ctx context.Context, result mcp.Result, err error) string {
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return OutcomeCancelled
	}
	if err != nil {
		return OutcomeError
	}
	if r, ok := result.(*mcp.CallToolResult); ok && r.IsError {
		return OutcomeToolError
	}
	return OutcomeOK
}

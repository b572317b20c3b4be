package guard

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Outcomes of a call, as its [Record] says.
const (
	OutcomeOK        = "ok"
	OutcomeToolError = "tool_error" // the tool answered that it could not do it
	OutcomeError     = "error"      // the call failed: no such tool, for one
	OutcomeCancelled = "cancelled"  // the caller gave up
	OutcomeRefused   = "refused"    // the caller may not, or not now
	OutcomeTimeout   = "timeout"    // it took longer than it may
)

// Record is what is kept of a call.
type Record struct {
	// Kind is "tool call", "resource read" or "prompt get"; Name is the tool's
	// or the prompt's name, or the resource's URI.
	Kind, Name string
	// Method is the protocol's, and Tool the name of a tool that there is, or empty:
	// unlike Name, there are only so many of both.
	Method, Tool string
	// Arguments are those of the call, without secrets and cut; see [Redact].
	Arguments any
	// Caller is for whom the call was made, and Via through whose door.
	Caller, Via string
	Role        Role
	Outcome     string
	Reason      string // why it was refused
	Duration    time.Duration
}

type recordKey struct{}

// recordFrom is the record that is being made of the request; nil if none is.
func recordFrom(ctx context.Context) *Record {
	record, _ := ctx.Value(recordKey{}).(*Record)
	return record
}

// audit writes one record for each call, after it, and through the logger the
// trace that it is part of. It stands outside of everything that may refuse,
// fail or panic.
func audit(o Options) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			record := newRecord(method, req)
			if record == nil {
				return next(ctx, method, req)
			}
			record.Method = method
			caller, _ := identity.FromContext(ctx)
			record.Caller, record.Via = caller.Email, caller.Via

			start := time.Now()
			result, err := next(context.WithValue(ctx, recordKey{}, record), method, req)
			record.Duration = time.Since(start)
			if record.Outcome == "" {
				record.Outcome = outcome(ctx, result, err)
			}
			record.log(ctx, o)
			if o.Observe != nil {
				o.Observe(ctx, *record)
			}
			return result, err
		}
	}
}

// newRecord begins the record of a call; nil for a request that is none.
func newRecord(method string, req mcp.Request) *Record {
	switch method {
	case methodCallTool:
		record := &Record{Kind: "tool call", Name: cleaned(toolName(req))}
		if params, ok := req.GetParams().(*mcp.CallToolParamsRaw); ok && params != nil {
			record.Arguments = Redact(params.Arguments)
		}
		return record
	case "resources/read":
		record := &Record{Kind: "resource read"}
		if params, ok := req.GetParams().(*mcp.ReadResourceParams); ok && params != nil {
			record.Name = cleaned(params.URI)
		}
		return record
	case "prompts/get":
		record := &Record{Kind: "prompt get"}
		if params, ok := req.GetParams().(*mcp.GetPromptParams); ok && params != nil {
			record.Name = cleaned(params.Name)
			if raw, err := json.Marshal(params.Arguments); err == nil {
				record.Arguments = Redact(raw)
			}
		}
		return record
	}
	return nil
}

// fieldOf is what a kind's name is called in its record.
var fieldOf = map[string]string{"tool call": "tool", "resource read": "resource", "prompt get": "prompt"}

func (r *Record) log(ctx context.Context, o Options) {
	attrs := []slog.Attr{
		slog.String("caller", r.Caller),
		slog.String("client", o.Client),
		slog.String(fieldOf[r.Kind], r.Name),
		slog.String("role", r.Role.String()),
		slog.String("outcome", r.Outcome),
		slog.Float64("duration_ms", float64(r.Duration.Microseconds())/1000),
	}
	if r.Via != "" {
		attrs = append(attrs, slog.String("via", r.Via))
	}
	if r.Arguments != nil {
		attrs = append(attrs, slog.Any("arguments", r.Arguments))
	}
	level := slog.LevelInfo
	if r.Outcome == OutcomeRefused {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("reason", r.Reason))
	}
	o.Logger.LogAttrs(ctx, level, r.Kind, attrs...)
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

package guard

import (
	"cmp"
	"context"
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

// Record is what is kept of a request.
type Record struct {
	// Kind is "tool call", "resource read", "prompt get" or "subscription", or
	// "request" for all else, and "stream" for one of [Guard.OpenStream]. Name is
	// the tool's or the prompt's name, or the resource's URI.
	Kind, Name string
	// Method is the protocol's, and Tool the name of a tool that there is, or empty:
	// unlike Name, there are only so many of both.
	Method, Tool string
	// Arguments are those of the call, without secrets and cut; see [Redact].
	Arguments any
	// Issuer and Subject are for whom the call was made, Caller is their address, and
	// Via through whose door it came.
	Issuer, Subject, Caller, Via string

	Role     Role
	Outcome  string
	Reason   string // why it was refused
	Duration time.Duration

	field string // what Name is called in the log
}

type recordKey struct{}

// recordFrom is the record that is being made of the request; nil if none is.
func recordFrom(ctx context.Context) *Record {
	record, _ := ctx.Value(recordKey{}).(*Record)
	return record
}

// audit writes one record for each call, and for each other request that is refused,
// after it, and through the logger the trace that it is part of. It stands outside
// of everything that may refuse, fail or panic.
func audit(o Options) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, name string, req mcp.Request) (mcp.Result, error) {
			known := methods[name]
			record := newRecord(ctx, cmp.Or(known.kind, "request"))
			record.Method = name
			if known.about != nil {
				known.about(record, req.GetParams())
			}
			start := time.Now()
			result, err := next(context.WithValue(ctx, recordKey{}, record), name, req)
			record.Duration = time.Since(start)
			if record.Outcome == "" {
				record.Outcome = outcome(ctx, result, err)
			}
			if known.kind != "" || record.Outcome == OutcomeRefused {
				record.log(ctx, o)
			}
			if o.Observe != nil {
				o.Observe(ctx, *record)
			}
			return result, err
		}
	}
}

// newRecord begins a record of what the caller in the context asks for.
func newRecord(ctx context.Context, kind string) *Record {
	caller, _ := identity.FromContext(ctx)
	return &Record{Kind: kind, Issuer: caller.Issuer, Subject: caller.Subject, Caller: caller.Email, Via: caller.Via}
}

func (r *Record) log(ctx context.Context, o Options) {
	attrs := []slog.Attr{
		slog.String("caller", r.Caller),
		slog.String("issuer", r.Issuer),
		slog.String("subject", r.Subject),
		slog.String("client", o.Client),
		slog.String("method", r.Method),
		slog.String("role", r.Role.String()),
		slog.String("outcome", r.Outcome),
		slog.Float64("duration_ms", float64(r.Duration.Microseconds())/1000),
	}
	if r.field != "" {
		attrs = append(attrs, slog.String(r.field, r.Name))
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
	if _, ended := result.(*mcp.SubscriptionsListenResult); ended && err == nil {
		return OutcomeOK // a subscription has no other end
	}
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

// Package cloudlog writes slog records as the JSON lines that Cloud Logging
// understands: severity, message, and the trace that a record belongs to.
//
// It must not know what the records are about.
package cloudlog

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// New returns a logger that writes one JSON object per line to w, for records
// at level and above. Records logged with a context that [WithTrace] has
// passed carry its trace. project is the Google Cloud project that traces are
// kept in; without it a trace is written as its bare id.
//
// The field names are those of
// https://cloud.google.com/logging/docs/structured-logging.
func New(w io.Writer, level slog.Leveler, project string) *slog.Logger {
	return slog.New(handler{
		// JSON escapes some control characters; a terminal would obey the others.
		Handler: slog.NewJSONHandler(plaintext.NewWriter(w), &slog.HandlerOptions{Level: level, ReplaceAttr: rename}),
		project: project,
	})
}

func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		level, _ := a.Value.Any().(slog.Level)
		return slog.String("severity", severity(level))
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

func severity(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "ERROR"
	case level >= slog.LevelWarn:
		return "WARNING"
	case level >= slog.LevelInfo:
		return "INFO"
	default:
		return "DEBUG"
	}
}

// AtLeast returns a logger that drops what l would write below level; for
// libraries whose information is this server's noise.
func AtLeast(l *slog.Logger, level slog.Level) *slog.Logger {
	return slog.New(atLeast{Handler: l.Handler(), level: level})
}

type handler struct {
	slog.Handler
	project string
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	id := TraceID(ctx)
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		id = span.TraceID().String()
		r = r.Clone()
		r.AddAttrs(
			slog.String("logging.googleapis.com/spanId", span.SpanID().String()),
			slog.Bool("logging.googleapis.com/trace_sampled", span.IsSampled()))
	}
	if id != "" {
		if h.project != "" {
			id = "projects/" + h.project + "/traces/" + id
		}
		r = r.Clone()
		r.AddAttrs(slog.String("logging.googleapis.com/trace", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

func (h atLeast) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

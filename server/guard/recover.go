package guard

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// recoverPanics turns a panic below it into an error of that one call. Handlers run
// on goroutines of their own, where a panic would end the process and with it
// everyone else's calls.
func recoverPanics(logger *slog.Logger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
			defer func() {
				if p := recover(); p != nil {
					logger.ErrorContext(ctx, "a handler panicked",
						"method", method, "panic", p, "stack_trace", string(debug.Stack()))
					result, err = nil, errors.New("internal error: the operator can find the cause in the server's log")
				}
			}()
			return next(ctx, method, req)
		}
	}
}

package endpoint

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
)

type sessionlessKey struct{}

// withoutSession marks requests of the stateless transport.
func withoutSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionlessKey{}, true)))
	})
}

// honestCapabilities takes subscriptions out of what is offered where they could
// not be kept: before 2026-07-28 they belong to a session, and the stateless
// transport has none.
func honestCapabilities(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		initialized, ok := result.(*mcp.InitializeResult)
		if sessionless, _ := ctx.Value(sessionlessKey{}).(bool); !ok || err != nil || !sessionless {
			return result, err
		}
		if initialized.Capabilities != nil && initialized.Capabilities.Resources != nil {
			initialized.Capabilities.Resources.Subscribe = false
		}
		return initialized, nil
	}
}

// endListening ends subscriptions when the process stops, which they would
// otherwise outlast.
func endListening(stopping context.Context) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if method != guard.MethodListen {
				return next(ctx, method, req)
			}
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			return next(ctx, method, req)
		}
	}
}

package endpoint

import (
	"context"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
)

const methodSubscribe = "resources/subscribe"

type sessionlessKey struct{}

// withoutSession marks requests of the stateless transport.
func withoutSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionlessKey{}, true)))
	})
}

func sessionless(ctx context.Context) bool {
	is, _ := ctx.Value(sessionlessKey{}).(bool)
	return is
}

// honestCapabilities takes subscriptions out of what is offered where they could
// not be kept: before 2026-07-28 they belong to a session, and the stateless
// transport has none.
func honestCapabilities(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method == methodSubscribe && sessionless(ctx) {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
				Message: "there are no sessions here that could keep a subscription: use subscriptions/listen (2026-07-28), or /sse"}
		}
		result, err := next(ctx, method, req)
		initialized, ok := result.(*mcp.InitializeResult)
		if !ok || err != nil || !sessionless(ctx) {
			return result, err
		}
		if initialized.Capabilities != nil && initialized.Capabilities.Resources != nil {
			initialized.Capabilities.Resources.Subscribe = false
		}
		return initialized, nil
	}
}

// listenUntil ends each subscriptions/listen when the process stops, which it would
// otherwise outlast.
func listenUntil(stopping context.Context) mcp.Middleware {
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

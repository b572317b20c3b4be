package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

const (
	methodSubscribe = "resources/subscribe"
	methodUpdated   = "notifications/resources/updated"

	// maxSubscriptions is how many resources one subscriptions/listen may name: each
	// is looked up before the first answer, and again when it changes.
	maxSubscriptions = 100
)

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

// subscriptions are who wants to know of changes to what. Everyone is told when
// something is another than it was as they see it, so also when it is gone for them,
// and of nothing else: not of what happens to it when they may see it no longer, nor
// of what somebody else alone can see.
type subscriptions struct {
	version func(ctx context.Context, uri string) (string, error)

	mu sync.Mutex
	of map[*mcp.ServerSession]map[string]*subscription // by URI
}

// subscription is of one resource.
type subscription struct {
	caller identity.Caller
	role   guard.Role

	mu   sync.Mutex
	told string // the version that the caller knows of
}

func newSubscriptions(version func(context.Context, string) (string, error)) *subscriptions {
	return &subscriptions{version: version, of: make(map[*mcp.ServerSession]map[string]*subscription)}
}

// begin is for [mcp.ServerOptions.SubscribeHandler].
func (s *subscriptions) begin(ctx context.Context, req *mcp.SubscribeRequest) error {
	version, err := s.version(ctx, req.Params.URI)
	if err != nil {
		return err
	}
	if version == "" {
		return mcp.ResourceNotFoundError(req.Params.URI)
	}
	caller, _ := identity.FromContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[req.Session] == nil {
		s.of[req.Session] = make(map[string]*subscription)
	}
	s.of[req.Session][req.Params.URI] = &subscription{caller: caller, role: guard.RoleFrom(ctx), told: version}
	return nil
}

// end is for [mcp.ServerOptions.UnsubscribeHandler].
func (s *subscriptions) end(_ context.Context, req *mcp.UnsubscribeRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of[req.Session], req.Params.URI)
	return nil
}

// forget ends all subscriptions of a session.
func (s *subscriptions) forget(session *mcp.ServerSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, session)
}

func (s *subscriptions) find(session *mcp.ServerSession, uri string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[session][uri]
}

// trim lets through to a subscriber what is news to them.
func (s *subscriptions) trim(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		params, ok := req.GetParams().(*mcp.ResourceUpdatedNotificationParams)
		if method != methodUpdated || !ok {
			return next(ctx, method, req)
		}
		session, _ := req.GetSession().(*mcp.ServerSession)
		of := s.find(session, params.URI)
		if of == nil {
			return nil, nil
		}
		of.mu.Lock()
		defer of.mu.Unlock()
		now, err := s.version(guard.NewContext(identity.NewContext(ctx, of.caller), of.role), params.URI)
		if err != nil || now == of.told {
			return nil, err
		}
		of.told = now
		return next(ctx, method, req)
	}
}

// listening bounds what one subscriptions/listen asks for, and ends it when the
// process stops, which it would otherwise outlast.
func (s *subscriptions) listening(stopping context.Context) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			params, ok := req.GetParams().(*mcp.SubscriptionsListenParams)
			if method != guard.MethodListen || !ok {
				return next(ctx, method, req)
			}
			if params != nil && params.Notifications != nil && len(params.Notifications.ResourceSubscriptions) > maxSubscriptions {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf(
					"notifications.resourceSubscriptions: it names %d resources, and %d are the most: subscribe to a list of them instead",
					len(params.Notifications.ResourceSubscriptions), maxSubscriptions)}
			}
			if session, ok := req.GetSession().(*mcp.ServerSession); ok {
				defer s.forget(session)
			}
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			return next(ctx, method, req)
		}
	}
}

package guard

import (
	"context"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/identity"
)

const methodUpdated = "notifications/resources/updated"

// subscriptions are who wants to know of changes to what. Everyone is told when
// something is another than it was as they see it, so also when it is gone for them,
// and of nothing else: not of what happens to it when they may see it no longer, nor
// of what somebody else alone can see.
type subscriptions struct {
	guard   *Guard
	version func(ctx context.Context, uri string) (string, error)

	mu sync.Mutex
	of map[*mcp.ServerSession]map[string]*subscription // by URI
}

// subscription is of one resource.
type subscription struct {
	caller identity.Caller

	mu   sync.Mutex
	told string // the version that the caller knows of
}

func newSubscriptions(g *Guard, version func(context.Context, string) (string, error)) *subscriptions {
	return &subscriptions{guard: g, version: version, of: make(map[*mcp.ServerSession]map[string]*subscription)}
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
		go s.forget(req.Session)
	}
	s.of[req.Session][req.Params.URI] = &subscription{caller: caller, told: version}
	return nil
}

// end is for [mcp.ServerOptions.UnsubscribeHandler].
func (s *subscriptions) end(_ context.Context, req *mcp.UnsubscribeRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of[req.Session], req.Params.URI)
	return nil
}

// forget ends all subscriptions of a session when the session ends.
func (s *subscriptions) forget(session *mcp.ServerSession) {
	_ = session.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, session)
}

func (s *subscriptions) find(session *mcp.ServerSession, uri string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[session][uri]
}

// trim lets through to a subscriber what is news to them. What they may see is decided
// anew each time: their role may be another than it was when they subscribed.
func (s *subscriptions) trim(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if method != methodUpdated {
			return next(ctx, method, req)
		}
		params, _ := req.GetParams().(*mcp.ResourceUpdatedNotificationParams)
		session, _ := req.GetSession().(*mcp.ServerSession)
		if params == nil || session == nil {
			return nil, nil
		}
		of := s.find(session, params.URI)
		if of == nil {
			return nil, nil
		}
		role := s.guard.access.role(of.caller)
		if !s.guard.mayRead(params.URI, role) {
			return nil, nil
		}
		of.mu.Lock()
		defer of.mu.Unlock()
		now, err := s.version(NewContext(identity.NewContext(ctx, of.caller), role), params.URI)
		if err != nil || now == of.told {
			return nil, err
		}
		of.told = now
		return next(ctx, method, req)
	}
}

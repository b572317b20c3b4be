package bridge

import (
	"context"
	"errors"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/berth-mcp/berth/proxy/relay"
)

// A call is a request of the editor, or of the bridge itself, that waits for its response.
type call struct {
	message
	ctx    context.Context
	cancel context.CancelFunc
	sent   chan struct{} // closed when the request has been sent
	isSent func()
	done   chan struct{} // closed when it has been answered, or needs no answer any more
	own    *message      // of a call of the bridge's own: the response, once it is done
}

// call starts a call. Calls are under way at once; only initialize is waited for, as all
// later messages depend on it.
func (s *Session) call(m message) {
	c, problem := s.begin(m)
	if problem != nil {
		s.toEditor(errorReply(m.id, problem.Code, problem.Message))
		return
	}
	s.inOrder(func() {
		s.start(func() { s.carryOut(c) })
		if m.method == methodInitialize {
			select {
			case <-c.done:
			case <-s.ctx.Done():
			}
		}
	})
}

func (s *Session) begin(m message) (*call, *relay.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[m.id] != nil {
		return nil, &relay.Fault{Code: jsonrpc.CodeInvalidRequest, Message: "a call with this id is under way: give each call an id of its own"}
	}
	if len(s.calls) >= maxCalls {
		return nil, busy(s.client)
	}
	c := newCall(s.ctx, m)
	s.calls[m.id] = c
	return c, nil
}

func newCall(ctx context.Context, m message) *call {
	c := &call{message: m, sent: make(chan struct{}), done: make(chan struct{})}
	c.isSent = sync.OnceFunc(func() { close(c.sent) })
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// carryOut sees a call through until it has been answered.
func (s *Session) carryOut(c *call) {
	defer c.cancel()
	if !s.isPending(c) {
		return
	}
	err := s.exchange(c)
	if s.ctx.Err() == nil {
		s.conclude(c, err)
	}
}

// conclude answers a call that has come to its end without an answer of the server.
func (s *Session) conclude(c *call, err error) {
	if !s.take(c) {
		return
	}
	defer close(c.done)
	var refused *refusal
	var fault *relay.Fault
	switch {
	case errors.As(err, &refused) && refused.rpc != nil:
		s.answer(c, errorReplyRaw(c.id, refused.rpc))
	case errors.Is(err, errStreamEnded) && c.method == methodListen:
		// As a server over stdio says it. The editor may subscribe again.
		s.answer(c, request(jsonrpc.ID{}, methodCancelled, cancelParams(c.id, "the server has ended the subscription")).raw)
	case errors.As(err, &fault):
		s.log.Warn(fault.Message, "code", fault.Code)
		s.answer(c, errorReply(c.id, fault.Code, fault.Message))
	default:
		f := broken(s.client, err)
		s.log.Warn(f.Message, "code", f.Code)
		s.answer(c, errorReply(c.id, f.Code, f.Message))
	}
}

// take makes the caller the one to answer a call.
func (s *Session) take(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[c.id] != c {
		return false
	}
	delete(s.calls, c.id)
	return true
}

func (s *Session) isPending(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[c.id] == c
}

func (s *Session) pending(id jsonrpc.ID) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

// answer gives a taken call its response.
func (s *Session) answer(c *call, raw []byte) {
	if c.own == nil {
		s.toEditor(raw)
		return
	}
	if response, err := parse(raw); err == nil {
		*c.own = response
	}
}

// cancelled has a call of the editor's end without an answer. Until 2025-11-25 the server
// is told by a notification, and not by the end of the stream, which may be an accident;
// from then on by that alone.
func (s *Session) cancelled(m message) {
	c := s.pending(m.cancels)
	if c == nil || c.own != nil || c.method == methodInitialize || !s.take(c) {
		return
	}
	close(c.done)
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	if up.link == nil && c.isStateless() {
		c.cancel()
		return
	}
	s.start(func() {
		defer c.cancel()
		select {
		case <-c.sent:
		case <-c.ctx.Done():
		}
		select {
		case <-c.sent:
			s.post(up, m)
		default: // nor will it be
		}
	})
}

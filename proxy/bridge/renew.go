package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/berth-mcp/berth/proxy/relay"
)

// renewTimeout bounds the beginning of another session. A cold start takes seconds.
const renewTimeout = time.Minute

// An opening is the handshake that the editor made.
type opening struct {
	params   json.RawMessage // of initialize
	revision string          // that the server chose
}

// settings are what the editor has set in the session beside its opening: what the protocol
// itself has of state.
type settings struct {
	level         json.RawMessage            // params of logging/setLevel
	subscriptions map[string]json.RawMessage // params of resources/subscribe, by URI
}

// note remembers a call that the server has carried out.
func (s *settings) note(m message) {
	switch m.method {
	case methodSetLevel:
		s.level = m.params
	case methodSubscribe:
		if s.subscriptions == nil {
			s.subscriptions = map[string]json.RawMessage{}
		}
		if len(s.subscriptions) < maxSubscriptions {
			s.subscriptions[m.name] = m.params
		}
	case methodUnsubscribe:
		delete(s.subscriptions, m.name)
	}
}

func (s *settings) calls() []message {
	var calls []message
	if s.level != nil {
		calls = append(calls, message{method: methodSetLevel, params: s.level})
	}
	for _, params := range s.subscriptions {
		calls = append(calls, message{method: methodSubscribe, params: params})
	}
	return calls
}

func (s *Session) current() *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up
}

func (s *Session) use(up *upstream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = up
}

// beginAnew gives a second initialize of the editor a session of its own.
func (s *Session) beginAnew(old *upstream) *upstream {
	if old.link != nil {
		return old // the server has to say what it makes of that
	}
	up := s.newUpstream(old.target, "/mcp")
	s.use(up)
	s.start(func() { s.farewell(old) })
	return up
}

// renew begins another session with a server that does not know the old one any more, as
// the editor began that. Servers lose sessions when they restart or their platform moves
// them, and the specification has clients do the same on a 404; but an editor over stdio
// would not hear of it. What the protocol itself has of state is set again. What a tool may
// have remembered in the session is gone, as it would be for any client.
//
// If the session may follow its client to another server, it is begun there in the same way.
//
// It is not done if the server would speak another revision than the editor has agreed on.
func (s *Session) renew(old *upstream) (*upstream, error) {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	s.mu.Lock()
	up, opening, again := s.up, s.opening, s.settings.calls()
	s.mu.Unlock()
	if up != old {
		return up, nil // another call was first
	}
	to := s.successor(old.target)
	if to.Same(old.target) {
		s.log.Warn("the server has lost the session; beginning another")
	} else {
		s.log.Warn("the client has another server; beginning a session with that", "url", to.URL())
		s.tools.forget()
		s.met.Store(false)
	}
	ctx, cancel := context.WithTimeout(s.ctx, renewTimeout)
	defer cancel()
	old.end()
	s.forgetAsked()

	for attempt := 1; ; attempt++ {
		up, err := s.beginLike(ctx, old, to, opening, again)
		var refused *refusal
		switch {
		case err == nil:
			s.use(up)
			s.stand(up)
			return up, nil
		case errors.As(err, &refused) && refused.status == http.StatusNotFound && attempt < maxAttempts:
			continue // another instance was asked than the one that had just begun it
		}
		var fault *relay.Fault
		if errors.As(err, &fault) && (fault.Code == CodeLost || fault.NotServed()) {
			return nil, fault
		}
		return nil, lost(old.target, to, "does not begin another (%v)", err)
	}
}

// successor is the target with which a session goes on.
func (s *Session) successor(old relay.Target) relay.Target {
	if s.follows {
		if now, served := s.sender.Target(s.client); served {
			return now
		}
	}
	return old
}

// beginLike begins a session with a target as an older one was begun.
func (s *Session) beginLike(ctx context.Context, old *upstream, to relay.Target, o *opening, again []message) (*upstream, error) {
	if old.link != nil && to.Same(old.target) {
		return s.beginOlder(ctx, old, to, o, again)
	}
	up := s.newUpstream(to, "/mcp")
	if o == nil {
		return up, nil
	}
	begun, err := s.repeat(ctx, old, up, o, again)
	if err == nil {
		return begun, nil
	}
	up.end()
	var refused *refusal
	if errors.As(err, &refused) && s.mayBeOlder(refused) {
		return s.beginOlder(ctx, old, to, o, again)
	}
	return nil, err
}

// beginOlder is beginLike with the 2024-11-05 transport.
func (s *Session) beginOlder(ctx context.Context, old *upstream, to relay.Target, o *opening, again []message) (*upstream, error) {
	up, err := s.openLink(ctx, to)
	if err != nil || o == nil {
		return up, err
	}
	begun, err := s.repeat(ctx, old, up, o, again)
	if err != nil {
		up.end()
	}
	return begun, err
}

// repeat makes the editor's handshake with a new session, after an old one.
func (s *Session) repeat(ctx context.Context, old, up *upstream, o *opening, again []message) (*upstream, error) {
	up, answer, err := s.ask(ctx, up, methodInitialize, o.params)
	switch {
	case err != nil:
		return nil, err
	case answer.failed:
		return nil, lost(old.target, up.target, "refuses to begin another")
	}
	if now := revisionOf(answer.result); now != o.revision {
		return nil, lost(old.target, up.target, "now speaks the revision %q instead of %q", now, o.revision)
	}
	up = up.with(func(up *upstream) { up.revision = o.revision })
	resp, err := s.sendTo(ctx, up, request(jsonrpc.ID{}, methodInitialized, nil))
	if err != nil {
		return nil, err
	}
	drop(resp)
	for _, m := range again {
		if _, answer, err := s.ask(ctx, up, m.method, m.params); err != nil || answer.failed {
			s.log.Warn("the new session lacks what the old one had", "method", m.method)
		}
	}
	return up, nil
}

// forgetAsked withdraws the questions of a session that is gone.
func (s *Session) forgetAsked() {
	s.mu.Lock()
	asked := s.asked
	s.asked = map[jsonrpc.ID]*upstream{}
	s.mu.Unlock()
	for id := range asked {
		s.toEditor(request(jsonrpc.ID{}, methodCancelled, cancelParams(id, "the server has lost the session")).raw)
	}
}

// ask makes a call of the bridge's own. After an initialize, the upstream that it returns is
// the session that has begun.
func (s *Session) ask(ctx context.Context, up *upstream, method string, params json.RawMessage) (*upstream, message, error) {
	s.mu.Lock()
	s.ids++
	id, err := jsonrpc.MakeID(fmt.Sprintf("berth-proxy-%d", s.ids))
	if err != nil {
		panic(err) // a string
	}
	c := newCall(ctx, request(id, method, params))
	c.own = &message{}
	s.calls[id] = c
	s.mu.Unlock()
	defer c.cancel()
	defer s.take(c)

	resp, err := s.sendTo(c.ctx, up, c.message)
	if err != nil {
		return nil, message{}, err
	}
	if method == methodInitialize {
		up = up.with(func(up *upstream) { up.sessionID = resp.Header.Get(sessionHeader) })
	}
	err = s.follow(c, up, resp)
	if s.isPending(c) {
		return nil, message{}, err
	}
	<-c.done
	return up, *c.own, nil
}

// learnTools reads the server's list of tools for a call that it refused for lack of
// headers: the editor may have the list from elsewhere. It reports whether there are
// headers to send now, or a limit to tell of.
func (s *Session) learnTools(c *call) bool {
	var own struct {
		Meta json.RawMessage `json:"_meta"`
	}
	_ = json.Unmarshal(c.params, &own) // it has named a revision, so that there is one
	up, cursor, size := s.current(), "", 0
	for page := 0; page == 0 || cursor != ""; page++ {
		if page == maxToolPages || size > maxMessage || len(cursor) > maxCursor {
			s.tools.exceeded(fmt.Errorf("its list of tools has more than %d pages, more than %d MiB or a cursor of more than %d bytes", maxToolPages, maxMessage>>20, maxCursor))
			break
		}
		params, err := json.Marshal(struct {
			Meta   json.RawMessage `json:"_meta,omitempty"`
			Cursor string          `json:"cursor,omitempty"`
		}{own.Meta, cursor})
		if err != nil {
			return false
		}
		_, answer, err := s.ask(c.ctx, up, methodListTools, params)
		if err != nil || answer.failed {
			return false
		}
		size += len(answer.result)
		cursor = s.tools.learn(answer.result)
	}
	h := http.Header{}
	err := s.tools.setHeaders(h, c.message)
	return err != nil || len(h) > 0
}

// farewell ends what a session has with the server.
func (s *Session) farewell(up *upstream) {
	up.end()
	if up.sessionID == "" || up.link != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewellTimeout)
	defer cancel()
	resp, err := s.exchangeHTTP(ctx, http.MethodDelete, up, s.headerFor(up), nil)
	if err == nil {
		_ = resp.Body.Close() // whatever it says: the session is left
	}
}

// tryOlder looks for the 2024-11-05 transport.
func (s *Session) tryOlder(refused *upstream) (up *upstream, found bool) {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	if up := s.current(); up != refused {
		return up, true
	}
	ctx, cancel := context.WithTimeout(s.ctx, renewTimeout)
	defer cancel()
	up, err := s.openLink(ctx, refused.target)
	if err != nil {
		s.log.Debug("the server does not speak the older transport either", "error", err)
		return nil, false
	}
	s.log.Debug("the server speaks the older transport")
	s.met.Store(true)
	s.use(up)
	return up, true
}

// errLinkGone says that the stream of the 2024-11-05 transport has ended, and its session
// with it.
var errLinkGone = errors.New("the event stream has ended")

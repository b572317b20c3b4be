package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"mime"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// receive takes a message of the server, or a batch of them, from an answer to a call or
// from a standing stream, of which c is nil.
func (s *Session) receive(up *upstream, data []byte, c *call) {
	batch, err := split(data)
	if err != nil {
		s.warn("the server sent what is not a message", "error", err)
		return
	}
	for _, one := range batch {
		m, err := parse(one)
		switch {
		case err != nil:
			s.receiveOdd(one, c, err)
		case isLong(m.id) || isLong(m.cancels):
			s.warn("left out a message of the server with an id that is too long", "limit", maxID)
		case m.isResponse():
			s.answered(up, m)
		case m.isCall():
			s.question(up, m, c)
		default:
			if m.method == methodCancelled {
				s.mu.Lock()
				delete(s.asked, m.cancels)
				s.mu.Unlock()
			}
			s.toEditor(m.raw)
		}
	}
}

// receiveOdd takes what is no message by the book. An error without an id, which servers
// give for requests that they could not read, is the answer to the call that it comes for.
func (s *Session) receiveOdd(raw []byte, c *call, err error) {
	var answer struct {
		ID any `json:"id"`
	}
	rpc, code := errorIn(raw)
	if c == nil || rpc == nil || json.Unmarshal(raw, &answer) != nil || answer.ID != nil {
		s.warn("the server sent what is not a message", "error", err)
		return
	}
	s.conclude(c, &refusal{rpc: rpc, code: code})
}

// answered gives a response to whoever waits for it.
func (s *Session) answered(up *upstream, m message) {
	c := s.pending(m.id)
	if c == nil || !s.take(c) {
		s.log.Debug("left out an answer to what was not asked, or is answered")
		return
	}
	defer close(c.done)
	if c.own == nil && !m.failed {
		s.learn(up, c, m.result)
	}
	s.answer(c, m.raw)
}

// learn takes what the bridge has to know from the answer to a call of the editor, before
// the editor can build on it.
func (s *Session) learn(up *upstream, c *call, result json.RawMessage) {
	switch {
	case c.method == methodInitialize:
		revision := revisionOf(result)
		s.use(up.with(func(up *upstream) { up.revision = revision }))
		s.mu.Lock()
		s.opening = &opening{params: c.params, revision: revision}
		s.mu.Unlock()
	case c.method == methodListTools && c.isStateless():
		s.tools.learn(result)
	default:
		s.mu.Lock()
		s.settings.note(c.message)
		s.mu.Unlock()
	}
}

func revisionOf(initialized json.RawMessage) string {
	var result struct {
		Revision string `json:"protocolVersion"`
	}
	_ = json.Unmarshal(initialized, &result) // an answer without one is for the editor to refuse
	if len(result.Revision) > maxRevision || !fieldName.MatchString(result.Revision) {
		return "" // as one that could be no header
	}
	return result.Revision
}

// question passes a request of the server on, if there is an editor to answer it. A server
// that is not served any more can get no answer, and its call has no end then.
func (s *Session) question(up *upstream, m message, c *call) {
	if now, served := s.sender.Target(s.client); !served || !now.Same(up.target) {
		s.log.Debug("left out a request of a server that is not served any more")
		if c != nil {
			s.conclude(c, broken(s.client, errNotServed))
		}
		return
	}
	s.mu.Lock()
	refuse := s.draining || len(s.asked) >= maxAsked
	if !refuse {
		s.asked[m.id] = up
	}
	s.mu.Unlock()
	if refuse {
		s.refuse(up, m)
		return
	}
	s.toEditor(m.raw)
}

// refuse tells the server that the editor will not answer. A server that asks faster than
// it takes that gets no answer at all.
func (s *Session) refuse(up *upstream, m message) {
	select {
	case s.refusing <- struct{}{}:
		s.start(func() {
			defer func() { <-s.refusing }()
			s.post(up, noReply(m.id))
		})
	default:
		s.warn("left out a request of the server, which has too many", "limit", maxAsked)
	}
}

// refuseAsked tells the server that the editor will not answer, or calls that depend on it
// would never end.
func (s *Session) refuseAsked() {
	s.mu.Lock()
	asked := s.asked
	s.asked = map[jsonrpc.ID]*upstream{}
	s.mu.Unlock()
	for id, up := range asked {
		s.start(func() { s.post(up, noReply(id)) })
	}
}

func noReply(id jsonrpc.ID) message {
	return message{raw: errorReply(id, codeServerDrop, "the client has gone, or has too much to answer"), id: id}
}

func cancelParams(id jsonrpc.ID, reason string) json.RawMessage {
	params, err := json.Marshal(map[string]any{"requestId": id.Raw(), "reason": reason})
	if err != nil {
		panic(err) // a string or a number, and a string
	}
	return params
}

// stand opens the stream on which a server with sessions sends what belongs to no call, and
// opens it again when it ends. A server without sessions cannot know whom to send to, and
// one without such a stream answers 405.
func (s *Session) stand(up *upstream) {
	if up.sessionID == "" || up.link != nil {
		return
	}
	s.start(func() {
		var p progress
		for ; pause(up.ctx, p.last.retry, p.early) == nil; p.early++ {
			opened := time.Now()
			resp, err := s.openStream(up.ctx, up, p.last.id)
			switch {
			case s.mayFollow(err):
				if _, err := s.renew(up); err != nil { // which opens one there
					s.log.Warn("no session with the other server yet", "error", err)
				}
				return
			case isFinal(err):
				s.log.Debug("no standing stream", "error", err)
				return
			case err == nil:
				_ = s.readStream(up, resp, nil, &p) // however it ended, the next one follows
			}
			if time.Since(opened) >= steadyAfter {
				p.early = 0
			}
		}
	})
}

// A progress is how far a stream has come, over all its connections.
type progress struct {
	last     event
	attempts int // to get it back, since the last event
	early    int // connections in a row that could not be made, or ended at once
}

// resume opens the stream of a call again, after the last event that came.
func (s *Session) resume(ctx context.Context, up *upstream, p *progress) (*http.Response, error) {
	for {
		p.attempts++
		p.early++
		if err := pause(ctx, p.last.retry, p.early); err != nil {
			return nil, err
		}
		resp, err := s.openStream(ctx, up, p.last.id)
		if err == nil || isFinal(err) || p.attempts >= maxResumes {
			return resp, err
		}
	}
}

func (s *Session) openStream(ctx context.Context, up *upstream, lastEvent string) (*http.Response, error) {
	h := s.headerFor(up)
	h.Set("Accept", "text/event-stream")
	if lastEvent != "" {
		h.Set("Last-Event-ID", lastEvent)
	}
	resp, err := s.exchangeHTTP(ctx, http.MethodGet, up, h, nil)
	if err != nil {
		return nil, err
	}
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || mediaType != "text/event-stream" {
		return nil, readRefusal(resp)
	}
	return resp, nil
}

// isFinal reports whether there is no point in asking the server for a stream again.
func isFinal(err error) bool {
	var refused *refusal
	return notServed(err) != nil || errors.As(err, &refused) && refused.status < 500 && refused.status != http.StatusTooManyRequests
}

// pause waits before the next attempt: not at all before the first, and otherwise longer
// each time, and at least as long as the server has asked for.
func pause(ctx context.Context, asked time.Duration, attempt int) error {
	if attempt == 0 {
		return ctx.Err()
	}
	wait := min(max(firstPause<<min(attempt-1, 10), asked), maxPause)
	wait += rand.N(wait / 4) // or all editors come back at once
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

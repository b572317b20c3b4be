package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/berth-mcp/berth/proxy/relay"
)

// A link is the event stream of the 2024-11-05 transport, on which all of a server's
// messages come. A session lasts as long as its stream.
type link struct {
	gone chan struct{} // closed when it has ended
}

func (l *link) isGone() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// wait returns when a call has been answered, or cannot be any more.
func (l *link) wait(c *call) error {
	select {
	case <-c.done:
		return nil
	case <-l.gone:
		return fmt.Errorf("%w: %w", errStreamEnded, errLinkGone)
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// openLink begins a session of the 2024-11-05 transport: it opens the stream and waits for
// the URL that messages are to be posted to.
func (s *Session) openLink(ctx context.Context, t relay.Target) (*upstream, error) {
	up := s.newUpstream(t, "/sse")
	inTime := context.AfterFunc(ctx, up.end)
	defer inTime()
	resp, err := s.openStream(up.ctx, up, "")
	if err != nil {
		up.end()
		return nil, err
	}
	l := &link{gone: make(chan struct{})}
	opened := make(chan *upstream, 1)
	s.start(func() {
		defer close(l.gone)
		defer resp.Body.Close()
		var here *upstream
		ended := func() {}
		err := readEvents(resp.Body, func(e event) bool {
			switch {
			case here == nil && e.name == "endpoint":
				if here = s.linked(up, l, e.data); here != nil {
					ended = s.sender.BeginSSE(t, here.url, resp)
				}
				opened <- here
				return here != nil
			case here != nil && (e.name == "message" || e.name == ""):
				s.receive(here, e.data, nil)
			}
			return true
		})
		ended()
		s.log.Debug("the event stream has ended", "error", err)
	})
	select {
	case here := <-opened:
		if here == nil {
			up.end()
			return nil, errors.New("the server names an address for messages that is not its own")
		}
		return here, nil
	case <-l.gone:
		err = errLinkGone
	case <-ctx.Done():
		err = ctx.Err()
	}
	up.end()
	return nil, err
}

// linked is the upstream with the endpoint that the server names. It is nil if that leads
// elsewhere than to the server: whatever is posted there goes with the developer's token.
func (s *Session) linked(up *upstream, l *link, endpoint []byte) *upstream {
	to, err := up.url.Parse(strings.TrimSpace(string(endpoint)))
	if err != nil || len(endpoint) > maxEndpoint || !up.target.Contains(to) {
		return nil
	}
	return up.with(func(up *upstream) { up.url, up.link = to, l })
}

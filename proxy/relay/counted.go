package relay

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// A CountedSender sends as the relay does, and counts what it sends among its figures.
type CountedSender struct {
	*Sender
	relay *Relay
}

// Sender is for what serves [Options.SSE].
func (s *Relay) Sender() CountedSender { return CountedSender{s.sender, s} }

// Send is [Sender.Send].
func (c CountedSender) Send(ctx context.Context, t Target, method string, u *url.URL, header http.Header, body []byte) (*http.Response, *Fault) {
	start := time.Now()
	resp, f := c.Sender.Send(ctx, t, method, u, header, body)
	up := c.relay.clients.Load().named(t.Name)
	if up == nil || method != http.MethodPost || f != nil && (ctx.Err() != nil || f.NotServed()) {
		return resp, f
	}
	up.stats.calls.Add(1)
	up.stats.answeredAfter(time.Since(start))
	if f != nil || resp.StatusCode >= http.StatusBadRequest {
		up.stats.failed.Add(1)
	}
	return resp, f
}

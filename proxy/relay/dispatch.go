package relay

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// isStanding reports whether a request is for a stream, and not a call that could be waited
// for.
func isStanding(method string, header http.Header) bool {
	return method == http.MethodGet || header.Get("Mcp-Method") == "subscriptions/listen"
}

// A dispatch is one request on its way to a target. When the target's tenure ends, it is
// given up, unless it is a call that has been sent: that may still be answered.
type dispatch struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	tenure   context.Context
	keep     func() bool // undoes that it ends with the tenure
	standing bool
	sent     atomic.Bool
}

func newDispatch(ctx context.Context, o outgoing) *dispatch {
	d := &dispatch{tenure: o.tenure, standing: isStanding(o.method, o.header)}
	ctx, d.cancel = context.WithCancelCause(ctx)
	d.keep = context.AfterFunc(o.tenure, d.giveUp)
	d.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The transport may send a request a second time by itself, on another connection.
		GetConn: func(string) {
			if d.tenure.Err() != nil {
				d.giveUp()
			}
		},
		WroteHeaders: func() {
			d.sent.Store(true)
			if !d.standing {
				d.keep()
			}
		},
	})
	return d
}

func (d *dispatch) giveUp() { d.cancel(context.Cause(d.tenure)) }

// over releases what the dispatch holds.
func (d *dispatch) over() {
	d.keep()
	d.cancel(nil)
}

// fault is the one for a request without an answer.
func (d *dispatch) fault(t Target, err error) *Fault {
	gone := endedBy(d.ctx)
	switch {
	case gone == nil:
		return unreachable(t, err)
	case d.sent.Load() && !d.standing: // it may have taken effect
		return unreachable(t, gone)
	}
	return gone
}

// A dispatchedBody is the body of an answer, which holds its dispatch until it is closed. If
// the tenure has ended it, the error is the [*Fault].
type dispatchedBody struct {
	io.ReadCloser
	dispatch *dispatch
}

func (b dispatchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		if gone := endedBy(b.dispatch.ctx); gone != nil {
			err = gone
		}
	}
	return n, err
}

func (b dispatchedBody) Close() error {
	defer b.dispatch.over()
	return b.ReadCloser.Close()
}

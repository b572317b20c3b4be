package frontend

import (
	"context"
	"slices"
	"time"
)

// maxQueue bounds the requests that wait for an instance.
const maxQueue = 1000

// ticket is a request that waits for a place.
type ticket struct{ place chan place }

// place is a place in an instance, or why there is none.
type place struct {
	worker *worker
	err    error
}

// wait waits for a place until the context ends, or until none is on its way.
func (r *revision) wait(ctx context.Context, t *ticket) (*worker, error) {
	timer := time.NewTimer(r.queueTimeout)
	defer timer.Stop()
	for {
		select {
		case p := <-t.place:
			return p.worker, p.err
		case <-ctx.Done():
			return r.leave(t, context.Cause(ctx))
		case <-timer.C:
			if !r.isStarting() {
				return r.leave(t, errNoInstance)
			}
			timer.Reset(r.queueTimeout)
		}
	}
}

// leave gives up waiting, unless a place was given at that moment.
func (r *revision) leave(t *ticket, why error) (*worker, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := slices.Index(r.queue, t); n >= 0 {
		r.queue = slices.Delete(r.queue, n, n+1)
		return nil, why
	}
	p := <-t.place
	return p.worker, p.err
}

// serveQueue gives the free places of an instance to those that wait longest. The
// caller holds mu.
func (r *revision) serveQueue(w *worker) {
	for len(r.queue) > 0 && w.active < r.template.concurrency && !w.ended() {
		w.occupy()
		r.queue[0].place <- place{worker: w}
		r.queue = r.queue[1:]
	}
}

// failQueue tells all that wait why there is no instance. The caller holds mu.
func (r *revision) failQueue(err error) {
	for _, t := range r.queue {
		t.place <- place{err: err}
	}
	r.queue = nil
}

package frontend

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

var (
	errRetired    = errors.New("the revision was replaced")
	errDisabled   = errors.New("the service is disabled: its number of instances is set to none")
	errNoInstance = errors.New("the request was aborted because there was no available instance")
)

// A revision scales the instances of one revision: it gives each request a
// place in one, starts more when all are full, and stops those that idle.
type revision struct {
	name         string
	template     template
	start        func(context.Context) (*instance.Instance, error)
	logger       *slog.Logger
	idleTimeout  time.Duration
	queueTimeout time.Duration

	starts       context.Context // ends when the revision retires
	cancelStarts context.CancelFunc
	stops        context.Context // ends when the grace is over early
	kill         context.CancelFunc
	running      sync.WaitGroup // one for each instance, starting to gone

	mu       sync.Mutex
	min, max int
	workers  []*worker // ready, and not being stopped
	starting int
	alive    int // starting, ready, or not gone yet
	queue    []*ticket
	retired  bool
	paused   bool
}

// acquire returns an instance with a place for a request, preferably the one
// of an id, and counts the request in. The caller releases it. It fails with
// errRetired, errDisabled, errNoInstance, the context's cause, or why an instance did not
// start.
func (r *revision) acquire(ctx context.Context, preferred string) (*worker, error) {
	r.mu.Lock()
	if r.retired {
		r.mu.Unlock()
		return nil, errRetired
	}
	if r.max == 0 {
		r.mu.Unlock()
		return nil, errDisabled
	}
	if len(r.queue) >= maxQueue {
		r.mu.Unlock()
		return nil, errNoInstance
	}
	r.scale()
	if w := r.choose(preferred); w != nil {
		w.occupy()
		r.mu.Unlock()
		return w, nil
	}
	t := &ticket{place: make(chan place, 1)}
	r.queue = append(r.queue, t)
	r.scale()
	r.mu.Unlock()
	return r.wait(ctx, t)
}

// release counts a request out.
func (r *revision) release(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.active--
	switch {
	case !slices.Contains(r.workers, w): // it has ended, or is being stopped
	case r.retired:
		if w.active == 0 {
			r.stop(w)
		}
	default:
		r.serveQueue(w)
		r.rest(w)
	}
}

// configure applies the service's scaling.
func (r *revision) configure(least, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.min, r.max = least, most
	for _, w := range slices.Clone(r.workers) {
		r.rest(w)
	}
	r.scale()
}

// retire takes no more requests, and stops instances as theirs end.
func (r *revision) retire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired {
		return
	}
	r.retired = true
	r.cancelStarts()
	r.failQueue(errRetired)
	for _, w := range slices.Clone(r.workers) {
		if w.active == 0 {
			r.stop(w)
		}
	}
}

// pause stops every instance and returns when they are gone. Requests wait until
// resume, unless the revision has been retired by then.
func (r *revision) pause() (resume func()) {
	r.mu.Lock()
	r.paused = true
	for _, w := range slices.Clone(r.workers) {
		r.stop(w)
	}
	r.mu.Unlock()
	r.running.Wait()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.paused = false
		r.scale()
	}
}

// close stops every instance and returns when they are gone; when the context
// ends, they are killed.
func (r *revision) close(ctx context.Context) {
	r.retire()
	r.mu.Lock()
	for _, w := range slices.Clone(r.workers) {
		r.stop(w)
	}
	r.mu.Unlock()
	defer context.AfterFunc(ctx, r.kill)()
	r.running.Wait()
	r.kill() // nothing is left to kill: this frees the context
}

// check is the deployment check: an instance must start. With a manual count
// of none, none does.
func (r *revision) check(ctx context.Context) error {
	if r.max == 0 {
		return nil
	}
	w, err := r.acquire(ctx, "")
	if err != nil {
		return err
	}
	r.release(w)
	return nil
}

// gone reports whether a retired revision has nothing left that runs.
func (r *revision) gone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.alive == 0
}

func (r *revision) isStarting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starting > 0
}

func (r *revision) instances() []Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Instance
	for _, w := range r.workers {
		list = append(list, Instance{PID: w.PID(), Revision: r.name, Active: w.active})
	}
	return list
}

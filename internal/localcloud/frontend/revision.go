package frontend

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

// maxQueue bounds the requests that wait for an instance.
const maxQueue = 1000

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

// worker is an instance that takes requests.
type worker struct {
	*instance.Instance
	id     string // what the affinity cookie holds
	active int
	idle   *time.Timer
}

// ticket is a request that waits for a place.
type ticket struct{ place chan place }

// place is a place in an instance, or why there is none.
type place struct {
	worker *worker
	err    error
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

// The rest is called with mu held, but for run.

// choose returns an instance with a free place: the preferred one, or the one
// with the fewest requests.
func (r *revision) choose(preferred string) *worker {
	var best *worker
	for _, w := range r.workers {
		if w.active >= r.template.concurrency || w.ended() {
			continue
		}
		if w.id == preferred {
			return w
		}
		if best == nil || w.active < best.active {
			best = w
		}
	}
	return best
}

// scale starts instances until there are the least number, and enough on
// their way for the requests that wait.
func (r *revision) scale() {
	if r.retired || r.paused {
		return
	}
	for len(r.workers)+r.starting < r.max &&
		(len(r.workers)+r.starting < r.min || r.starting*r.template.concurrency < len(r.queue)) {
		r.starting++
		r.alive++
		r.running.Go(r.run)
	}
}

// run is the life of one instance.
func (r *revision) run() {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.alive--
	}()
	i, err := r.start(r.starts)
	r.mu.Lock()
	r.starting--
	if err != nil {
		if len(r.workers) == 0 && r.starting == 0 {
			r.failQueue(err)
		}
		r.mu.Unlock()
		r.logger.Warn("instance did not start", "revision", r.name, "error", err)
		return
	}
	if r.retired || r.paused {
		r.mu.Unlock()
		i.Stop(r.stops)
		return
	}
	w := &worker{Instance: i, id: rand.Text()}
	r.workers = append(r.workers, w)
	r.serveQueue(w)
	r.rest(w)
	r.mu.Unlock()
	r.logger.Debug("instance started", "revision", r.name, "pid", i.PID())

	<-i.Done()
	r.mu.Lock()
	died := r.drop(w)
	if len(r.queue) > 0 {
		r.scale() // for those that wait; the least number is kept up at requests
	}
	r.mu.Unlock()
	level := slog.LevelDebug
	if died {
		level = slog.LevelWarn
	}
	r.logger.Log(context.Background(), level, "instance ended", "revision", r.name, "pid", i.PID(), "ending", i.Ending(), "asked", !died)
}

// serveQueue gives the free places of an instance to those that wait longest.
func (r *revision) serveQueue(w *worker) {
	for len(r.queue) > 0 && w.active < r.template.concurrency && !w.ended() {
		w.occupy()
		r.queue[0].place <- place{worker: w}
		r.queue = r.queue[1:]
	}
}

func (r *revision) failQueue(err error) {
	for _, t := range r.queue {
		t.place <- place{err: err}
	}
	r.queue = nil
}

// rest has an instance without requests stopped after the idle timeout, if
// more than the least number are there then; at once, if there are more than
// the most.
func (r *revision) rest(w *worker) {
	if w.active > 0 {
		return
	}
	if len(r.workers) > r.max {
		r.stop(w)
		return
	}
	w.wake()
	w.idle = time.AfterFunc(r.idleTimeout, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if w.active == 0 && len(r.workers) > r.min && slices.Contains(r.workers, w) {
			r.stop(w)
		}
	})
}

// stop takes an instance out of service and stops it in the background.
func (r *revision) stop(w *worker) {
	r.drop(w)
	r.running.Go(func() { w.Stop(r.stops) })
}

// drop takes an instance out of service, and reports whether it was in it.
func (r *revision) drop(w *worker) bool {
	w.wake()
	n := slices.Index(r.workers, w)
	if n < 0 {
		return false
	}
	r.workers = slices.Delete(r.workers, n, n+1)
	return true
}

func (w *worker) occupy() {
	w.active++
	w.wake()
}

// wake ends the wait of an idle instance for its end.
func (w *worker) wake() {
	if w.idle != nil {
		w.idle.Stop()
		w.idle = nil
	}
}

func (w *worker) ended() bool {
	select {
	case <-w.Done():
		return true
	default:
		return false
	}
}

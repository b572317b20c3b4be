package frontend

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud/instance"
)

// worker is an instance that takes requests.
type worker struct {
	*instance.Instance
	id     string // what the affinity cookie holds
	active int
	idle   *time.Timer
}

// What follows is called with the revision's mu held, but for run.

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

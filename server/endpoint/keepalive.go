package endpoint

import (
	"mime"
	"net/http"
	"sync"
	"time"
)

// keepAliveEvery is how long an event stream may be silent. Some clients end a
// body that brings nothing for 300 s, and proxies on the way do so after 60.
const keepAliveEvery = 25 * time.Second

// stalledAfter is how long a client may leave an event unread that no buffer has room
// for. Then its connection ends: whoever changes something must not wait for someone
// who wanted to be told of it.
const stalledAfter = 10 * time.Second

// keepAliveComment is a line that every reader of an event stream passes over.
const keepAliveComment = ": keep-alive\n\n"

// keepAlive writes comments into event streams that are silent, and ends those whose
// client does not read.
func keepAlive(next http.Handler) http.Handler {
	return keepAliveAfter(keepAliveEvery, stalledAfter, next)
}

func keepAliveAfter(silence, stalled time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream := &keepAliveWriter{ResponseWriter: w, silence: silence, stalled: stalled}
		defer stream.end()
		next.ServeHTTP(stream, r)
	})
}

// keepAliveWriter is a response that does not fall silent. The SDK writes each
// event at once, so that what comes between two writes comes between two events.
type keepAliveWriter struct {
	http.ResponseWriter
	silence time.Duration
	stalled time.Duration

	mu    sync.Mutex
	timer *time.Timer // nil unless the response is an event stream
	ended bool
}

func (k *keepAliveWriter) WriteHeader(code int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin(code)
	k.ResponseWriter.WriteHeader(code)
}

// begin starts to watch a response that is an event stream.
func (k *keepAliveWriter) begin(code int) {
	mediaType, _, _ := mime.ParseMediaType(k.Header().Get("Content-Type"))
	if code == http.StatusOK && mediaType == "text/event-stream" && k.timer == nil && !k.ended {
		k.timer = time.AfterFunc(k.silence, k.comment)
	}
}

func (k *keepAliveWriter) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.timer == nil {
		k.begin(http.StatusOK)
	} else {
		k.timer.Reset(k.silence)
	}
	k.hurry()
	return k.ResponseWriter.Write(p)
}

// hurry bounds the next write to an event stream. A recorder in a test has no
// deadlines.
func (k *keepAliveWriter) hurry() {
	if k.timer != nil {
		_ = http.NewResponseController(k.ResponseWriter).SetWriteDeadline(time.Now().Add(k.stalled))
	}
}

func (k *keepAliveWriter) Flush() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = http.NewResponseController(k.ResponseWriter).Flush() // a recorder in a test has nothing to flush
}

// Unwrap is for [http.ResponseController].
func (k *keepAliveWriter) Unwrap() http.ResponseWriter { return k.ResponseWriter }

func (k *keepAliveWriter) comment() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return
	}
	k.hurry()
	if _, err := k.ResponseWriter.Write([]byte(keepAliveComment)); err != nil {
		return // the client has gone; the handler finds out by itself
	}
	_ = http.NewResponseController(k.ResponseWriter).Flush()
	k.timer.Reset(k.silence)
}

// end sees to it that nothing is written after the handler has returned.
func (k *keepAliveWriter) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	if k.timer != nil {
		k.timer.Stop()
		// What is left of the answer, and the connection's next one, are not bound by it.
		_ = http.NewResponseController(k.ResponseWriter).SetWriteDeadline(time.Time{})
	}
}

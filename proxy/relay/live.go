package relay

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// headerPatience is how long the header of an answer of unknown length waits for the
	// first part of its body, to leave together with it.
	headerPatience = 2 * time.Millisecond

	// keepAliveEvery is the silence after which an event stream gets a comment: what the
	// HTML standard advises (section 9.2.7, "about 15 seconds"). Some clients give up on a
	// stream after a minute without a byte, Node's own after five.
	keepAliveEvery = 15 * time.Second

	keepAliveComment = ": keep-alive\n\n"
)

// A liveWriter passes a body of unknown length on, each part at once. Into an event stream
// that is silent for long it puts comments, between events alone. Its methods must not be
// called at the same time; its timer takes care of itself.
type liveWriter struct {
	w       io.Writer
	flush   func() error
	silence time.Duration // after which there is a comment; 0: never

	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	begun  bool // a part of the body was written
	last   time.Time
	place  eventPlace
	bom    bomFilter
}

// newLiveWriter needs the header to be written. It must be closed before the handler ends.
func newLiveWriter(w io.Writer, flush func() error, silence time.Duration) *liveWriter {
	l := &liveWriter{w: w, flush: flush, silence: silence, last: time.Now()}
	l.mu.Lock() // until the timer is there to be seen
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(headerPatience, l.tick)
	return l
}

func (l *liveWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun && l.silence == 0 {
		l.timer.Stop()
	}
	l.begun = true
	n := len(p)
	if l.silence > 0 {
		l.last = time.Now()
		p = l.bom.filter(p)
		l.place.advance(p)
	}
	if _, err := l.w.Write(p); err != nil {
		return 0, err
	}
	return n, l.flush()
}

// tick sends the header on its own if the body is not there yet, and later the comments.
// A failure is the connection's end, which the request's context tells.
func (l *liveWriter) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	silent := time.Since(l.last)
	switch {
	case l.silence == 0:
		_ = l.flush()
		return
	case silent < l.silence:
		if !l.begun {
			_ = l.flush()
		}
	default:
		if l.place.betweenEvents() {
			l.bom.armed = l.bom.armed || !l.begun
			_, _ = l.w.Write([]byte(keepAliveComment))
			_ = l.flush()
		}
		silent = 0
		l.last = time.Now()
	}
	l.timer.Reset(l.silence - silent)
}

// Close ends the timer.
func (l *liveWriter) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.timer.Stop()
}

// An eventPlace is where in an event stream one is. Readers differ in whether CR alone ends
// a line: what it takes for the end of an event is that to all of them.
type eventPlace struct {
	line    lineSoFar
	inEvent bool // since the last empty line
}

// lineSoFar is what the line that has not ended yet holds.
type lineSoFar uint8

const (
	lineEmpty lineSoFar = iota
	lineCR
	lineText
)

func (p *eventPlace) betweenEvents() bool { return p.line == lineEmpty && !p.inEvent }

func (p *eventPlace) advance(b []byte) {
	end := bytes.LastIndexByte(b, '\n')
	if end < 0 {
		p.line = p.line.with(b)
		return
	}
	last := p.line
	if start := bytes.LastIndexByte(b[:end], '\n'); start >= 0 {
		last = lineEmpty.with(b[start+1 : end])
	} else {
		last = last.with(b[:end])
	}
	p.inEvent = last == lineText
	p.line = lineEmpty.with(b[end+1:])
}

func (l lineSoFar) with(b []byte) lineSoFar {
	switch {
	case len(b) == 0:
		return l
	case l == lineEmpty && len(b) == 1 && b[0] == '\r':
		return lineCR
	}
	return lineText
}

// A bomFilter takes the byte order mark from the begin of a stream in front of which there
// is a comment by then: only at the very begin it means nothing.
type bomFilter struct {
	armed bool
	held  []byte
}

func (f *bomFilter) filter(p []byte) []byte {
	if !f.armed {
		return p
	}
	const bom = "\ufeff"
	p = append(f.held, p...)
	if len(p) < len(bom) && bytes.HasPrefix([]byte(bom), p) {
		f.held = p
		return nil
	}
	f.armed = false
	return bytes.TrimPrefix(p, []byte(bom))
}

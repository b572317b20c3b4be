package instance

import (
	"bytes"
	"strings"
	"sync"
)

const (
	maxLine  = 16 << 10 // bytes of a line that are kept; the rest of it is dropped
	maxLines = 50       // lines kept for an error message
)

// output cuts what a process writes into lines, hands each on, and keeps the
// last ones.
type output struct {
	emit func(stream, line string)

	mu   sync.Mutex
	tail []string
}

// stream returns the writer for stdout or stderr. Only one goroutine may
// write to it.
func (o *output) stream(name string) *lineWriter { return &lineWriter{output: o, name: name} }

func (o *output) line(stream, line string) {
	o.mu.Lock()
	o.tail = append(o.tail, line)
	if len(o.tail) > maxLines {
		o.tail = o.tail[1:]
	}
	o.mu.Unlock()
	o.emit(stream, line)
}

// String returns the last lines.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.tail, "\n")
}

type lineWriter struct {
	output  *output
	name    string
	pending []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		w.pending = append(w.pending, line[:min(len(line), maxLine-len(w.pending))]...)
		if ended {
			w.flush()
		}
		rest = after
	}
	return len(p), nil
}

// flush ends the line at hand.
func (w *lineWriter) flush() {
	w.output.line(w.name, strings.TrimSuffix(string(w.pending), "\r"))
	w.pending = w.pending[:0]
}

// close hands on a last line that had no end.
func (w *lineWriter) close() {
	if len(w.pending) > 0 {
		w.flush()
	}
}

package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxFirstEvent bounds what is held back while looking for the endpoint event, in bytes.
// The event is a path with a session's name in it, some 60 bytes.
const maxFirstEvent = 8 << 10

// errEndpoint ends a stream that would steer its client.
var errEndpoint = errors.New("an endpoint event that cannot be passed on")

// An endpointRewriter passes an event stream on and changes one thing in it: the data of
// an "endpoint" event, with which a server of the 2024-11-05 revision names the URL to
// post messages to. It is the first event of the stream; comments and blocks without data,
// which are not events, may stand before it. All else passes byte for byte, at once.
//
// An endpoint that passed as it is could lead the client to another server. The stream
// ends with errEndpoint before one that rewrite refuses, that has not one line of data,
// that is too long, or that is not the first event.
type endpointRewriter struct {
	source  io.Reader
	rewrite func(url string) (string, error)

	held  []byte // read, and not a complete block yet
	ready []byte // to be returned by Read
	done  bool   // the first event is past, or is too long for an endpoint
	watch endpointWatch
	err   error // of source, or errEndpoint
}

func (e *endpointRewriter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(e.ready) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		n, err := e.source.Read(p)
		e.err = err
		if e.done {
			n = e.harmless(p[:n])
		} else {
			e.held = append(e.held, p[:n]...)
			n = 0
			e.advance()
		}
		if e.err == io.EOF && e.watch.named() {
			e.err = errEndpoint // some clients end the last line themselves
		}
		if n > 0 {
			return n, nil
		}
	}
	n := copy(p, e.ready)
	if e.ready = e.ready[n:]; len(e.ready) == 0 {
		e.ready = nil // or the event would be kept as long as the stream lasts
	}
	return n, nil
}

// advance moves what is settled from held to ready.
func (e *endpointRewriter) advance() {
	for !e.done {
		end := blockEnd(e.held[:min(len(e.held), maxFirstEvent)])
		switch {
		case end >= 0:
		case len(e.held) >= maxFirstEvent:
			end, e.done = len(e.held), true
		case e.err != nil && len(e.held) > 0:
			end = len(e.held) // some clients end the last event themselves
		default:
			return
		}
		block := e.held[:end]
		e.held = e.held[end:]
		event := parseBlock(block)
		if e.done || !event.isEndpoint() {
			e.done = e.done || event.dataLines > 0
			e.ready = append(e.ready, block[:e.harmless(block)]...)
			continue
		}
		e.done = true
		url, err := e.rewrite(string(event.data))
		if err != nil {
			e.fail(fmt.Errorf("%w: %w", errEndpoint, err))
			return
		}
		e.ready = append(e.ready, block[:event.dataStart]...)
		e.ready = append(e.ready, url...)
		e.ready = append(e.ready, block[event.dataStart+len(event.data):]...)
	}
	rest := e.held
	e.held, e.rewrite = nil, nil
	e.ready = append(e.ready, rest[:e.harmless(rest)]...)
}

// harmless returns how much of b may pass as it is: all of it, or what is in front of the
// end of a line that names the endpoint event. It then also ends the stream.
func (e *endpointRewriter) harmless(b []byte) int {
	for i, c := range b {
		if e.watch.next(c) {
			e.fail(errEndpoint)
			return i
		}
	}
	return len(b)
}

// fail ends the stream; what is ready still passes.
func (e *endpointRewriter) fail(err error) {
	e.err, e.held, e.done = err, nil, true
}

// nextLine returns the first line, the length of its end (LF, CR LF or CR), and the rest.
// The length is 0 if the end is not there yet.
func nextLine(b []byte) (line []byte, eol int, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return b, 0, nil
	}
	eol = 1
	if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
		eol = 2
	}
	return b[:i], eol, b[i+eol:]
}

// blockEnd returns where the first block ends, behind the empty line, or -1.
func blockEnd(b []byte) int {
	for rest := b; ; {
		line, eol, next := nextLine(rest)
		if eol == 0 {
			return -1
		}
		rest = next
		if len(line) == 0 {
			return len(b) - len(rest)
		}
	}
}

// A block is what the lines of an event say.
type block struct {
	name, data []byte
	dataLines  int
	dataStart  int // in the block; of the last line of data
}

// isEndpoint reports whether it is an endpoint event as servers send it. All other forms
// are left to the endpointWatch.
func (b block) isEndpoint() bool {
	return string(b.name) == "endpoint" && b.dataLines == 1 && len(b.data) > 0
}

func parseBlock(text []byte) (b block) {
	for rest := text; len(rest) > 0; {
		line, _, next := nextLine(rest)
		start := len(text) - len(rest)
		rest = next
		bom := 0
		if start == 0 && bytes.HasPrefix(line, []byte("\ufeff")) {
			bom = len("\ufeff")
		}
		name, value, _ := bytes.Cut(line[bom:], []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			b.name = value
		case "data":
			b.dataLines++
			b.data, b.dataStart = value, start+len(line)-len(value)
		}
	}
	return b
}

// An endpointWatch looks for a line that names the endpoint event to any client: readers
// differ in whether CR ends a line, and in what space around a name is part of it.
type endpointWatch struct{ strict, lax lineWatch }

func (w *endpointWatch) next(c byte) (named bool) {
	strict := w.strict.next(c, c == '\n' || c == '\r')
	lax := w.lax.next(c, c == '\n')
	return strict || lax
}

// named reports whether the line would name the event if it ended here.
func (w *endpointWatch) named() bool {
	return w.strict.at == len(namesEndpoint) || w.lax.at == len(namesEndpoint)
}

const namesEndpoint = "event:endpoint"

// A lineWatch is how much of namesEndpoint the line has, or -1 if it has something else.
type lineWatch struct{ at int }

func (w *lineWatch) next(c byte, endsLine bool) (named bool) {
	space := strings.IndexByte(" \t\n\v\f\r", c) >= 0
	switch {
	case w.at == len(namesEndpoint) && space:
		return true
	case endsLine:
		w.at = 0
	case w.at == len("event:") && space:
	case w.at >= 0 && w.at < len(namesEndpoint) && namesEndpoint[w.at] == c:
		w.at++
	default:
		w.at = -1
	}
	return false
}

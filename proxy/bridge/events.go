package bridge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// errTooLarge says that a server's message is larger than maxMessage.
var errTooLarge = errors.New("a message of the server is larger than 32 MiB")

// An event of an event stream, as the WHATWG HTML standard has it.
type event struct {
	name  string
	data  []byte
	id    string // of this event or the last one before it that had any; "" if that is too long
	noID  bool   // the id was too long
	retry time.Duration
}

// readEvents calls handle for each event, until that returns false or the stream ends. The
// error is nil if it ended in order.
func readEvents(r io.Reader, handle func(event) (more bool)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), maxMessage)
	lines.Split(splitLines())
	var e event
	hasData := false
	dispatch := func() bool {
		more := true
		if hasData || e.name != "" {
			more = handle(e)
		}
		e.name, e.data, hasData = "", nil, false
		return more
	}
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			if !dispatch() {
				return nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.name = string(value[:min(len(value), maxEventName)])
		case "data":
			if len(e.data)+len(value) >= maxMessage {
				return errTooLarge
			}
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data, hasData = append(e.data, value...), true
		case "id":
			switch {
			case bytes.IndexByte(value, 0) >= 0:
			case len(value) > maxEventID: // the stream cannot be resumed, not even from an event before
				e.id, e.noID = "", true
			default:
				e.id, e.noID = string(value), false
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 32); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errTooLarge
	}
	if lines.Err() == nil {
		dispatch() // some servers leave the last event without its end
	}
	return lines.Err()
}

// splitLines splits at LF, CR LF or CR. A CR ends its line at once, as nothing may follow
// it for long; an LF behind it is skipped when it comes.
func splitLines() bufio.SplitFunc {
	afterCR := false
	searched := 0 // bytes of a line that has no end yet, or a long line would be searched over and over
	return func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		start := 0
		if afterCR && len(data) > 0 {
			if data[0] == '\n' {
				start = 1
			}
			afterCR = false
		}
		end := bytes.IndexAny(data[start+searched:], "\r\n")
		switch {
		case end >= 0:
			end += start + searched
			searched = 0
			afterCR = data[end] == '\r'
			return end + 1, data[start:end], nil
		case atEOF && len(data) > start:
			searched = 0
			return len(data), data[start:], nil
		}
		searched = len(data) - start
		return start, nil, nil
	}
}

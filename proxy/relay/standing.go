package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// passOnAlone takes a standing stream out of the HTTP server and returns. Such streams are
// open for an hour and mostly idle, and there is one for each session. What the server
// keeps for a connection is buffers of 10 KiB and a stack of 16: more than the rest of the
// stream takes. The stream ends with the client, with its server, or when the proxy stops.
func (s *Relay) passOnAlone(w http.ResponseWriter, a *answer) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		a.close()
		return err
	}
	a.span.leave()
	err = writeHead(conn, a)
	a.span.leave, a.header = nil, nil // with all that the request had: not to be kept for an hour
	if !s.standing.begin(func() { s.stand(conn, a, err) }) {
		a.close()
		return conn.Close() // the proxy has stopped in the meantime
	}
	return nil
}

// standing are the streams that are out of the HTTP server, which does not wait for them.
type standing struct {
	mu      sync.Mutex
	running sync.WaitGroup
	over    bool
}

// begin runs f beside the others, unless they have been waited for.
func (s *standing) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.running.Go(f)
	}
	return !s.over
}

// wait returns when all have ended. No more begin.
func (s *standing) wait() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.running.Wait()
}

func writeHead(conn net.Conn, a *answer) error {
	// The connection is not the server's any more, and no request may follow.
	a.header.Set("Connection", "close")
	a.header.Set("Transfer-Encoding", "chunked")
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	_ = a.header.Write(&head) // a buffer takes all
	head.WriteString("\r\n")
	_, err := conn.Write(head.Bytes())
	return err
}

// stand does little but wait, so that its stack stays small.
func (s *Relay) stand(conn net.Conn, a *answer, err error) {
	defer a.close()
	defer conn.Close()
	// To close the connection ends a write that the client does not read.
	defer context.AfterFunc(a.span.ctx, func() { _ = conn.Close() })()
	s.standing.begin(func() { awaitEnd(conn, a.span.cancel) }) // if not, the proxy stops anyway

	start := time.Now()
	if err == nil {
		err = s.writeBody(conn, a)
	}
	s.log.Debug("stream ended", "client", a.client, "duration", time.Since(start), "error", s.noteSteering(a, err))
}

// writeBody writes the body in chunks. If it breaks off, the last is missing. The stream of a
// client that is not served any more ends in order if no event is cut in two.
func (s *Relay) writeBody(conn net.Conn, a *answer) error {
	live := newLiveWriter(chunkWriter{conn}, func() error { return nil }, s.keepAliveEvery)
	defer live.Close()
	err := copyParts(live, a.source, 0)
	live.Close() // no comment after the end
	var f *Fault
	if err != nil && !(errors.As(err, &f) && live.place.betweenEvents()) {
		return err
	}
	_, err = conn.Write([]byte("0\r\n\r\n"))
	return err
}

// awaitEnd calls gone when the client ends the connection. It has nothing to say on it.
func awaitEnd(conn net.Conn, gone func()) {
	var ignored [64]byte
	for {
		if _, err := conn.Read(ignored[:]); err != nil {
			gone()
			return
		}
	}
}

// A chunkWriter writes each part as a chunk of HTTP/1.1, with one call to the system.
type chunkWriter struct{ conn net.Conn }

func (c chunkWriter) Write(p []byte) (int, error) {
	if len(p) == 0 { // that would be the end
		return 0, nil
	}
	size := append(strconv.AppendInt(nil, int64(len(p)), 16), "\r\n"...)
	parts := net.Buffers{size, p, []byte("\r\n")}
	if _, err := parts.WriteTo(c.conn); err != nil {
		return 0, err
	}
	return len(p), nil
}

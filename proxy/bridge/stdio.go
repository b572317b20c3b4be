package bridge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// drainTimeout bounds the calls that an editor no longer waits for: an editor that
	// has closed its end usually has gone. It is the default of Cloud Run's request
	// timeout, so that a script may write its calls and close.
	drainTimeout = 5 * time.Minute

	// stopGrace is how long calls may take after a signal to stop. Editors send SIGKILL
	// some seconds later.
	stopGrace = 2 * time.Second
)

// Stdio serves one editor that has started this program: messages come on in and go out on
// out, one a line. It returns when in has ended and all calls are answered, when the
// context is done (calls under way then have two seconds), or when out is closed, which is
// an error. Options.Write is not used.
//
// It returns even if a read of in never does, which then goes on.
func Stdio(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	var line bytes.Buffer
	o.Write = func(message []byte) error {
		line.Reset()
		line.Write(message)
		line.WriteByte('\n')
		_, err := out.Write(line.Bytes())
		if line.Cap() > keptBuffer {
			line = bytes.Buffer{}
		}
		return err
	}
	s := New(o)
	defer s.closeInTime()

	read := make(chan error, 1)
	go func() { read <- s.readLines(in) }()
	var failed error
	grace := drainTimeout
	select {
	case failed = <-read:
	case <-ctx.Done():
		grace = stopGrace
	case <-s.Done():
		return errors.New("the editor does not read standard output any more")
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if grace == drainTimeout {
		// A signal may still come.
		defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	}
	if err := s.Drain(drain); err != nil {
		s.log.Warn("stopped with calls still under way")
	}
	if failed != nil {
		return fmt.Errorf("read standard input: %w", failed)
	}
	return nil
}

// closeTimeout bounds the end of the session if out is not read.
const closeTimeout = 2 * farewellTimeout

func (s *Session) closeInTime() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
		s.log.Warn("stopped although the editor has not read all of standard output")
	}
}

// keptBuffer is the most that is kept for the next message or line, in bytes.
const keptBuffer = 64 << 10

// readLines handles the message in each line until there are no more.
func (s *Session) readLines(in io.Reader) error {
	r := bufio.NewReaderSize(in, keptBuffer)
	for {
		line, tooLarge, err := readLine(r)
		switch {
		case tooLarge:
			s.RefuseTooLarge()
		case len(bytes.TrimSpace(line)) > 0:
			s.Handle(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine returns the next line, which is the caller's. Of one that is too large nothing
// is returned, but all is read. The last line needs no end.
func readLine(r *bufio.Reader) (line []byte, tooLarge bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxMessage {
			line, tooLarge = nil, true
		}
		if !tooLarge {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return line, tooLarge, err
		}
	}
}

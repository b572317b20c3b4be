package frontend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"
)

const (
	// maxBody is Cloud Run's bound for a request over HTTP/1, in bytes. Here
	// it holds over HTTP/2 too, since bodies are kept in memory.
	maxBody = 32 << 20
	// affinityCookie is the name that Cloud Run uses.
	affinityCookie = "GAESA"
	// affinityLifetime is that of Cloud Run's cookie.
	affinityLifetime = 30 * 24 * time.Hour
	// reservedPath is kept by Google's front end, which answers 404.
	reservedPath = "/healthz"
)

var (
	errTimeout      = errors.New("the request reached its timeout")
	errNotReady     = errors.New("no revision of the service is ready")
	errBodyTooLarge = fmt.Errorf("the request body has more than %d bytes", maxBody)
	errNotFound     = errors.New("not found")
	errSlowBody     = errors.New("the request body did not come in time")
)

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		DisableCompression:  true,
		MaxIdleConnsPerHost: defaultConcurrency,
		// Less than any server's own, so that a request is not sent on a
		// connection that the server is just closing. Node's is 5 s.
		IdleConnTimeout:        2 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// ServeHTTP is the way of one request: is it for this service, may it pass,
// which instance takes it, and then bytes there and back.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	x := &exchange{service: s, w: w, r: r}
	err := x.serve()
	if err != nil && x.status == 0 {
		x.refuse(err)
	}
	s.logger.LogAttrs(r.Context(), slog.LevelDebug, "request",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", x.status),
		slog.Duration("latency", time.Since(begin)), slog.String("caller", x.caller),
		slog.String("revision", x.revision), slog.String("trace", x.trace), slog.Any("error", err))
	if err != nil && x.cut {
		panic(http.ErrAbortHandler) // so that the client sees that the answer is not whole
	}
}

// exchange is a request and what became of it.
type exchange struct {
	service *service
	w       http.ResponseWriter
	r       *http.Request

	status   int // 0 until the answer has begun
	cut      bool
	caller   string
	revision string
	trace    string
}

// serve returns an error if the answer is not the instance's, or not all of
// it.
func (x *exchange) serve() error {
	s := x.service
	x.w.Header().Set("Server", "Google Frontend")
	now, current := s.now()
	if !s.addressed(x.r.Host) || x.r.URL.Path == reservedPath || now.hidden {
		return errNotFound
	}
	header := x.r.Header.Clone()
	dropHopByHop(header)
	x.trace = trace(header)
	x.w.Header().Set(cloudTraceHeader, x.trace)
	describeClient(header, x.r.RemoteAddr)

	caller, err := s.admit(x.r.Context(), header, now)
	if err != nil {
		return err
	}
	x.caller = caller
	if current == nil {
		return errNotReady
	}
	ctx, cancel := context.WithTimeoutCause(x.r.Context(), current.template.timeout, errTimeout)
	defer cancel()
	body, err := x.readBody(ctx)
	if err != nil {
		return err
	}
	return x.relay(ctx, header, body)
}

// addressed reports whether a Host header names this service. Any other is
// somebody else's page, resolved to this address.
func (s *service) addressed(host string) bool {
	own := strings.TrimPrefix(s.url, "http://")
	_, port, _ := net.SplitHostPort(own)
	return host == own || host == "localhost:"+port
}

// readBody reads all of the request before any of it goes on: while the
// standard library's transport still reads a body, it may cut the answer that
// comes back (go.dev/issue/40747). It also leaves instances to those requests
// that have come whole.
func (x *exchange) readBody(ctx context.Context) ([]byte, error) {
	if x.r.ContentLength > maxBody {
		return nil, errBodyTooLarge
	}
	if x.r.ContentLength == 0 {
		return nil, nil
	}
	deadline, _ := ctx.Deadline()
	control := http.NewResponseController(x.w)
	if err := control.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("bounding the request body: %w", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errBodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errSlowBody
	case err != nil:
		return nil, fmt.Errorf("reading the request body: %w", err)
	}
	return body, control.SetReadDeadline(time.Time{})
}

// relay finds an instance and passes the request on. An instance that cannot
// even be connected to has just ended: the request never reached it, so
// another one may have it.
func (x *exchange) relay(ctx context.Context, header http.Header, body []byte) error {
	for {
		r, w, err := x.service.acquire(ctx, x.affinity())
		if err != nil {
			return err
		}
		x.revision = r.name
		err = x.relayTo(ctx, r, w, header, body)
		r.release(w)
		var dial *net.OpError
		if x.status != 0 || !errors.As(err, &dial) || dial.Op != "dial" || ctx.Err() != nil {
			return err
		}
		select {
		case <-w.Done():
		case <-time.After(time.Second):
			return err // it lives and does not listen
		}
	}
}

// acquire returns a place in an instance of the revision that serves now.
func (s *service) acquire(ctx context.Context, preferred string) (*revision, *worker, error) {
	for {
		if s.life.Err() != nil {
			return nil, nil, errNotReady
		}
		_, current := s.now()
		w, err := current.acquire(ctx, preferred)
		if !errors.Is(err, errRetired) {
			return current, w, err
		}
	}
}

func (x *exchange) affinity() string {
	cookie, err := x.r.Cookie(affinityCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (x *exchange) relayTo(ctx context.Context, r *revision, w *worker, header http.Header, body []byte) error {
	out := (&http.Request{
		Method:        x.r.Method,
		URL:           &url.URL{Scheme: "http", Host: w.Addr(), Path: x.r.URL.Path, RawPath: x.r.URL.RawPath, RawQuery: x.r.URL.RawQuery, ForceQuery: x.r.URL.ForceQuery},
		Host:          x.r.Host,
		Header:        header,
		ContentLength: int64(len(body)),
	}).WithContext(ctx)
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	res, err := x.service.frontEnd.transport.RoundTrip(out)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return fmt.Errorf("calling the instance: %w", err)
	}
	defer res.Body.Close()
	if r.template.affinity && x.affinity() != w.id {
		http.SetCookie(x.w, &http.Cookie{Name: affinityCookie, Value: w.id, Path: "/", MaxAge: int(affinityLifetime / time.Second), HttpOnly: true})
	}
	return x.answer(ctx, res)
}

// answer copies what the instance answers, each piece as it comes.
func (x *exchange) answer(ctx context.Context, res *http.Response) error {
	control := http.NewResponseController(x.w)
	// A client that does not read must not hold an instance for longer than
	// the request may take.
	deadline, _ := ctx.Deadline()
	if err := control.SetWriteDeadline(deadline.Add(time.Second)); err != nil {
		return fmt.Errorf("bounding the answer: %w", err)
	}
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection may be gone

	dropHopByHop(res.Header)
	res.Header.Del("Server")
	for name, values := range res.Header {
		x.w.Header()[name] = append(x.w.Header()[name], values...)
	}
	x.status = res.StatusCode
	x.w.WriteHeader(res.StatusCode)
	x.cut = true
	buffer := make([]byte, 32<<10)
	for {
		if err := control.Flush(); err != nil {
			return fmt.Errorf("writing to the client: %w", err)
		}
		n, err := res.Body.Read(buffer)
		if n > 0 {
			if _, err := x.w.Write(buffer[:n]); err != nil {
				return fmt.Errorf("writing to the client: %w", err)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			maps.Copy(x.w.Header(), trailers(res.Trailer))
			x.cut = false
			return nil
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("reading from the instance: %w", err)
		}
	}
}

// trailers returns them as the standard library's server wants them.
func trailers(trailer http.Header) http.Header {
	prefixed := http.Header{}
	for name, values := range trailer {
		prefixed[http.TrailerPrefix+name] = values
	}
	return prefixed
}

// refuse answers with the front end's own page.
func (x *exchange) refuse(err error) {
	var unauthenticated *unauthenticatedError
	var forbidden *forbiddenError
	level := slog.LevelWarn
	switch {
	case errors.As(err, &unauthenticated):
		level = slog.LevelInfo
		challenge := `Bearer error="invalid_token" error_description="The access token could not be verified"`
		if unauthenticated.missing {
			challenge = "Bearer"
		}
		x.w.Header().Set("WWW-Authenticate", challenge)
		x.status = http.StatusUnauthorized
	case errors.As(err, &forbidden):
		level = slog.LevelInfo
		x.status = http.StatusForbidden
	case errors.Is(err, errNotFound):
		x.status = http.StatusNotFound
	case errors.Is(err, errBodyTooLarge):
		x.status = http.StatusRequestEntityTooLarge
	case errors.Is(err, errSlowBody):
		x.status = http.StatusRequestTimeout
	case errors.Is(err, errNoInstance):
		x.status = http.StatusTooManyRequests
	case errors.Is(err, errTimeout):
		x.status = http.StatusGatewayTimeout
	case x.r.Context().Err() != nil:
		level = slog.LevelDebug // nobody is there to read it
		x.status = 499
		return
	default:
		x.status = http.StatusServiceUnavailable
	}
	x.service.logger.Log(context.Background(), level, "request refused", "path", path.Clean(x.r.URL.Path), "status", x.status, "reason", err.Error())
	writePage(x.w, x.r, x.status)
}

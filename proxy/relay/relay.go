// Package relay is the proxy's way of HTTP in, HTTP out: it listens on this machine, lets
// only this machine's programs in, and passes their requests on to the servers of the
// configured clients with the developer's ID token. Streams pass as they come.
//
// It passes MCP messages without knowing what they mean: all it ever reads of one, when
// the platform in front of a server and not the server itself has refused it, is the id to
// answer to, and the method, which says whether it may be sent again. Of what servers answer
// it changes the URLs alone that must lead back through the proxy. It does not know how a
// token is had.
package relay

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// callGrace is how long calls under way may take when the proxy stops. A supervisor
	// sends SIGKILL 10 s after SIGTERM.
	callGrace = 5 * time.Second

	// streamGrace is how long a client's standing stream stays open when the proxy
	// stops. With the 2024-11-05 transport the answers to its calls come on it.
	streamGrace = time.Second

	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10 // Cloud Run takes no more
)

// Options configure a [Relay].
type Options struct {
	// Port to listen on, on 127.0.0.1 and ::1. 0 is any that is free.
	Port int
	// Targets that may be reached, from [ParseTargets]; at least one.
	Targets []Target
	// Secret, if set, is the first segment of every local path; see [CheckSecret].
	Secret string
	// Tokens is where tokens come from. Required.
	Tokens TokenSource
	// RootCAs are the certificate authorities that servers are believed from. Nil: the
	// system's.
	RootCAs *x509.CertPool
	// SSE, if set, is given the requests to a client's /sse, where the 2024-11-05 transport
	// is served, with the client's part of local paths ("/CLIENT" or ""). It reports whether
	// it has answered; if not, the request is relayed.
	SSE func(w http.ResponseWriter, r *http.Request, t Target, prefix string) bool
	// Logger gets a line for each request (debug) and each failure (warning). Nil: none.
	Logger *slog.Logger
}

// A Relay is a listening proxy.
type Relay struct {
	reload         sync.Mutex
	clients        atomic.Pointer[clients]
	gone           sync.Map     // names of clients that were served and are not any more
	alone          atomic.Value // name of the client whose paths need none
	local          *http.ServeMux
	sse            func(w http.ResponseWriter, r *http.Request, t Target, prefix string) bool
	sender         *Sender
	keepAliveEvery time.Duration
	callGrace      time.Duration
	streamGrace    time.Duration
	log            *slog.Logger
	server         *http.Server
	listeners      []net.Listener
	port           int
	gate           atomic.Pointer[gate]
	outside        func(w http.ResponseWriter, r *http.Request) bool // nil: none

	standing  standing        // streams that are out of the server
	streaming context.Context // done when standing streams must end
	stop      context.CancelFunc
}

// New returns a Relay that is bound to its port; requests wait until [Relay.Serve]. The
// error is a [*PortTakenError] if something else listens there.
func New(o Options) (*Relay, error) {
	if len(o.Targets) == 0 || o.Tokens == nil {
		return nil, errors.New("a relay needs a target and a source of tokens")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Secret != "" {
		if err := CheckSecret(o.Secret); err != nil {
			return nil, fmt.Errorf("the secret of the local path: %w", err)
		}
	}
	listeners, port, err := listen(o.Port, o.Logger)
	if err != nil {
		return nil, err
	}
	s := &Relay{
		local:          http.NewServeMux(),
		sse:            o.SSE,
		sender:         NewSender(o.Tokens, o.RootCAs, o.Targets),
		keepAliveEvery: keepAliveEvery,
		callGrace:      callGrace,
		streamGrace:    streamGrace,
		log:            o.Logger,
		listeners:      listeners,
		port:           port,
	}
	s.clients.Store(&clients{})
	s.SetTargets(o.Targets)
	s.streaming, s.stop = context.WithCancel(context.Background())
	s.gate.Store(newGate(s.streaming, o.Secret))
	s.server = &http.Server{
		Handler: s,
		// Or "OPTIONS *" would be answered before the guard.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Port is the one that is listened on.
func (s *Relay) Port() int { return s.port }

// URL is the proxy's own address, in the form that goes into an editor's configuration.
func (s *Relay) URL() string { return LocalURL(s.port, s.Secret()) }

// LocalURL is the address of a proxy with a port and a secret, which may be empty.
func LocalURL(port int, secret string) string {
	url := fmt.Sprintf("http://localhost:%d", port)
	if secret != "" {
		url += "/" + secret
	}
	return url
}

// Serve answers requests until the context is done, then stops: no new requests; calls
// under way may end within five seconds, standing streams are cut after one. It returns
// nil after such a stop. A Relay serves once.
func (s *Relay) Serve(ctx context.Context) error {
	defer s.sender.Close()
	defer s.stop()

	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		go func() { failed <- s.server.Serve(l) }()
	}
	select {
	case err := <-failed:
		_ = s.server.Close() // the failure is what matters
		return fmt.Errorf("serve on port %d: %w", s.port, err)
	case <-ctx.Done():
	}

	s.server.RegisterOnShutdown(func() { time.AfterFunc(s.streamGrace, s.stop) })
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.callGrace)
	defer cancel()
	if err := s.server.Shutdown(grace); err != nil {
		s.log.Warn("stopped with calls still under way", "waited", s.callGrace)
		_ = s.server.Close() // cuts what Shutdown did not wait for
	}
	s.standing.wait()
	return nil
}

// Close releases the port of a Relay that does not serve.
func (s *Relay) Close() error {
	s.stop()
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

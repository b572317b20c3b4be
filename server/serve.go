package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/identity"
)

const (
	// drainTimeout is how long running calls have to finish after SIGTERM.
	// Cloud Run kills the instance after 10 s; the rest is for the log to be
	// written.
	drainTimeout = 8 * time.Second

	// headerTimeout is how long a caller has to send a request's headers.
	headerTimeout = 10 * time.Second

	// idleTimeout is how long a connection may wait for its next request. It
	// is longer than the 10 minutes for which Google's front ends keep theirs:
	// who closes first must be the one who sends.
	idleTimeout = 11 * time.Minute

	// maxHeader is the most that is read of a request's headers, in bytes:
	// room for two tokens and everything the platform adds.
	maxHeader = 64 << 10
)

// serve listens on the configured address until ctx ends, then drains.
func serve(ctx context.Context, cfg config, handler *endpoint.Handler, logger *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.address)
	if err != nil {
		return fmt.Errorf("cannot start: %w; end what listens there, or choose another PORT", err)
	}
	if cfg.mode == identity.ModeDev {
		warnOfDev(cfg, listener.Addr(), logger)
	}
	logger.Info("listening", "address", listener.Addr().String(), "client", cfg.client, "data", dataOf(cfg),
		"identity", cfg.mode, "revision", cfg.revision)

	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		// No ReadTimeout and no WriteTimeout: they would end streams. The
		// endpoint bounds the time for a body by itself.
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
		return drain(server, handler, cfg.grace, logger)
	}
}

func dataOf(cfg config) string {
	if cfg.data == nil {
		return "the sample's, which cannot be changed"
	}
	return cfg.data.String()
}

// drain lets running calls finish, within grace.
func drain(server *http.Server, handler *endpoint.Handler, grace time.Duration, logger *slog.Logger) error {
	logger.Info("stopping: no new connections; running calls may finish", "within", grace.String())
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()

	server.RegisterOnShutdown(func() { handler.Drain(ctx) })
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("some calls did not finish, and were cut")
	}
	if err != nil {
		return fmt.Errorf("stopping, after %s: %w", time.Since(start).Round(time.Millisecond), errors.Join(err, server.Close()))
	}
	logger.Info("stopped", "after", time.Since(start).Round(time.Millisecond).String())
	return nil
}

func warnOfDev(cfg config, addr net.Addr, logger *slog.Logger) {
	who := "anyone on this machine"
	if !cfg.loopback() {
		who = "ANYONE WHO CAN REACH " + addr.String()
	}
	logger.Warn(fmt.Sprintf("BERTH_IDENTITY=dev: callers are not checked; %s may use this server as %s", who, identity.DevEmail))
}

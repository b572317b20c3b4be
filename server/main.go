// Command server is Berth's sample MCP server: one client's portal, for the
// developers who work for that client.
//
// All configuration is environment variables; see [config] for each.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/portal"
	"github.com/berth-mcp/berth/server/telemetry"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	_ "golang.org/x/crypto/x509roots/fallback" // the image has no certificates of its own
)

const version = "0.1.0"

// flushTimeout is how long is waited for the last telemetry to be sent: what is left
// of the 10 s that Cloud Run gives, behind [drainTimeout].
const flushTimeout = time.Second

// gcPercent has the garbage collector run a quarter as often as by default. The
// protocol's library leaves some 450 KB behind for each request, beside a few MB that
// are in use: by default the collector would run after every tenth. Where much is in
// use, GOMEMLIMIT bounds what is left lying. GOGC, if set, outranks this.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// Cloud Run sends SIGTERM; Ctrl-C on one's own machine sends SIGINT. A
	// second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)

	logger := cloudlog.New(os.Stdout, slog.LevelInfo, os.Getenv("GOOGLE_CLOUD_PROJECT"))
	if err := run(ctx, os.Getenv, logger); err != nil {
		logger.Error(err.Error())
		os.Exit(1)
	}
}

// run serves until ctx ends, then lets what is running finish.
func run(ctx context.Context, getenv func(string) string, logger *slog.Logger) error {
	cfg, err := loadConfig(getenv)
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	p, err := portal.New(portal.Options{Client: cfg.client, Store: cfg.data, Revision: cfg.revision, Logger: logger})
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	sent, err := telemetry.Start(ctx, telemetry.Options{Getenv: getenv, Client: cfg.client, Version: version})
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	handler, err := newHandler(ctx, cfg, logger, p, sent)
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	err = serve(ctx, cfg, handler, logger)
	flush, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := sent.Shutdown(flush); err != nil {
		logger.Warn("some telemetry was not sent", "error", err.Error())
	}
	return err
}

// newHandler puts a portal behind the endpoint. Until ctx ends, it tells those who
// subscribed what changes.
func newHandler(ctx context.Context, cfg config, logger *slog.Logger, p *portal.Portal, sent *telemetry.Telemetry) (*endpoint.Handler, error) {
	handler, err := endpoint.New(endpoint.Options{
		Implementation: &mcp.Implementation{
			Name: "berth-portal", Title: p.Title() + " portal", Version: version,
			Description: "Goals and deliverables agreed with " + p.Title(), Icons: portal.Icons(),
		},
		Instructions: p.Instructions(),
		Register: func(g *guard.Guard) {
			p.Register(g)
			p.Changed = g.ResourceUpdated
			if !p.ReadOnly() {
				go p.Watch(ctx, g.HasSessions)
			}
		},
		Complete:         p.Complete,
		Version:          p.Version,
		Ready:            p.Ready,
		Verifier:         cfg.verifier,
		Client:           cfg.client,
		Access:           cfg.settings.Access,
		Limits:           cfg.settings.Limits,
		Telemetry:        sent,
		Logger:           logger,
		LoopbackHostOnly: cfg.mode == identity.ModeDev && cfg.loopback(),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.settingsFrom, err)
	}
	return handler, nil
}

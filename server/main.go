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
	"syscall"

	"github.com/berth-mcp/berth/server/cloudlog"
	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const version = "0.1.0"

func main() {
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
	handler, err := newHandler(cfg, logger, func(g *guard.Guard) {
		cfg.portal.Register(g, cfg.revision)
	})
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	return serve(ctx, cfg, handler, logger)
}

func newHandler(cfg config, logger *slog.Logger, register func(*guard.Guard)) (*endpoint.Handler, error) {
	handler, err := endpoint.New(endpoint.Options{
		Implementation:   &mcp.Implementation{Name: "berth-portal", Title: cfg.portal.Name() + " portal", Version: version},
		Instructions:     cfg.portal.Instructions(),
		Register:         register,
		Verifier:         cfg.verifier,
		Client:           cfg.portal.Client(),
		Access:           cfg.settings.Access,
		Limits:           cfg.settings.Limits,
		Logger:           logger,
		LoopbackHostOnly: cfg.mode == identity.ModeDev && cfg.loopback(),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.settingsFrom, err)
	}
	return handler, nil
}

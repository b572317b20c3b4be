package cmd

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/page"
	"github.com/berth-mcp/berth/proxy/relay"
)

// showPage has the proxy show its page to browsers.
func (c *common) showPage(command *cobra.Command, proxy *relay.Relay, tokens relay.TokenSource, log *slog.Logger) {
	place, err := userPlace()
	if err != nil {
		log.Debug("the page does not know which editors are here", "error", err)
	}
	d := doctor.Doctor{Tokens: tokens, RootCAs: c.roots}
	page.New(page.Options{
		Port:     proxy.Port(),
		Secret:   proxy.Secret,
		Version:  version(),
		Snapshot: proxy.Snapshot,
		Account:  proxy.Account,
		Visit: func(ctx context.Context, t relay.Target) doctor.Report {
			ctx, done := proxy.Sender().WhileServed(ctx, t) // a client may be removed meanwhile
			defer done()
			return d.Visit(ctx, t)
		},
		System:  place.System,
		Command: func(client string) []string { return c.stdioCommand(command, place.Program, client) },
		Logger:  log,
	}).Register(proxy.Handle)
}

package cmd

import (
	"context"
	"fmt"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/bridge"
	"github.com/berth-mcp/berth/proxy/relay"
)

const stdioLong = `stdio connects one editor to one client's server over standard input and output,
for editors that only start commands (Claude Desktop). The editor starts it, and
ends it by closing its end. It listens on no port, so that any number of editors
may start it at once.

Messages of MCP, one a line, are all that goes to standard output; the log goes to
standard error. When standard input ends, calls under way are answered first.

A client that is named, and not given by its URL, follows the file of clients. Once
it is removed there, all that the editor sends is answered with an error that says
so; with another URL, the session goes on with that server.`

func newStdio(c *common) *cobra.Command {
	return &cobra.Command{
		Use:               "stdio CLIENT=URL | CLIENT",
		Short:             "Connect one editor over standard input and output",
		Long:              stdioLong,
		Example:           "  berth-proxy stdio acme=https://acme-123456.europe-west1.run.app",
		ValidArgsFunction: c.completeClients(1),
		RunE:              c.stdio,
	}
}

func (c *common) stdio(command *cobra.Command, args []string) error {
	file, clients, err := c.clients(command, args)
	switch {
	case err != nil:
		return err
	case len(clients) != 1:
		return &exitError{exitUsage, fmt.Errorf("stdio connects to one client, and not to %d: name one", len(clients))}
	}
	log := c.logger(command.ErrOrStderr())
	tokens := c.tokens(log)
	targets, err := c.locateAll(command.Context(), tokens, clients)
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent) // editors start one for each of their windows and each client
	// An editor that has gone is an error of writing, and no reason to be killed before
	// the server has been told.
	signal.Ignore(syscall.SIGPIPE)
	sender := relay.NewSender(tokens, c.roots, targets)
	defer sender.Close()

	ctx, stop := context.WithCancel(command.Context())
	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	if inFile(args) {
		r := &reloader{common: c, args: []string{targets[0].Name}, targets: sender.SetTargets, tokens: tokens, log: log, file: file, state: c.read}
		following.Go(func() { r.follow(ctx) })
	}
	return bridge.Stdio(command.Context(), command.InOrStdin(), plaintext.Raw(command.OutOrStdout()), bridge.Options{
		Target: targets[0],
		Sender: sender,
		Follow: true,
		Logger: log,
	})
}

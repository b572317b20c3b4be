package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/relay"
)

func newServe(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "serve CLIENT=URL [CLIENT=URL...]",
		Short: "Listen for editors until told to stop; what berth-proxy does without a command",
		RunE:  c.serve,
	}
}

func (c *common) serve(command *cobra.Command, args []string) error {
	targets, err := c.targets(command, args)
	if err != nil {
		return err
	}
	return c.run(command.Context(), targets, command.OutOrStdout(), command.ErrOrStderr())
}

func (c *common) run(ctx context.Context, targets []relay.Target, stdout, stderr io.Writer) error {
	log := c.logger(stderr)
	proxy, err := relay.New(relay.Options{Port: c.port, Targets: targets, Tokens: c.tokens(log), Logger: log})
	var taken *relay.PortTakenError
	switch {
	case errors.As(err, &taken):
		return &exitError{exitPortTaken, err}
	case err != nil:
		return err
	}
	if err := announce(stdout, proxy.URL(), targets); err != nil {
		return errors.Join(fmt.Errorf("write to standard output: %w", err), proxy.Close())
	}
	return proxy.Serve(ctx)
}

// announce tells where the proxy listens. Programs that start it wait for the first line.
func announce(stdout io.Writer, url string, targets []relay.Target) error {
	var lines strings.Builder
	fmt.Fprintf(&lines, "berth-proxy is listening on %s\n", url)
	for _, t := range targets {
		fmt.Fprintf(&lines, "  %s  %s/%s/mcp  ->  %s\n", t.Name, url, t.Name, t.URL())
	}
	_, err := io.WriteString(stdout, lines.String())
	return err
}

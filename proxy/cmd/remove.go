package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/config"
)

func newRemove(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "remove CLIENT...",
		Short: "Remove clients that were added",
		Long: `Removes clients from the file of clients. A berth-proxy that is running sends
nothing more to them, but for what is under way.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &exitError{exitUsage, errors.New("no client is given: see `berth-proxy list`")}
			}
			return nil
		},
		ValidArgsFunction: c.completeClients(anyNumber),
		RunE: func(command *cobra.Command, args []string) error {
			if _, err := c.settle(command); err != nil {
				return err
			}
			if err := config.Remove(c.configFile, args); err != nil {
				return &exitError{exitUsage, err}
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "removed %s from %s\n", strings.Join(args, ", "), c.configFile)
			return err
		},
	}
}

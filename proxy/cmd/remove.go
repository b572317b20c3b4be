package cmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/editors"
)

const removeLong = `Removes clients from the file of clients. A berth-proxy that is running, stdio
among them, notices within two seconds. From then on it sends no new request to
the client's server: no retry, no renewed token, and nothing to end a session.
Streams and sessions with the server end at once. Only the answer to a call that
has already been sent may still arrive.`

func newRemove(c *common) *cobra.Command {
	return &cobra.Command{
		Use:   "remove CLIENT...",
		Short: "Remove clients that were added",
		Long:  removeLong,
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
			out := command.OutOrStdout()
			if _, err := fmt.Fprintf(out, "removed %s from %s\n", strings.Join(args, ", "), c.configFile); err != nil {
				return err
			}
			return tellWhoStillLeadsTo(out, args)
		},
	}
}

// tellWhoStillLeadsTo names the editors that have entries for clients which are gone. One
// whose configuration cannot be read is left to the doctor.
func tellWhoStillLeadsTo(out io.Writer, clients []string) error {
	place, err := userPlace()
	if err != nil {
		return err
	}
	for _, e := range editors.All() {
		installed, err := e.Installed(place)
		if err != nil {
			continue
		}
		for _, i := range installed {
			if !slices.Contains(clients, i.Client) {
				continue
			}
			if _, err := fmt.Fprintf(out, "%s still leads to %s: run berth-proxy uninstall %s --client %[2]s\n", e.Title, i.Client, e.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

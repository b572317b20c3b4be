package cmd

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/config"
)

func newList(c *common) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the clients that were added",
		Args:  exactly(0, "list takes none"),
		RunE: func(command *cobra.Command, _ []string) error {
			file, err := c.settle(command)
			if err != nil {
				return err
			}
			if asJSON {
				return listJSON(command.OutOrStdout(), file.Clients)
			}
			return list(command.OutOrStdout(), file)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return command
}

func listJSON(w io.Writer, clients []config.Client) error {
	if clients == nil {
		clients = []config.Client{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(clients)
}

func list(w io.Writer, file config.File) error {
	if len(file.Clients) == 0 {
		_, err := fmt.Fprintf(w, "no clients in %s: add one with `berth-proxy add`\n", file.Name)
		return err
	}
	table := newTable(w)
	for _, client := range file.Clients {
		server := client.URL
		if !client.Located() {
			server = fmt.Sprintf("%s in %s of %s", client.Service, client.Region, client.Project)
		}
		table.row(client.Name, server)
	}
	return table.flush()
}

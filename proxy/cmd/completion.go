package cmd

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/token"
)

// completeClients has shells offer the clients in the file as arguments, at most so many.
func (c *common) completeClients(most int) cobra.CompletionFunc {
	return func(command *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var names []cobra.Completion
		if len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		file, _ := c.settings(command) // with problems, what there is of it
		for _, client := range file.Clients {
			if !slices.Contains(args, client.Name) {
				names = append(names, client.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// anyNumber of arguments may be completed.
const anyNumber = 1 << 10

// completeFlags has shells offer the values of flags that have few.
func completeFlags(command *cobra.Command) {
	var logins []cobra.Completion
	for _, k := range token.Kinds {
		logins = append(logins, string(k))
	}
	for flag, values := range map[string][]cobra.Completion{
		"login":      logins,
		"log-format": {"text", "json"},
		"log-level":  {"debug", "info", "warn", "error"},
	} {
		err := command.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		if err != nil {
			panic(err) // there is no such flag: a mistake in this table
		}
	}
}

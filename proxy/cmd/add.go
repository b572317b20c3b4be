package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/relay"
)

const addLong = `Adds a client to the file of clients, for all later runs of berth-proxy. One
that is running takes it up by itself.

With --replace, a client gets other settings. If its URL or audience changes, the
former server gets no new request, as after ` + "`berth-proxy remove`" + `.

The server is given by its URL, or as a service on Cloud Run by its project,
region and exact name. The URL of a service is looked up once, with your own
login, for which you need run.services.get on it (roles/run.viewer).`

func newAdd(c *common) *cobra.Command {
	var client config.Client
	var replace bool
	command := &cobra.Command{
		Use:   "add CLIENT=URL | add CLIENT --project PROJECT --region REGION --service SERVICE",
		Short: "Add a client for good",
		Long:  addLong,
		Example: `  berth-proxy add acme=https://acme-123456.europe-west1.run.app
  berth-proxy add acme --project my-project --region europe-west1 --service berth-acme`,
		Args: exactly(1, "give one client, as CLIENT=URL or as CLIENT with --project, --region and --service"),
		RunE: func(command *cobra.Command, args []string) error {
			return c.add(command, args[0], client, replace)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&client.Project, "project", "", "id of the service's Google project")
	flags.StringVar(&client.Region, "region", "", "the service's region, such as europe-west1")
	flags.StringVar(&client.Service, "service", "", "the service's exact name on Cloud Run")
	flags.StringVar(&client.Audience, "audience", "", "custom audience of the service, for logins that can choose one")
	flags.StringVar(&client.AccessHint, "access-hint", "", "whom to ask for access, such as a group's address")
	flags.BoolVar(&replace, "replace", false, "replace a client of that name")
	return command
}

func (c *common) add(command *cobra.Command, arg string, client config.Client, replace bool) error {
	_, settings := c.settle(command)
	name, _, hasURL := strings.Cut(arg, "=")
	client.Name = name
	if hasURL {
		targets, err := relay.ParseTargets([]string{arg})
		if err != nil {
			return &exitError{exitUsage, errors.Join(settings, err)}
		}
		client.URL = targets[0].URL()
	}
	problems := []error{settings}
	who := "client"
	if relay.CheckName(name) == nil { // what is none may be anything, such as a secret
		who = fmt.Sprintf("client %q", name)
	}
	for _, problem := range client.Check() {
		problems = append(problems, fmt.Errorf("%s: %w", who, problem))
	}
	if err := errors.Join(append(problems, c.checkClients([]config.Client{client}))...); err != nil {
		return &exitError{exitUsage, err}
	}
	if !client.Located() {
		var err error
		if client, err = c.locate(command.Context(), c.tokens(c.logger(command.ErrOrStderr())), client); err != nil {
			return err
		}
	}
	err := config.Add(c.configFile, client, replace)
	if errors.Is(err, config.ErrExists) {
		return &exitError{exitUsage, fmt.Errorf("client %q is in %s already, with other settings: give another name, or --replace", client.Name, c.configFile)}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(command.OutOrStdout(), "%s  %s\nadded to %s\n", client.Name, client.URL, c.configFile)
	return err
}

// exactly is an argument check that says what was wanted.
func exactly(n int, want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return &exitError{exitUsage, fmt.Errorf("%d arguments: %s", len(args), want)}
		}
		return nil
	}
}

package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/locate"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const noClient = "no client is given: write CLIENT=URL, such as acme=https://acme-123.europe-west1.run.app, or add one for good with `berth-proxy add`"

// targets returns the clients that a command is for: those of arguments CLIENT=URL, those
// in the file that the arguments name, or without arguments all in the file. The error is
// one of usage and tells every problem; or it tells which services could not be found.
func (c *common) targets(command *cobra.Command, args []string) ([]relay.Target, error) {
	_, clients, err := c.clients(command, args)
	if err != nil {
		return nil, err
	}
	return c.locateAll(command.Context(), c.tokens(c.logger(command.ErrOrStderr())), clients)
}

// clients are the targets of which some may have to be located, with the file.
func (c *common) clients(command *cobra.Command, args []string) (config.File, []config.Client, error) {
	file, err := c.settings(command)
	clients, wrong := choose(file, args)
	if err := errors.Join(err, wrong, c.checkClients(clients)); err != nil {
		return file, nil, &exitError{exitUsage, err}
	}
	return file, clients, nil
}

// inFile reports whether arguments leave it to the file which clients there are, and where.
func inFile(args []string) bool {
	return !slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, "=") })
}

func choose(file config.File, args []string) ([]config.Client, error) {
	if !inFile(args) {
		targets, err := relay.ParseTargets(args)
		var clients []config.Client
		for _, t := range targets {
			clients = append(clients, config.Client{Name: t.Name, URL: t.URL()})
		}
		return clients, err
	}
	if len(args) == 0 {
		if len(file.Clients) == 0 {
			return nil, errors.New(noClient)
		}
		return file.Clients, nil
	}
	var clients []config.Client
	var problems []error
	for i, name := range args {
		at := slices.IndexFunc(file.Clients, func(c config.Client) bool { return c.Name == name })
		if at < 0 {
			// It is not repeated: it may be anything, such as a secret without its option.
			problems = append(problems, fmt.Errorf("argument %d is neither CLIENT=URL, nor a client in %s, nor a command: see `berth-proxy list` and `berth-proxy --help`", i+1, file.Name))
			continue
		}
		clients = append(clients, file.Clients[at])
	}
	return clients, errors.Join(problems...)
}

// checkClients also checks what cannot be known of a client alone.
func (c *common) checkClients(clients []config.Client) error {
	var located []relay.Target
	for _, client := range clients {
		if !client.Located() {
			continue
		}
		target, err := client.Target()
		if err != nil {
			return err
		}
		located = append(located, target)
	}
	return c.checkWorld(located)
}

// locateAll finds the URLs that are not known. The targets that are complete come with the
// error, which tells what is wrong with each of the others.
func (c *common) locateAll(ctx context.Context, tokens *token.Source, clients []config.Client) ([]relay.Target, error) {
	problems := make([]error, len(clients))
	var wg sync.WaitGroup
	clients = slices.Clone(clients)
	for i := range clients {
		if !clients[i].Located() {
			wg.Go(func() { clients[i], problems[i] = c.locate(ctx, tokens, clients[i]) })
		}
	}
	wg.Wait()
	var targets []relay.Target
	for i, client := range clients {
		if problems[i] != nil {
			continue
		}
		target, err := client.Target()
		if problems[i] = err; err == nil {
			targets = append(targets, target)
		}
	}
	return targets, errors.Join(problems...)
}

// known are the targets of the clients that need not be looked for.
func (c *common) known(clients []config.Client) []relay.Target {
	var targets []relay.Target
	for _, client := range clients {
		if url, found := c.located.Load(serviceOf(client)); !client.Located() && found {
			client.URL = url.(string)
		}
		if target, err := client.Target(); client.Located() && err == nil {
			targets = append(targets, target)
		}
	}
	return targets
}

func serviceOf(c config.Client) locate.Service {
	return locate.Service{Project: c.Project, Region: c.Region, Name: c.Service}
}

// locate returns the client with its service's URL, which is asked for once: a reload must
// not lose a client that is served because the API, or the login, fails at that moment.
func (c *common) locate(ctx context.Context, tokens *token.Source, client config.Client) (config.Client, error) {
	service := serviceOf(client)
	if url, known := c.located.Load(service); known {
		client.URL = url.(string)
		return client, nil
	}
	url, err := c.locator(tokens).URL(ctx, service)
	if err != nil {
		return client, fmt.Errorf("client %q: %w", client.Name, err)
	}
	client.URL = url
	// What an API answers is checked as what a person writes: a token is to go there.
	if problems := client.Check(); len(problems) > 0 {
		return client, fmt.Errorf("client %q: the Cloud Run API gave a URL that cannot be used: %w", client.Name, errors.Join(problems...))
	}
	if err := c.checkClients([]config.Client{client}); err != nil {
		return client, err
	}
	c.located.Store(service, url)
	return client, nil
}

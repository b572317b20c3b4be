package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/operate"
	"github.com/berth-mcp/berth/proxy/relay"
)

// complete checks flags and arguments and finds the editors that they mean. The error
// tells every problem.
func (i *connection) complete(command *cobra.Command, args []string) (editors.Place, []editors.Editor, error) {
	file, err := i.settle(command)
	i.file = file
	problems := []error{err}
	if i.port == 0 {
		problems = append(problems, errors.New("--port 0 is another port each time, which no editor can know: choose one"))
	}
	place, err := i.place()
	problems = append(problems, err)
	if place.Project != "" && i.pathSecret {
		problems = append(problems, errors.New("--scope project: the file of a project is for others, too, and the proxy's addresses have your secret in them (path-secret): leave --scope out"))
	}
	var chosen []editors.Editor
	for _, id := range args {
		e, err := editors.Named(id)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		chosen = append(chosen, e)
	}
	switch {
	case i.every && len(args) > 0:
		problems = append(problems, errors.New("--all means every editor: leave it out, or the editors"))
	case i.every:
		chosen = slices.DeleteFunc(editors.All(), func(e editors.Editor) bool {
			return !e.Found(place.System) || (place.Project != "" && e.ProjectFile(place.Project) == "")
		})
		if len(chosen) == 0 && err == nil {
			problems = append(problems, errors.New("no editor is found on this computer: name one, see berth-proxy install --list"))
		}
	case len(args) == 0 && !i.list:
		problems = append(problems, errors.New("no editor is given: name one, see berth-proxy install --list, or use --all"))
	}
	return place, chosen, errors.Join(problems...)
}

func (i *connection) place() (editors.Place, error) {
	place, err := userPlace()
	if err != nil {
		return place, err
	}
	place.DryRun = i.dryRun
	switch i.scope {
	case "user":
		return place, nil
	case "project":
		place.Project, err = os.Getwd()
		return place, err
	}
	return place, fmt.Errorf("--scope %q: use user or project", i.scope)
}

// userPlace is where this user's editors have their configurations.
func userPlace() (editors.Place, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return editors.Place{}, fmt.Errorf("find your home directory: %w", err)
	}
	var problems []error
	for _, variable := range editors.Variables() {
		problems = append(problems, checkDirectory(variable))
	}
	if err := errors.Join(problems...); err != nil {
		return editors.Place{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return editors.Place{}, fmt.Errorf("find the path of berth-proxy: %w", err)
	}
	return editors.Place{System: editors.System{OS: runtime.GOOS, Home: home, Getenv: os.Getenv}, Program: program}, nil
}

// chooseClients takes those of the file if none was named, and checks them all.
func (i *connection) chooseClients(chosen []editors.Editor) error {
	var problems []error
	inFile := make([]string, len(i.file.Clients))
	for at, client := range i.file.Clients {
		inFile[at] = client.Name
	}
	if len(i.clients) == 0 {
		if i.clients = inFile; len(inFile) == 0 {
			problems = append(problems, errors.New("no client is given: name it with --client, or add it for good with `berth-proxy add`"))
		}
	}
	for _, client := range i.clients {
		if err := relay.CheckName(client); err != nil {
			problems = append(problems, fmt.Errorf("--client %q: %w", client, err))
			continue
		}
		starts := slices.IndexFunc(chosen, i.starts)
		if starts >= 0 && !slices.Contains(inFile, client) {
			problems = append(problems, fmt.Errorf("--client %q: %s starts berth-proxy by itself, and does not know where that client's server is: add it with `berth-proxy add %s=URL` first",
				client, chosen[starts].Title, client))
		}
	}
	if i.name != "" {
		if err := editors.CheckName(i.name); err != nil {
			problems = append(problems, fmt.Errorf("--name %q: %w", i.name, err))
		}
		if len(i.clients) > 1 {
			problems = append(problems, errors.New("--name is for one client: leave it out, or name one with --client"))
		}
	}
	return errors.Join(problems...)
}

// hasSecret reports whether the entry of an editor has the secret of the local path in it.
func (i *connection) hasSecret(e editors.Editor) bool { return i.pathSecret && !i.starts(e) }

// checkListener refuses to have editors send the secret to a program that has the port and
// has not proved that it knows it.
func (i *connection) checkListener(ctx context.Context, chosen []editors.Editor) error {
	if !slices.ContainsFunc(chosen, i.hasSecret) {
		return nil
	}
	_, err := operate.Ask(ctx, i.port, i.secret)
	if err == nil || operate.NothingListens(err) {
		return nil
	}
	return fmt.Errorf("port %d is taken by a program that has not proved to be your berth-proxy (%w), and that editors would send the secret in their addresses: stop it, or start it again if it is an older berth-proxy or one without --path-secret; or choose another port with --port", i.port, err)
}

// starts reports whether an editor is to start berth-proxy rather than call it.
func (i *connection) starts(e editors.Editor) bool { return i.stdio || !e.TakesURL() }

// server is where the editor's entry for a client leads.
func (i *connection) server(command *cobra.Command, e editors.Editor, client string, place editors.Place) editors.Server {
	server := editors.Server{Name: cmp.Or(i.name, client)}
	if !i.starts(e) {
		server.URL = relay.LocalURL(i.port, i.secret) + "/" + client + "/mcp"
		return server
	}
	program := place.Program
	if place.Project != "" {
		program = "berth-proxy" // others who work on the project have it elsewhere
	}
	server.Command = i.stdioCommand(command, program, client)
	return server
}

// notForStdio are the flags that an editor's own berth-proxy has no use for.
var notForStdio = []string{"port", pathSecretFlag, "log-format", "log-level"}

// stdioCommand is what an editor runs for a client. It finds what this command found, the
// same login and the same cloud, without the variables of this terminal and from any
// directory.
func (c *common) stdioCommand(command *cobra.Command, program, client string) []string {
	return append([]string{program, "stdio", client}, given(command, notForStdio...)...)
}

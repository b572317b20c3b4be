package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/editors"
)

const installLong = `Writes an entry for each CLIENT into the configuration of editors, so that they
find its server at the local proxy; without --client, for all that were added with
"berth-proxy add". Nothing else of a file is changed: comments and other entries
stay, and what the file was before is kept beside it, in one that ends in
.berth-backup.

An editor gets the proxy's URL, and berth-proxy must run while it is used. Where
an editor takes no URL on this computer, or with --stdio, the entry starts
"berth-proxy stdio CLIENT" instead, which listens on no port: use it on a
computer that several people share. A file that gets the secret of --path-secret
is made private to you, and so is its backup.`

// A connection is what install and uninstall do, as the flags say.
type connection struct {
	*common
	file               config.File
	secret             string // of the local path
	clients            []string
	every              bool
	scope, name        string
	stdio, force       bool
	dryRun, list, link bool
	asJSON             bool
}

func newInstall(c *common) *cobra.Command {
	i := &connection{common: c}
	command := &cobra.Command{
		Use:   "install EDITOR... [--client CLIENT]",
		Short: "Connect editors to the proxy",
		Long:  installLong,
		Example: `  berth-proxy install cursor vscode
  berth-proxy install --all --client acme --dry-run
  berth-proxy install --list`,
		RunE:              i.install,
		ValidArgsFunction: completeEditors,
	}
	i.addTo(command)
	flags := command.Flags()
	flags.StringVar(&i.name, "name", "", "name of the entry, if it is not to be that of the client")
	flags.BoolVar(&i.stdio, "stdio", false, "have the editor start berth-proxy itself")
	flags.BoolVar(&i.force, "force", false, "replace an entry of that name which leads to something else")
	flags.BoolVar(&i.link, "link", false, "change nothing; print the link at which the editor offers to add the entry")
	flags.BoolVar(&i.list, "list", false, "change nothing; print the known editors and which clients they have")
	flags.BoolVar(&i.asJSON, "json", false, "print the list as JSON")
	return command
}

func newUninstall(c *common) *cobra.Command {
	u := &connection{common: c}
	command := &cobra.Command{
		Use:   "uninstall EDITOR... [--client CLIENT]",
		Short: "Take the proxy's entries out of editors",
		Long: `Takes out of editors' configuration the entries that lead to the proxy: those for
each CLIENT, or all of them.`,
		Example: `  berth-proxy uninstall cursor --client acme
  berth-proxy uninstall --all`,
		RunE:              u.uninstall,
		ValidArgsFunction: completeEditors,
	}
	u.addTo(command)
	return command
}

func (i *connection) addTo(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&i.clients, "client", nil, "client whose server is meant; may be given several times")
	flags.BoolVar(&i.every, "all", false, "all editors that are found on this computer")
	flags.StringVar(&i.scope, "scope", "user", "user: for all of your projects; project: for the one in this directory")
	flags.BoolVar(&i.dryRun, "dry-run", false, "change nothing; print what would change")
	for flag, complete := range map[string]cobra.CompletionFunc{
		"client": i.completeClients(anyNumber),
		"scope":  cobra.FixedCompletions([]cobra.Completion{"user", "project"}, cobra.ShellCompDirectiveNoFileComp),
	} {
		if err := command.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // there is no such flag: a mistake in this table
		}
	}
}

// completeEditors has shells offer the editors that are not named yet.
func completeEditors(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var ids []cobra.Completion
	for _, e := range editors.All() {
		if !slices.Contains(args, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (i *connection) install(command *cobra.Command, args []string) error {
	place, chosen, err := i.complete(command, args)
	problems := []error{err}
	if i.link && slices.ContainsFunc(chosen, i.hasSecret) {
		problems = append(problems, errors.New("--link: whatever opens the link shows it to every user of this computer, and the proxy's addresses have your secret in them (path-secret): leave --link out, or add --stdio"))
	}
	if !i.list {
		problems = append(problems, i.chooseClients(chosen))
		if place.Project == "" && slices.ContainsFunc(chosen, i.starts) {
			problems = append(problems, checkStays(place.Program))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return &exitError{exitUsage, err}
	}
	if i.secret, err = i.common.secret(); err != nil {
		return err
	}
	if i.list {
		return i.printList(command.OutOrStdout(), place)
	}
	if err := i.checkListener(command.Context(), chosen); err != nil {
		return &exitError{exitPortTaken, err}
	}
	changed := false
	err = each(chosen, func(e editors.Editor) error {
		var servers []editors.Server
		for _, client := range i.clients {
			servers = append(servers, i.server(command, e, client, place))
		}
		if i.link {
			return printLinks(command.OutOrStdout(), e, servers)
		}
		done, err := e.Install(place, i.force, servers...)
		if err != nil {
			return err
		}
		report(command.OutOrStdout(), e, done, i.dryRun)
		changed = changed || (done.Diff != "" && !i.dryRun)
		return nil
	})
	if changed {
		fmt.Fprintln(command.OutOrStdout(), "Restart the editor, or have it load its servers again.")
	}
	return err
}

func (i *connection) uninstall(command *cobra.Command, args []string) error {
	place, chosen, err := i.complete(command, args)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	return each(chosen, func(e editors.Editor) error {
		done, err := e.Uninstall(place, i.port, i.clients)
		if err == nil {
			report(command.OutOrStdout(), e, done, i.dryRun)
		}
		return err
	})
}

// each does something with every editor, whatever becomes of the others.
func each(chosen []editors.Editor, do func(editors.Editor) error) error {
	var problems []error
	for _, e := range chosen {
		if err := do(e); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", e.ID, err))
		}
	}
	return errors.Join(problems...)
}

func printLinks(out io.Writer, e editors.Editor, servers []editors.Server) error {
	for _, server := range servers {
		link, err := e.Link(server)
		switch {
		case err != nil:
			return err
		case link == "":
			return fmt.Errorf("%s has no such link: leave --link out", e.Title)
		}
		if _, err := fmt.Fprintln(out, link); err != nil {
			return err
		}
	}
	return nil
}

// report tells what was done. Output that nobody takes undoes nothing of it.
func report(out io.Writer, e editors.Editor, done editors.Change, dryRun bool) {
	file := plaintext.Line(done.File)
	switch {
	case done.Diff == "":
		fmt.Fprintf(out, "%s: nothing to change in %s\n", e.Title, file)
	case dryRun:
		fmt.Fprint(out, editors.Redact(done.Diff)) // the output may go into a log
	case done.Backup == "":
		fmt.Fprintf(out, "%s: wrote %s\n", e.Title, file)
	default:
		fmt.Fprintf(out, "%s: changed %s (before: %s)\n", e.Title, file, plaintext.Line(done.Backup))
	}
	for _, file := range done.Closed {
		if dryRun {
			fmt.Fprintf(out, "%s: others can read %s, which holds a secret: they no longer could\n", e.Title, file)
		} else {
			fmt.Fprintf(out, "%s: others could read %s, which holds a secret: now only you can\n", e.Title, file)
		}
	}
}

// A listed editor is one line of install --list.
type listed struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Found   bool     `json:"found"`
	File    string   `json:"file"`
	Clients []string `json:"clients"`           // that it is connected to
	Problem string   `json:"problem,omitempty"` // with the file
}

func (i *connection) printList(out io.Writer, place editors.Place) error {
	var all []listed
	for _, e := range editors.All() {
		l := listed{ID: e.ID, Title: e.Title, Found: e.Found(place.System), File: e.UserFile(place.System), Clients: []string{}}
		if place.Project != "" {
			if l.File = e.ProjectFile(place.Project); l.File == "" {
				continue
			}
		}
		installed, err := e.Installed(place)
		if err != nil {
			l.Problem = err.Error()
		}
		for _, entry := range installed {
			l.Clients = append(l.Clients, entry.Client)
		}
		all = append(all, l)
	}
	if i.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	}
	table := newTable(out)
	table.row("EDITOR", "FOUND", "CLIENTS", "FILE")
	for _, l := range all {
		found, clients := "-", "-"
		if l.Found {
			found = "yes"
		}
		if len(l.Clients) > 0 {
			clients = fmt.Sprint(l.Clients)
		}
		if l.Problem != "" {
			clients = "not readable: " + l.Problem
		}
		table.row(l.ID, found, clients, l.File)
	}
	return table.flush()
}

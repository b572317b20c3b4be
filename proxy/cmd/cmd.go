// Package cmd is berth-proxy's command line: it reads flags and environment, puts the
// parts of the proxy together and runs them until a signal. What the parts do is theirs.
package cmd

//go:generate go test -run ReferenceOfTheProxy . -update

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// The exit codes of berth-proxy.
const (
	exitOK        = 0 // stopped by a signal, or printed what was asked for
	exitFailed    = 1 // anything else that went wrong
	exitUsage     = 2 // arguments, flags or environment are wrong
	exitPortTaken = 3 // something else listens on the port
)

// An exitError is an error with the exit code that it ends the program with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

const long = `berth-proxy lets the MCP clients on this computer use private MCP servers on
Cloud Run. It listens on localhost and passes requests on to the server of each
CLIENT, signed with your own Google login. Log in once with

  gcloud auth application-default login

URL is the server's address, with or without /mcp at its end. Without arguments,
berth-proxy serves the clients that were added with "berth-proxy add", and takes
up at once what is added or removed; a CLIENT alone is one of them. Connect
editors to http://localhost:3030/CLIENT/mcp, or /CLIENT/sse for older ones; with
a single client also to http://localhost:3030/mcp.

The flags that all commands take may also be set in the environment (--token-url
is BERTH_PROXY_TOKEN_URL), or in the file of clients (token-url: ...).
GOOGLE_APPLICATION_CREDENTIALS names the login file, if it is not where gcloud
writes it. BERTH_PROXY_TOKEN is an ID token to use in place of a login.
HTTPS_PROXY is honoured.

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage, 3 the port is taken.`

// Main runs berth-proxy with its arguments, the program's name not among them, and
// returns its exit code. SIGINT and SIGTERM stop it: calls under way have five seconds.
//
// Much of what commands print was written by others: servers, editors' files of a cloned
// repository, whatever listens on the port. All output is therefore made plain here;
// [plaintext.Raw] is for the little that must not be.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore) // a second signal ends the program at once

	stdout, stderr = plaintext.NewWriter(stdout), plaintext.NewWriter(stderr)
	command := newRoot(&common{})
	command.SetArgs(append([]string{}, args...)) // instead of nil, cobra takes those of the process
	command.SetOut(stdout)
	command.SetErr(stderr)
	err := command.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "berth-proxy: %s\n", strings.TrimSuffix(line, "\n"))
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitFailed
}

// newRoot is the command without a name, which serves. An argument CLIENT=URL has a sign
// that no command's name has; a client that is called as a command is named after "serve".
func newRoot(c *common) *cobra.Command {
	command := &cobra.Command{
		Use:               "berth-proxy [serve] [CLIENT=URL... | CLIENT...]",
		Short:             "Use private MCP servers on Cloud Run from this computer",
		Long:              long,
		Example:           "  berth-proxy acme=https://acme-123456.europe-west1.run.app",
		Version:           version(),
		SilenceUsage:      true,
		SilenceErrors:     true,
		ValidArgsFunction: c.completeClients(anyNumber),
		Args:              cobra.ArbitraryArgs,
		RunE:              c.serve,
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		var invalid *pflag.InvalidValueError
		if errors.As(err, &invalid) && invalid.GetFlag().Name == pathSecretFlag {
			err = notThat(pathSecretFlag, "--"+pathSecretFlag, invalid.GetValue())
		}
		return &exitError{exitUsage, fmt.Errorf("%w: see berth-proxy --help", err)}
	})
	c.addTo(command.PersistentFlags())
	completeFlags(command)
	command.Flags().SortFlags = false // the ones most used come first
	command.AddCommand(
		newServe(c),
		newStdio(c),
		newAdd(c),
		newRemove(c),
		newList(c),
		newInstall(c),
		newUninstall(c),
		newDoctor(c),
		newService(c),
	)
	return command
}

// version is the module's version, which of a checkout is its tag or commit, and what it was
// built with and for.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return fmt.Sprintf("%s %s %s/%s", cmp.Or(info.Main.Version, "(devel)"), info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

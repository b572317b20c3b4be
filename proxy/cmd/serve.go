package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/bridge"
	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/operate"
	"github.com/berth-mcp/berth/proxy/relay"
)

func newServe(c *common) *cobra.Command {
	return &cobra.Command{
		Use:               "serve [CLIENT=URL... | CLIENT...]",
		Short:             "Listen for editors until told to stop; what berth-proxy does without a command",
		ValidArgsFunction: c.completeClients(anyNumber),
		RunE:              c.serve,
	}
}

func (c *common) serve(command *cobra.Command, args []string) error {
	file, clients, err := c.clients(command, args)
	if err != nil {
		return err
	}
	secret, err := c.secret()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(command.Context())
	defer stop()
	log := c.logger(command.ErrOrStderr())
	tokens := c.tokens(log)
	targets, err := c.locateAll(ctx, tokens, clients)
	if len(targets) == 0 {
		return err
	}
	r := &reloader{common: c, args: args, tokens: tokens, log: log, file: file, state: c.read, clients: clients}
	r.found(err)
	var older *bridge.SSE // sends through the proxy, and so is made after it
	debug.SetGCPercent(gcPercent)
	proxy, err := relay.New(relay.Options{
		Port: c.port, Secret: secret, Targets: targets, Tokens: tokens, RootCAs: c.roots, Logger: log,
		SSE: func(w http.ResponseWriter, r *http.Request, t relay.Target, prefix string) bool {
			return older.Serve(w, r, t, prefix)
		},
	})
	var taken *relay.PortTakenError
	switch {
	case errors.As(err, &taken):
		return &exitError{exitPortTaken, c.takenBy(command, taken, secret)}
	case err != nil:
		return err
	}
	r.targets = proxy.SetTargets
	older = bridge.NewSSE(proxy.Sender(), log)
	operate.Register(proxy, proxy.Sender().Sender, version())
	c.showPage(command, proxy, tokens, log)
	if inFile(args) {
		defer r.catchHangup()() // before a supervisor is told that the proxy is ready
	}
	if err := announce(command.OutOrStdout(), c.shownURL(command.OutOrStdout(), proxy), targets); err != nil {
		return errors.Join(fmt.Errorf("write to standard output: %w", err), proxy.Close())
	}

	var following sync.WaitGroup
	defer following.Wait()
	defer stop()
	if inFile(args) {
		following.Go(func() { r.follow(ctx) })
	}
	if secret != "" {
		following.Go(func() { c.followSecret(ctx, secret, proxy.SetSecret, log) })
	}
	return proxy.Serve(ctx)
}

// takenBy returns the error for a taken port, which says what has the port. If that has not
// proved that it knows the secret, editors may have sent it the secret, and a new one is made.
func (c *common) takenBy(command *cobra.Command, taken *relay.PortTakenError, secret string) error {
	other, err := operate.Ask(command.Context(), taken.Port, secret)
	switch {
	case err == nil:
		return fmt.Errorf("port %d is taken by another berth-proxy, which serves %s: use that one, stop it, or choose another port with --port (0 takes any that is free)",
			taken.Port, plaintext.Line(strings.Join(other.Clients, ", ")))
	case secret == "":
		return takenFromOutside(taken, err)
	case command.Context().Err() != nil:
		return errors.Join(taken, command.Context().Err())
	}
	if _, failed := c.secretOtherThan(secret); failed != nil {
		return errors.Join(taken, fmt.Errorf("the program on that port may know the secret in the proxy's addresses, and making a new one failed: %w", failed))
	}
	return fmt.Errorf("port %d is taken by a program that has not proved to be your berth-proxy (%v); your editors may have sent it the secret in their addresses, so a new secret was made: stop that program, or choose another port with --port, then connect the editors again with `%s`",
		taken.Port, err, c.connectAgain())
}

// takenFromOutside returns the error for a port that no proxy of this user has, without a
// secret. It tells if the system shows another user there.
func takenFromOutside(taken *relay.PortTakenError, asked error) error {
	var stranger *operate.StrangerError
	if !errors.As(asked, &stranger) || stranger.Owner == "" {
		return taken
	}
	return fmt.Errorf("port %d is taken by a program of another user (uid %s), who gets what your editors send there: choose another port with --port (0 takes any that is free), and connect the editors to that", taken.Port, stranger.Owner)
}

// connectAgain returns the command that gives the new secret to every editor that has one.
func (c *common) connectAgain() string {
	words := []string{"berth-proxy", "install"}
	if place, err := userPlace(); err == nil {
		words = append(words, editors.WithSecret(place)...)
	}
	if len(words) == 2 {
		words = append(words, "EDITOR...")
	}
	if standard, err := config.DefaultFile(); err != nil || c.configFile != standard {
		words = append(words, "--config", pathname.Quote(c.configFile))
	}
	if c.port != address.DefaultPort {
		words = append(words, "--port", strconv.Itoa(c.port))
	}
	return strings.Join(append(words, "--path-secret"), " ")
}

// shownURL is the proxy's address for standard output, which is a log where it is not a
// terminal, and then has no secret in it.
func (c *common) shownURL(stdout io.Writer, proxy *relay.Relay) string {
	if file, ok := plaintext.Raw(stdout).(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return proxy.URL()
	}
	return relay.LocalURL(proxy.Port(), "")
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

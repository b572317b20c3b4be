package cmd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const (
	defaultPort = 3030
	maxPort     = 65535
	envPrefix   = "BERTH_PROXY_"
)

// common is what the commands share: the flags that all of them take, and the parts of the
// proxy that are built from those. A command first calls targets, or check if it has none;
// the other methods need what these have read and checked.
type common struct {
	port      int
	tokenURL  string
	logFormat string
	logLevel  string
}

func (c *common) addTo(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.IntVar(&c.port, "port", defaultPort, "port to listen on, on 127.0.0.1 and ::1; 0 takes any that is free")
	flags.StringVar(&c.tokenURL, "token-url", token.GoogleTokenURL, "token endpoint for your login; https, or that of a cloud on this machine")
	flags.StringVar(&c.logFormat, "log-format", "text", "format of the log on standard error: text or json")
	flags.StringVar(&c.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
}

// targets returns the clients that the arguments name, each CLIENT=URL. The error tells
// every problem with them, the flags and the environment, and is one of usage.
func (c *common) targets(command *cobra.Command, args []string) ([]relay.Target, error) {
	problems := []error{c.problems(command)}
	if len(args) == 0 {
		problems = append(problems, errors.New("no client is given: write CLIENT=URL, such as acme=https://acme-123.europe-west1.run.app"))
	}
	targets, err := relay.ParseTargets(args)
	problems = append(problems, err, c.checkWorld(targets))
	if err := errors.Join(problems...); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return targets, nil
}

// check reads and checks flags and environment, for a command that has no targets. The
// error tells every problem, and is one of usage.
func (c *common) check(command *cobra.Command) error {
	if err := errors.Join(c.problems(command), c.checkWorld(nil)); err != nil {
		return &exitError{exitUsage, err}
	}
	return nil
}

// tokens is the developer's login. Nothing is read or fetched until a token is asked for.
func (c *common) tokens(log *slog.Logger) *token.Source {
	return token.NewSource(token.Options{TokenURL: c.tokenURL, Logger: log})
}

// logger writes in the format and from the level that were asked for. Commands log to
// standard error: on standard output is what they are asked for.
func (c *common) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.logLevel)) // checked
	opts := &slog.HandlerOptions{Level: level}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

func (c *common) problems(command *cobra.Command) error {
	return errors.Join(checkDebugging(), fromEnvironment(command), c.checkValues())
}

// fromEnvironment sets the shared flags that were not given from variables such as
// BERTH_PROXY_TOKEN_URL. An empty variable is one that is not set.
func fromEnvironment(command *cobra.Command) error {
	var problems []error
	command.Root().PersistentFlags().VisitAll(func(flag *pflag.Flag) {
		variable := envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value := os.Getenv(variable)
		if value == "" || flag.Changed {
			return
		}
		if err := flag.Value.Set(value); err != nil {
			problems = append(problems, fmt.Errorf("%s is %q, which --%s cannot be: see berth-proxy --help", variable, value, flag.Name))
		}
	})
	return errors.Join(problems...)
}

// checkDebugging refuses the one setting of Go's own with which its HTTP/2 client writes
// every header that it sends, and the token with them, to standard error.
func checkDebugging() error {
	if strings.Contains(os.Getenv("GODEBUG"), "http2debug") {
		return errors.New("GODEBUG has http2debug, which would print your tokens: unset it")
	}
	return nil
}

func (c *common) checkValues() error {
	var problems []error
	if c.port < 0 || c.port > maxPort {
		problems = append(problems, fmt.Errorf("--port %d: use 0 to %d", c.port, maxPort))
	}
	if c.logFormat != "text" && c.logFormat != "json" {
		problems = append(problems, fmt.Errorf("--log-format %q: use text or json", c.logFormat))
	}
	if err := new(slog.Level).UnmarshalText([]byte(c.logLevel)); err != nil {
		problems = append(problems, fmt.Errorf("--log-level %q: use debug, info, warn or error", c.logLevel))
	}
	return errors.Join(problems...)
}

// checkWorld sees to it that login and servers are of one world: a token of a cloud on
// this machine opens nothing elsewhere, and a real one is not sent to a port of this
// machine.
func (c *common) checkWorld(targets []relay.Target) error {
	u, err := url.Parse(c.tokenURL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("--token-url: use a URL of scheme, host and path, such as " + token.GoogleTokenURL)
	}
	shown, local := address.Show(u), address.IsLoopback(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return fmt.Errorf("--token-url %q would send your login unencrypted: use https (http is for this machine alone)", shown)
	}
	var problems []error
	for _, t := range targets {
		switch {
		case local && !t.Loopback():
			problems = append(problems, fmt.Errorf("client %q: --token-url %q is a cloud on this machine and %s is not in it: leave --token-url out, or give the URL of a local server", t.Name, shown, t.URL()))
		case !local && t.Loopback():
			problems = append(problems, fmt.Errorf("client %q: %s is on this machine, where a token from %s is not sent: give the --token-url of the local cloud", t.Name, t.URL(), shown))
		}
	}
	return errors.Join(problems...)
}

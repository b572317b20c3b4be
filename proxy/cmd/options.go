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

	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const (
	defaultPort = 3030
	maxPort     = 65535
	envPrefix   = "BERTH_PROXY_"
)

// options are the flags of berth-proxy.
type options struct {
	port      int
	tokenURL  string
	logFormat string
	logLevel  string
}

func (o *options) addTo(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	flags.IntVar(&o.port, "port", defaultPort, "port to listen on, on 127.0.0.1 and ::1; 0 takes any that is free")
	flags.StringVar(&o.tokenURL, "token-url", token.GoogleTokenURL, "token endpoint for your login; https, or that of a cloud on this machine")
	flags.StringVar(&o.logFormat, "log-format", "text", "format of the log on standard error: text or json")
	flags.StringVar(&o.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
}

// complete takes what the environment sets and no flag does, checks everything, and
// returns the targets that the arguments name. The error tells every problem.
func (o *options) complete(command *cobra.Command, args []string) ([]relay.Target, error) {
	problems := []error{checkDebugging(), fromEnvironment(command), o.check()}
	if len(args) == 0 {
		problems = append(problems, errors.New("no client is given: write CLIENT=URL, such as acme=https://acme-123.europe-west1.run.app"))
	}
	targets, err := relay.ParseTargets(args)
	problems = append(problems, err, o.checkTokenURL(targets))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return targets, nil
}

// fromEnvironment sets the flags that were not given from variables such as
// BERTH_PROXY_TOKEN_URL. An empty variable is one that is not set.
func fromEnvironment(command *cobra.Command) error {
	var problems []error
	for _, flag := range []string{"port", "token-url", "log-format", "log-level"} {
		variable := envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		value := os.Getenv(variable)
		if value == "" || command.Flags().Changed(flag) {
			continue
		}
		if err := command.Flags().Set(flag, value); err != nil {
			problems = append(problems, fmt.Errorf("%s is %q, which --%s cannot be: see berth-proxy --help", variable, value, flag))
		}
	}
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

func (o *options) check() error {
	var problems []error
	if o.port < 0 || o.port > maxPort {
		problems = append(problems, fmt.Errorf("--port %d: use 0 to %d", o.port, maxPort))
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		problems = append(problems, fmt.Errorf("--log-format %q: use text or json", o.logFormat))
	}
	if err := new(slog.Level).UnmarshalText([]byte(o.logLevel)); err != nil {
		problems = append(problems, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.logLevel))
	}
	return errors.Join(problems...)
}

// checkTokenURL also sees to it that login and servers are of one world: a token of a
// cloud on this machine opens nothing elsewhere, and a real one is not sent to a port of
// this machine.
func (o *options) checkTokenURL(targets []relay.Target) error {
	u, err := url.Parse(o.tokenURL)
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

func (o *options) handler(w io.Writer) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.logLevel)) // checked
	opts := &slog.HandlerOptions{Level: level}
	if o.logFormat == "json" {
		return slog.NewJSONHandler(w, opts)
	}
	return slog.NewTextHandler(w, opts)
}

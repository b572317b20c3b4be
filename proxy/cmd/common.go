package cmd

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/filestate"
	"github.com/berth-mcp/berth/proxy/locate"
	"github.com/berth-mcp/berth/proxy/ownfile"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const (
	maxPort   = 65535
	envPrefix = "BERTH_PROXY_"

	// The flags whose values are files.
	configFlag    = "config"
	tokenFileFlag = "token-file"
	caFileFlag    = "ca-file"

	pathSecretFlag = "path-secret"
)

// common is what the commands share: the flags that all of them take, and the parts of the
// proxy that are built from those. A command first calls targets, or settle if it has none;
// the other methods need what these have read and checked.
type common struct {
	port       int
	configFile string
	login      loginFlags
	runURL     string
	caFile     string
	logFormat  string
	logLevel   string
	pathSecret bool

	origins map[string]string // of flags that are not on the command line: a variable, or a line of the file

	roots *x509.CertPool  // to believe servers from; nil: the system's
	read  filestate.State // of the file, when it was read

	located sync.Map // URL of each locate.Service that was found
}

func (c *common) addTo(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.IntVar(&c.port, "port", address.DefaultPort, "port to listen on, on 127.0.0.1 and ::1; 0 takes any that is free")
	flags.StringVar(&c.configFile, configFlag, "", "file of clients and settings (default berth/proxy.yaml in the directory for settings)")
	flags.BoolVar(&c.pathSecret, pathSecretFlag, false, "put a secret into the proxy's addresses, as on a computer that several people share")
	c.login.addTo(flags)
	flags.StringVar(&c.runURL, "run-url", locate.GoogleURL, "Cloud Run API, for clients given by project, region and service")
	flags.StringVar(&c.caFile, caFileFlag, "", "file of certificate authorities to believe beside the system's, in PEM")
	flags.StringVar(&c.logFormat, "log-format", "text", "format of the log on standard error: text or json")
	flags.StringVar(&c.logLevel, "log-level", "info", "least level that is logged: debug, info, warn or error")
}

// settle sets every flag that was not given from the environment, or else from the file,
// and checks them all. The file comes with it, for its clients. The error tells every
// problem, and is one of usage.
func (c *common) settle(command *cobra.Command) (config.File, error) {
	file, err := c.settings(command)
	if err := errors.Join(err, c.checkWorld(nil)); err != nil {
		return file, &exitError{exitUsage, err}
	}
	return file, nil
}

// tokens is the developer's login. Nothing is read or fetched until a token is asked for.
func (c *common) tokens(log *slog.Logger) *token.Source {
	return token.NewSource(c.login.options(c.origin(tokenFileFlag), c.roots, log))
}

// locator finds services on Cloud Run, with the developer's login.
func (c *common) locator(tokens *token.Source) *locate.Locator {
	return locate.New(locate.Options{URL: c.runURL, RootCAs: c.roots, AccessToken: func(ctx context.Context) (string, error) {
		return tokens.AccessToken(ctx, "Cloud Run API", c.runURL)
	}})
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
	return errors.Join(append(problems, c.login.check(c.origin(tokenFileFlag)), c.readAuthorities())...)
}

// authoritiesKind is of files of certificate authorities, whose servers are sent tokens. All
// of Mozilla's are a quarter of a megabyte.
var authoritiesKind = ownfile.Kind{Name: "a file of certificates", Bytes: 8 << 20}

// readAuthorities adds those in the file to the system's.
func (c *common) readAuthorities() error {
	if c.caFile == "" {
		return nil
	}
	from := c.origin(caFileFlag)
	if err := pathname.Check(pathname.File, c.caFile); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	content, err := authoritiesKind.Read(c.caFile)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return fmt.Errorf("%s: read the system's certificate authorities: %w", from, err)
	}
	if !roots.AppendCertsFromPEM(content) {
		return fmt.Errorf("%s %s holds no certificate: give a file with lines of BEGIN CERTIFICATE", from, c.caFile)
	}
	c.roots = roots
	return nil
}

// checkWorld sees to it that login and servers are of one world: a token of a cloud on
// this machine opens nothing elsewhere, and a real one is not sent to a port of this
// machine.
func (c *common) checkWorld(targets []relay.Target) error {
	shown, local, err := endpoint("--token-url", c.login.tokenURL, token.GoogleTokenURL)
	if err != nil {
		return err
	}
	var problems []error
	for _, api := range []struct{ flag, url, google string }{
		{"--run-url", c.runURL, locate.GoogleURL},
		{"--iam-url", c.login.iamURL, token.GoogleIAMURL},
	} {
		apiURL, localAPI, err := endpoint(api.flag, api.url, api.google)
		if err != nil {
			problems = append(problems, err)
		} else if localAPI && !local {
			problems = append(problems, fmt.Errorf("%s %q is a cloud on this machine, where a login of %s is not sent: give the --token-url of that cloud", api.flag, apiURL, shown))
		}
	}
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

// endpoint reads a URL that a login or a token is sent to, and tells how it may be shown
// and whether it is on this machine.
func endpoint(flag, raw, example string) (shown string, local bool, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return "", false, fmt.Errorf("%s: use a URL of scheme, host and path, such as %s", flag, example)
	}
	shown, local = address.Show(u), address.IsLoopback(u.Hostname())
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return "", false, fmt.Errorf("%s %q would send your login unencrypted: use https (http is for this machine alone)", flag, shown)
	}
	return shown, local, nil
}

// gcPercent lets the heap grow by a half in place of Go's whole. Most of the time
// the proxy holds streams on which nothing happens, on a computer that has other work:
// memory is worth more to it than the tenth of its time that this costs under load.
const gcPercent = 50

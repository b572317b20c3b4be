package cmd

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/token"
)

// loginFlags are the flags that say which login to use. A token itself is no flag: the command
// line of a process is for everyone on the computer to see.
type loginFlags struct {
	kind        string
	impersonate []string
	tokenFile   string
	tokenURL    string
	iamURL      string
}

func (l *loginFlags) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&l.kind, "login", string(token.Auto), "where your login is: "+kinds())
	flags.StringSliceVar(&l.impersonate, "impersonate-service-account", nil, "service account to act as; in a list, each acts as the next")
	flags.StringVar(&l.tokenFile, tokenFileFlag, "", "file with an ID token to use in place of a login")
	flags.StringVar(&l.tokenURL, "token-url", token.GoogleTokenURL, "token endpoint for your login; https, or that of a cloud on this machine")
	flags.StringVar(&l.iamURL, "iam-url", token.GoogleIAMURL, "IAM Credentials API, to act as a service account")
}

func kinds() string {
	var all []string
	for _, k := range token.Kinds {
		all = append(all, string(k))
	}
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// check takes where the file of the token was given.
func (l *loginFlags) check(tokenFileFrom string) error {
	var problems []error
	if !slices.Contains(token.Kinds, token.Kind(l.kind)) {
		problems = append(problems, fmt.Errorf("--login %q: use %s", l.kind, kinds()))
	}
	for _, account := range l.impersonate {
		if err := token.CheckAccount(account); err != nil {
			problems = append(problems, fmt.Errorf("--impersonate-service-account: %w", err))
		}
	}
	given := os.Getenv(token.GivenVariable) != ""
	if given && l.tokenFile != "" {
		problems = append(problems, fmt.Errorf("there is a token in %s, and one in --token-file: leave one out", token.GivenVariable))
	} else if l.tokenFile != "" {
		if err := pathname.Check(pathname.File, l.tokenFile); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", tokenFileFrom, err))
		}
	}
	if (given || l.tokenFile != "") && len(l.impersonate) > 0 {
		problems = append(problems, errors.New("--impersonate-service-account needs a login, and a token is given in its place: leave one out"))
	}
	return errors.Join(problems...)
}

func (l *loginFlags) options(tokenFileFrom string, roots *x509.CertPool, log *slog.Logger) token.Options {
	return token.Options{
		Given:       strings.TrimSpace(os.Getenv(token.GivenVariable)),
		GivenFile:   l.tokenFile,
		GivenFrom:   tokenFileFrom,
		Impersonate: l.impersonate,
		Kind:        token.Kind(l.kind),
		TokenURL:    l.tokenURL,
		IAMURL:      l.iamURL,
		RootCAs:     roots,
		Logger:      log,
	}
}

package token

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net/url"
	"strings"

	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/filestate"
)

const (
	// GoogleTokenURL is where Google trades a refresh token for an ID token.
	GoogleTokenURL = "https://oauth2.googleapis.com/token"

	// GoogleIAMURL is the IAM Credentials API, with which one account acts as another.
	GoogleIAMURL = "https://iamcredentials.googleapis.com"

	// cloudPlatform is the scope of access tokens: what an account may do, IAM says.
	cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"
)

// A Kind is where a login is looked for.
type Kind string

// The kinds of logins.
const (
	// Auto is Application Default Credentials, failing these gcloud's login, and failing
	// gcloud the account of the machine.
	Auto Kind = "auto"
	// ADC is Application Default Credentials.
	ADC Kind = "adc"
	// Gcloud is the login of the gcloud command.
	Gcloud Kind = "gcloud"
	// Metadata is the account that a machine of Google Cloud has.
	Metadata Kind = "metadata"
)

// Kinds are all kinds, the default first.
var Kinds = []Kind{Auto, ADC, Gcloud, Metadata}

// Options configure a [Source]. The zero value is the developer's own login with Google.
type Options struct {
	// Given is an ID token to use as it is. It outranks every login.
	Given string
	// GivenFile is a file with such a token.
	GivenFile string
	// GivenFrom is where GivenFile was given, for messages. Empty: the flag --token-file.
	GivenFrom string
	// Impersonate is the service account to act as, in a chain of them the last: the login
	// acts as the first, that as the second. Empty: none.
	Impersonate []string
	// Kind says where the login is looked for. Empty: [Auto].
	Kind Kind
	// File holds Application Default Credentials. Empty: GOOGLE_APPLICATION_CREDENTIALS, and
	// failing that where gcloud writes it.
	File string
	// TokenURL is the token endpoint. Empty: [GoogleTokenURL].
	TokenURL string
	// IAMURL is the IAM Credentials API. Empty: [GoogleIAMURL].
	IAMURL string
	// RootCAs are the certificate authorities to believe. Nil: the system's.
	RootCAs *x509.CertPool
	// Logger gets a line for each exchange, never a token. Nil: none.
	Logger *slog.Logger
}

// A credential is one way to get tokens. It remembers none: the auth library's credentials
// would keep an access token and answer with the ID token that came beside it, however old
// that is.
type credential interface {
	// String says in a few words what it is.
	String() string
	// choosesAudience reports whether ID tokens are for the audience that is asked for. If
	// not, one serves all.
	choosesAudience() bool
	idToken(ctx context.Context, audience string) (Token, error)
	accessToken(ctx context.Context) (string, error)
}

// A login is a credential, with the files that led to it as they were before they were read.
type login struct {
	credential
	files map[string]filestate.State
}

// unchanged reports whether looking for a login would find the same again.
func (l *login) unchanged() bool {
	for file, state := range l.files {
		if !filestate.Of(file).Same(state) {
			return false
		}
	}
	return true
}

func (l *login) same(other *login) bool {
	if l == nil || other == nil || len(l.files) != len(other.files) {
		return false
	}
	for file, state := range l.files {
		if s, found := other.files[file]; !found || !s.Same(state) {
			return false
		}
	}
	return true
}

// find looks for the login. It only reads files.
func (o *Options) find() (*login, error) {
	l := &login{files: map[string]filestate.State{}}
	look := func(file string) filestate.State {
		state := filestate.Of(file)
		l.files[file] = state
		return state
	}
	var err error
	switch {
	case o.Given != "":
		l.credential, err = given{"the token in " + GivenVariable, o.Given}, nil
	case o.GivenFile != "":
		look(o.GivenFile)
		l.credential, err = givenIn(cmp.Or(o.GivenFrom, "--token-file"), o.GivenFile)
	default:
		l.credential, err = o.findLogin(look)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (o *Options) findLogin(look func(file string) filestate.State) (c credential, err error) {
	switch o.Kind {
	case Gcloud:
		c, err = watchedGcloud(look)
	case Metadata:
		c = &machine{}
	default:
		c, err = o.findDefault(look)
	}
	if err != nil || len(o.Impersonate) == 0 {
		return c, err
	}
	last := len(o.Impersonate) - 1
	return o.newImpersonated(c, o.IAMURL, o.Impersonate[last], o.Impersonate[:last])
}

// findDefault looks for Application Default Credentials, and failing these for others.
func (o *Options) findDefault(look func(file string) filestate.State) (credential, error) {
	file, named, err := o.loginFile()
	switch {
	case err != nil:
		return nil, err
	case o.Kind == ADC, named, !look(file).Same(filestate.State{}), !o.isGoogle():
		look(file)
		return o.fromFile(file)
	case (&gcloud{}).installed():
		return watchedGcloud(look)
	}
	return &machine{onlyIf: file}, nil
}

// isGoogle reports whether the login is one with Google, and not of a cloud on this machine
// or elsewhere. Only then have gcloud's logins and the machine's account a meaning.
func (o *Options) isGoogle() bool { return o.TokenURL == GoogleTokenURL }

// checkWorld sees to it that what a login gives goes only where the login belongs: with
// Google's token endpoint to Google's APIs, with another to that one's origin.
func (o *Options) checkWorld(file, what, raw string) error {
	u, err := url.Parse(raw)
	home, homeErr := url.Parse(o.TokenURL)
	switch {
	case err != nil || homeErr != nil || u.Hostname() == "" || u.User != nil:
	case o.isGoogle() && u.Scheme == "https" && strings.HasSuffix(u.Hostname(), ".googleapis.com"):
		return nil
	case !o.isGoogle() && u.Scheme == home.Scheme && u.Host == home.Host:
		return nil
	case !o.isGoogle() && address.IsLoopback(u.Hostname()) && address.IsLoopback(home.Hostname()):
		return nil // one cloud may have several ports
	}
	return loginError("%s gives %s as its %s, which does not belong to the token endpoint %s: nothing was sent; correct it, or set --token-url, --iam-url and --run-url to those of its cloud",
		file, showURL(raw), what, showURL(o.TokenURL))
}

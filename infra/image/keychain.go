package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"

	"github.com/berth-mcp/berth/internal/pathname"
)

const scope = "https://www.googleapis.com/auth/cloud-platform"

// Identity is who pushes: the same as who deploys. The fields are the Google
// provider's own settings; the zero value means Application Default Credentials,
// then gcloud's.
type Identity struct {
	AccessToken string // gcp:accessToken
	Credentials string // gcp:credentials: the JSON itself or the path of a file that holds it
	Impersonate string // gcp:impersonateServiceAccount: an e-mail
}

// providerVars are the environment variables that the gcp provider reads where
// the stack does not say. See its documentation, "Configuration".
var providerVars = map[string][]string{
	"accessToken":               {"GOOGLE_OAUTH_ACCESS_TOKEN"},
	"credentials":               {"GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON"},
	"impersonateServiceAccount": {"GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"},
}

// ProviderIdentity is the identity that the gcp provider takes, so that the image is
// pushed by who deploys it: from the stack, by the setting's name without "gcp:", and
// else from the environment. A value may be secret.
func ProviderIdentity(setting func(key string) (value string, set bool)) Identity {
	get := func(key string) string {
		if value, set := setting(key); set {
			return value
		}
		for _, name := range providerVars[key] {
			if value := os.Getenv(name); value != "" {
				return value
			}
		}
		return ""
	}
	return Identity{
		AccessToken: get("accessToken"),
		Credentials: get("credentials"),
		Impersonate: get("impersonateServiceAccount"),
	}
}

// Keychain gives the identity's credentials to Google's registries, and nothing
// to any other host: they open the whole project, so a mistyped registry must not
// get to see them. A registry on this machine's loopback gets the access token if
// one was given outright, as a local cloud's is.
func (id Identity) Keychain(ctx context.Context) authn.Keychain {
	return keychain{ctx: ctx, id: id}
}

type keychain struct {
	ctx context.Context
	id  Identity
}

func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	host := target.RegistryStr()
	switch {
	case onLoopback(host) && k.id.AccessToken != "":
		// In this form it goes to the registry itself, never to an address that
		// the registry names for signing in.
		return authn.FromConfig(authn.AuthConfig{RegistryToken: k.id.AccessToken}), nil
	case !googles(host):
		return authn.Anonymous, nil
	case k.id == (Identity{}):
		return google.Keychain.Resolve(target)
	}
	token, err := k.id.token(k.ctx)
	if err != nil {
		return nil, fmt.Errorf("signing in to %s: %w", host, err)
	}
	return &authn.Basic{Username: "oauth2accesstoken", Password: token}, nil
}

func (id Identity) token(ctx context.Context) (string, error) {
	login, err := id.Login()
	if err != nil {
		return "", err
	}
	token, err := login.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.Value, nil
}

// Login gives the identity's Google credentials, good for whatever the provider does
// with them.
func (id Identity) Login() (*auth.Credentials, error) {
	base, err := id.base()
	if err != nil || id.Impersonate == "" {
		return base, err
	}
	login, err := impersonate.NewCredentials(&impersonate.CredentialsOptions{
		TargetPrincipal: id.Impersonate,
		Scopes:          []string{scope},
		Credentials:     base,
		Logger:          silent,
	})
	if err != nil {
		return nil, fmt.Errorf("impersonating %s: %w", id.Impersonate, err)
	}
	return login, nil
}

// silent keeps the library's own logger quiet: switched on by an environment variable,
// it would write tokens.
var silent = slog.New(slog.DiscardHandler)

// base is the identity before impersonation.
func (id Identity) base() (*auth.Credentials, error) {
	if id.AccessToken != "" {
		return auth.NewCredentials(&auth.CredentialsOptions{
			TokenProvider: staticToken(id.AccessToken),
		}), nil
	}
	options := &credentials.DetectOptions{Scopes: []string{scope}, Logger: silent}
	if id.Credentials == "" {
		return detect(options)
	}
	content := []byte(id.Credentials)
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")) {
		if err := pathname.Check(pathname.File, id.Credentials); err != nil {
			return nil, fmt.Errorf("gcp:credentials: %w", err)
		}
		var err error
		if content, err = os.ReadFile(id.Credentials); err != nil {
			return nil, fmt.Errorf("gcp:credentials: %w", err)
		}
	}
	var file struct{ Type credentials.CredType }
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, errors.New("gcp:credentials: is neither a credentials file nor its content")
	}
	return credentials.NewCredentialsFromJSON(file.Type, content, options)
}

// detect finds the login at hand. The library's error repeats what the variable holds.
func detect(options *credentials.DetectOptions) (*auth.Credentials, error) {
	const variable = "GOOGLE_APPLICATION_CREDENTIALS"
	if file := os.Getenv(variable); file != "" {
		if err := pathname.Check(pathname.File, file); err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
	}
	return credentials.DetectDefault(options)
}

type staticToken string

func (t staticToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(t), Type: "Bearer"}, nil
}

// googles says whether a registry host is Google's.
func googles(host string) bool {
	return host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, "-docker.pkg.dev")
}

// onLoopback says whether a registry host is this machine.
func onLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
